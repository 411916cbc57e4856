"""Amounts: read strictly, rounded half to even, shown with two places."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridtalk.core import money
from gridtalk.core.errors import UserError


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("500", "500.00"),
        ("20.10", "20.10"),
        (" 20.1 ", "20.10"),
        ("+3", "3.00"),
        ("-3.5", "-3.50"),
        (".5", "0.50"),
        ("5.", "5.00"),
        ("20.1000", "20.10"),
        ("-0", "0.00"),
        ("007", "7.00"),
        ("99999999999999.99", "99999999999999.99"),
    ],
)
def test_an_amount_is_read(text: str, amount: str) -> None:
    assert str(money.parse(text)) == amount


@pytest.mark.parametrize(
    ("label", "text", "says"),
    [
        ("empty", "", "not an amount"),
        ("blank", "  ", "not an amount"),
        ("a word", "five", "not an amount"),
        ("not a number", "NaN", "not an amount"),
        ("infinite", "Infinity", "not an amount"),
        ("an exponent", "1e5", "not an amount"),
        ("underscored", "1_000", "not an amount"),
        ("a comma", "1,000", "not an amount"),
        ("two signs", "--1", "not an amount"),
        ("Arabic digits", "\u0665\u0660\u0660", "not an amount"),
        ("two numbers", "1 2", "not an amount"),
        ("hexadecimal", "0x10", "not an amount"),
        ("a megabyte", "9" * 1_000_000, "not an amount"),
        ("three decimals", "1.005", "two decimals"),
        ("less than a cent", "0.001", "two decimals"),
        ("too large", "100000000000000", "too large"),
        ("too small", "-100000000000000", "too large"),
    ],
)
def test_anything_else_is_an_error_and_never_zero(label: str, text: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as error:
        money.parse(text)
    assert len(str(error.value)) < 200


@given(st.decimals(min_value=-money.LARGEST, max_value=money.LARGEST, places=2))
def test_what_is_shown_is_read_again(amount: Decimal) -> None:
    assert money.parse(money.shown(amount)) == amount


@given(st.text())
def test_any_text_is_an_amount_or_a_user_error(text: str) -> None:
    try:
        amount = money.parse(text)
    except UserError:
        return
    assert amount.as_tuple().exponent == -2
    assert abs(amount) <= money.LARGEST


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("0.005", "0.00"),
        ("0.015", "0.02"),
        ("4.355", "4.36"),
        ("-0.001", "0.00"),
        ("1E+3", "1000.00"),
    ],
)
def test_rounding_is_half_to_even_without_a_negative_zero(amount: str, shown: str) -> None:
    assert money.shown(Decimal(amount)) == shown
