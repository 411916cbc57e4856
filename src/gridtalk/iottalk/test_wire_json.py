"""JSON from devices and to them."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridtalk.core.errors import TooLarge, UserError
from gridtalk.iottalk.wire_json import DEEPEST, json_read, json_text, values_of


def read(raw: bytes) -> Any:
    return json_read(raw, largest_bytes=1000)


@pytest.mark.parametrize(
    ("label", "raw", "value"),
    [
        ("a list", b"[1, 2.50, null]", [1, Decimal("2.50"), None]),
        ("a scalar", b"3", 3),
        ("an exponent", b"[1e3]", [Decimal("1E+3")]),
        ("minus zero", b"[-0.0]", [Decimal("-0.0")]),
        ("UTF-8", '["日"]'.encode(), ["日"]),
        ("NUL", rb'["a\u0000b"]', ["a\ufffdb"]),
        ("a lone surrogate", rb'{"\ud800": ["\udfff"]}', {"?": ["?"]}),
        ("a surrogate pair", rb'["\ud83d\ude00"]', ["\U0001f600"]),
        ("as deep as may be", b"[" * DEEPEST + b"]" * DEEPEST, None),
    ],
)
def test_read(label: str, raw: bytes, value: Any) -> None:
    found = read(raw)
    assert value is None or found == value
    # Both forms of what was read can be stored: no NUL, no surrogate.
    assert "\\u0000" not in json.dumps(found, default=str)
    json_text(found).encode()


@pytest.mark.parametrize(
    ("label", "raw", "reason"),
    [
        ("nothing", b"", "not JSON"),
        ("cut", b'{"a": ', "not JSON"),
        ("not UTF-8", b'["\xff"]', "not UTF-8"),
        ("NaN", b"[NaN]", "NaN"),
        ("Infinity", b"[-Infinity]", "Infinity"),
        ("a huge exponent", b"[1e400]", "1e400"),
        ("a tiny exponent", b"[1e-999999999]", "1e-999999999"),
        ("an endless integer", b"[" + b"9" * 500 + b"]", "500 digits"),
        ("an endless fraction", b"[0." + b"9" * 500 + b"]", "number"),
        ("too deep", b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), "nested"),
        ("deep in an object", b'{"a":' * (DEEPEST + 1) + b"1" + b"}" * (DEEPEST + 1), "nested"),
    ],
)
def test_refused(label: str, raw: bytes, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        read(raw)


def test_nesting_beyond_the_parser_is_refused() -> None:
    with pytest.raises(UserError, match="nested"):
        json_read(b"[" * 100_000, largest_bytes=200_000)


def test_too_large_names_the_limit() -> None:
    with pytest.raises(TooLarge, match="1001 bytes; at most 1000"):
        read(b" " * 1001)


_NUMBERS = st.decimals(
    allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9
)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**60), 10**60) | st.text() | _NUMBERS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_written_is_read_again(value: Any) -> None:
    text = json_text(value)
    assert json_text(json_read(text.encode(), largest_bytes=10**6)) == text


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), float("nan"), float("inf")])
def test_never_malformed(value: Any) -> None:
    with pytest.raises(TypeError):
        json_text([value])


@pytest.mark.parametrize(
    ("label", "data", "values"),
    [
        ("a scalar", 3, [3]),
        ("null", None, [None]),
        ("a list of one", [3], [3]),
        ("a tuple in a list", [[1, 2]], [1, 2]),
        ("a list", [1, 2], [1, 2]),
        ("lists in a list", [[1], [2]], [[1], [2]]),
        ("nothing", [], []),
        ("an object", {"a": 1}, [{"a": 1}]),
    ],
)
def test_values(label: str, data: Any, values: list[Any]) -> None:
    assert values_of(data) == values
