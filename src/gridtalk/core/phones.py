"""Phone numbers: E.164 inside, whatever people write outside."""

import phonenumbers

from gridtalk.core.errors import UserError


def parse(text: str, *, region: str = "") -> str:
    """The number in E.164 (``+22370008888``).

    ``region`` (ISO 3166 two letters, for example ``ML``) reads national numbers; without it a
    number must name its country. A ``+`` that a query string turned into a space is understood,
    and so is ``00``. Raises :class:`UserError` where it cannot be a number.
    """
    cleaned = text.strip()
    if text[:1] == " " and cleaned[:1].isdigit():
        cleaned = f"+{cleaned}"
    if cleaned.startswith("00"):
        cleaned = f"+{cleaned[2:]}"
    candidates = [cleaned] if cleaned.startswith("+") else [cleaned, f"+{cleaned}"]
    for candidate in candidates:
        try:
            number = phonenumbers.parse(candidate, region or None)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_possible_number(number) and not number.extension:
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    raise UserError(
        "“%(text)s” is not a phone number; write it with its country, for example +22370008888",
        text=text[:40],
    )


def loose(text: str, *, region: str = "") -> str:
    """The number in E.164 where it can be read, else the text as it came (at most 64 characters).

    For what a provider hands us: short codes and alphanumeric senders are kept, not refused.
    """
    try:
        return parse(text, region=region)
    except UserError:
        return text.strip()[:64]


def masked(number: str) -> str:
    """The number for a log line: ``+223•••888``."""
    return number if len(number) < 8 else f"{number[:4]}•••{number[-3:]}"
