"""Amounts of credit: Decimal with two places, numeric(16,2) in the database."""

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

from gridtalk.core.errors import UserError

CENT = Decimal("0.01")
#: The largest amount that numeric(16,2) holds.
LARGEST = Decimal("99999999999999.99")
ZERO = Decimal("0.00")


def parse(text: str) -> Decimal:
    """Read an amount such as ``500`` or ``20.10``; a failure is an error, never zero.

    Raises :class:`UserError` where the text is not a plain decimal number, has more than two
    decimals that are not zero, or does not fit numeric(16,2).
    """
    cleaned = text.strip()
    try:
        amount = Decimal(cleaned)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not cleaned.isascii() or "_" in cleaned:
        raise UserError(f"“{text[:40]}” is not an amount; write digits, for example 500 or 20.10")
    if abs(amount) > LARGEST:
        raise UserError(f"{cleaned[:40]} is too large an amount; at most {LARGEST} is kept")
    if amount != amount.quantize(CENT):
        raise UserError(f"{cleaned[:40]} has more than two decimals")
    return amount.quantize(CENT)


def rounded(amount: Decimal) -> Decimal:
    """The amount with two places, half to even."""
    return amount.quantize(CENT, rounding=ROUND_HALF_EVEN)


def shown(amount: Decimal) -> str:
    """The amount as a person reads it in an SMS: ``500.00``."""
    return f"{rounded(amount):f}"
