"""Phone numbers: E.164 inside, whatever people write outside."""

from functools import lru_cache

import phonenumbers

from gridtalk.core.errors import UserError

#: No number is longer; what is, is not kept in memory.
LONGEST_REMEMBERED = 64


def parse(text: str, *, region: str = "") -> str:
    """The number in E.164 (``+22370008888``).

    ``region`` (ISO 3166 two letters, for example ``ML``) reads national numbers; without it a
    number must name its country. A ``+`` that a query string turned into a space is understood,
    and so is ``00``. Raises :class:`UserError` where it cannot be a number.
    """
    # Who texts, texts again: the library takes longer over a number than a message over the rest.
    read = _read if len(text) <= LONGEST_REMEMBERED else _read.__wrapped__
    if number := read(text, region):
        return number
    raise UserError(
        "“%(text)s” is not a phone number; write it with its country, for example +22370008888",
        text=text[:40],
    )


@lru_cache(maxsize=20_000)
def _read(text: str, region: str) -> str:
    """As :func:`parse`; empty where it cannot be a number."""
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
            return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    return ""


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
