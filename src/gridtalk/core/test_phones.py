"""Phone numbers as people and providers write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridtalk.core import phones
from gridtalk.core.errors import UserError


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("+22370008888", "", "+22370008888"),
        ("22370008888", "", "+22370008888"),
        ("0022370008888", "", "+22370008888"),
        (" 22370008888", "", "+22370008888"),  # a + that a query string made a space
        (" 22370008888", "ML", "+22370008888"),
        ("+223 70 00 88 88", "", "+22370008888"),
        ("70008888", "ML", "+22370008888"),
        ("+256 772 123456", "ML", "+256772123456"),
        ("0772123456", "UG", "+256772123456"),
    ],
)
def test_a_number_is_read(text: str, region: str, number: str) -> None:
    assert phones.parse(text, region=region) == number


@pytest.mark.parametrize("text", ["", "  ", "12", "ORANGE", "+", "+223", "1" * 1000])
def test_what_cannot_be_a_number_says_how_to_write_one(text: str) -> None:
    with pytest.raises(UserError, match="with its country"):
        phones.parse(text)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("ORANGE", "ORANGE"),
        ("  333 ", "333"),
        ("+22370008888", "+22370008888"),
        ("x" * 99, "x" * 64),
    ],
)
def test_what_a_provider_hands_us_is_kept(text: str, kept: str) -> None:
    assert phones.loose(text) == kept


@given(st.text())
def test_any_text_is_a_number_or_a_user_error_and_reading_it_twice_changes_nothing(
    text: str,
) -> None:
    try:
        number = phones.parse(text)
    except UserError:
        assert len(phones.loose(text)) <= 64
        return
    assert phones.parse(number) == number


def test_a_log_line_does_not_hold_the_number() -> None:
    assert phones.masked("+22370008888") == "+223•••888"
    assert phones.masked("333") == "333"
