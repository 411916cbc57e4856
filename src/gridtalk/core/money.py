"""Amounts of credit: Decimal with two places, numeric(16,2) in the database."""

import re
from decimal import ROUND_HALF_EVEN, Decimal

from gridtalk.core.errors import UserError

CENT = Decimal("0.01")
#: The largest amount that numeric(16,2) holds.
LARGEST = Decimal("99999999999999.99")
ZERO = Decimal("0.00")
#: No exponent, no NaN, no ``1_0``; bounded, so that Decimal never meets a megabyte of digits.
_PLAIN = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})")


def parse(text: str) -> Decimal:
    """Read an amount such as ``500`` or ``20.10``; a failure is an error, never zero.

    Raises :class:`UserError` where the text is not a plain decimal number, has more than two
    decimals that are not zero, or does not fit numeric(16,2).
    """
    cleaned = text.strip()
    if not _PLAIN.fullmatch(cleaned):
        raise UserError(
            "“%(text)s” is not an amount; write digits, for example 500 or 20.10", text=text[:40]
        )
    amount = Decimal(cleaned)
    if abs(amount) > LARGEST:
        raise UserError(
            "%(text)s is too large an amount; at most %(most)s is kept",
            text=cleaned[:40],
            most=LARGEST,
        )
    if amount != amount.quantize(CENT):
        raise UserError("%(text)s has more than two decimals", text=cleaned[:40])
    return amount.quantize(CENT) + ZERO


def rounded(amount: Decimal) -> Decimal:
    """The amount with two places, half to even; never a negative zero."""
    return amount.quantize(CENT, rounding=ROUND_HALF_EVEN) + ZERO


def shown(amount: Decimal) -> str:
    """The amount as a person reads it in an SMS: ``500.00``."""
    return f"{rounded(amount):f}"
