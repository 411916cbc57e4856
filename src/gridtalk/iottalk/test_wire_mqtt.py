"""What goes over MQTT: labelled tables."""

import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridtalk.core.errors import TooLarge, UserError
from gridtalk.iottalk.wire_mqtt import (
    ControlAnswer,
    ControlWord,
    connect_write,
    control_read,
    data_read,
    data_write,
    disconnect_write,
)

REV = "0b6a7b6e-6b5e-4b5e-9d5a-0d6a5b6c7d8e"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (f'{{"state": "online", "rev": "{REV}"}}', ControlWord("online", REV)),
        (f'{{"rev": "{REV}", "state": "offline"}}', ControlWord("offline", REV)),
        (f'{{"state": "broken", "rev": "{REV}"}}', ControlWord("offline", REV)),
        ('{"msg_id": "m-1", "state": "ok"}', ControlAnswer("m-1", None)),
        ('{"msg_id": 7, "state": "ok"}', ControlAnswer("7", None)),
        ('{"msg_id": "m", "state": "error", "reason": "full"}', ControlAnswer("m", "full")),
        ('{"msg_id": "m", "state": "error", "reason": [1]}', ControlAnswer("m", "[1]")),
        ('{"msg_id": "m", "state": "error", "reason": ""}', ControlAnswer("m", "no reason given")),
    ],
)
def test_control(raw: str, expected: Any) -> None:
    """What a device says of itself."""
    assert control_read(raw.encode()) == expected


@pytest.mark.parametrize(
    ("label", "raw", "told"),
    [
        ("no JSON", b"{", "not JSON"),
        ("no UTF-8", b'{"state": "\xff"}', "UTF-8"),
        ("a list", b"[1]", "no JSON object"),
        ("no state", b"{}", "online, offline or broken"),
        ("a state of ours", b'{"state": "ok"}', "online, offline or broken"),
        ("no rev", b'{"state": "online"}', "rev"),
        ("a rev that is none", b'{"state": "online", "rev": 5}', "rev"),
        ("an answer without state", b'{"msg_id": "m"}', "ok or error"),
        ("too large", b'{"state": "' + b"x" * 5000 + b'"}', "bytes"),
        ("deep", b"[" * 4000, "nested"),
    ],
)
def test_control_refused(label: str, raw: bytes, told: str) -> None:
    """Each with a reason that says how to mend it."""
    with pytest.raises(UserError, match=told):
        control_read(raw)


@pytest.mark.parametrize(
    ("label", "raw", "values", "text"),
    [
        ("a scalar", "[5]", [5], "[5]"),
        ("a bare scalar", "5", [5], "[5]"),
        ("a tuple", "[[1, 2.50]]", [1, Decimal("2.50")], "[1, 2.50]"),
        ("as it is", '[ "a",null,true ]', ["a", None, True], '[ "a",null,true ]'),
        ("two lists", "[[1], [2]]", [[1], [2]], "[[1], [2]]"),
        ("a text that cannot be stored", '["a\\u0000\\ud800"]', ["a�?"], '["a�?"]'),
    ],
)
def test_data(label: str, raw: str, values: list[Any], text: str) -> None:
    """One level is flattened; the text is as exact as it came."""
    read = data_read(raw.encode(), largest_bytes=100)
    assert (read.values, read.text) == (values, text), label
    assert json.loads(read.text, parse_float=Decimal) == values


@pytest.mark.parametrize(
    ("label", "raw", "error"),
    [
        ("too large", b"[" + b"1" * 100 + b"]", TooLarge),
        ("NaN", b"[NaN]", UserError),
        ("nothing", b"", UserError),
        ("half", b"[1,", UserError),
    ],
)
def test_data_refused(label: str, raw: bytes, error: type[Exception]) -> None:
    """Never anything but a clear error."""
    with pytest.raises(error):
        data_read(raw, largest_bytes=100)


@given(st.binary(max_size=60))
def test_no_bytes_break_the_readers(raw: bytes) -> None:
    """Whatever a device sends."""
    for read in (control_read, lambda raw: data_read(raw, largest_bytes=50)):
        with suppress(UserError):
            read(raw)  # type: ignore[operator]


@given(name=st.text(min_size=1), topic=st.text(), msg_id=st.text())
def test_commands_are_well_formed_whatever_the_names(name: str, topic: str, msg_id: str) -> None:
    """Malformed JSON would end the receiving thread of some clients."""
    command = json.loads(connect_write(kind="odf", name=name, topic=topic, msg_id=msg_id))
    assert command == {"command": "CONNECT", "odf": name, "topic": topic, "msg_id": msg_id}
    command = json.loads(disconnect_write(kind="idf", name=name, msg_id=msg_id))
    assert command == {"command": "DISCONNECT", "idf": name, "msg_id": msg_id}


def test_data_for_a_device() -> None:
    """Decimals are numbers, with their decimals."""
    assert data_write(["cr", 7, "192.168.1.201", Decimal("100.00")]) == (
        b'["cr", 7, "192.168.1.201", 100.00]'
    )
