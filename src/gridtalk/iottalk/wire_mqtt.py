"""What goes over MQTT, as bytes: control messages both ways, and data. Pure.

Shapes: spec/iottalk.md, v2, 2 to 6. All JSON is written by :mod:`json`, so that none is malformed:
that would end the receiving thread of some clients.
"""

import json
from typing import Any, Literal, NamedTuple

from gridtalk.core.errors import UserError
from gridtalk.iottalk.wire_json import json_read, json_text, values_of

#: A control message is an object of two or three short fields.
LARGEST_CONTROL_BYTES = 4096
LONGEST_REASON = 200
LONGEST_REV = 64


class ControlWord(NamedTuple):
    """The device says that it is online, or no longer, under a revision."""

    state: Literal["online", "offline"]
    rev: str


class ControlAnswer(NamedTuple):
    """The device answers CONNECT or DISCONNECT; ``error`` is None where it did as asked."""

    msg_id: str
    error: str | None


class Data(NamedTuple):
    """One data message: its values, and their JSON text for storing."""

    values: list[Any]
    text: str


def control_read(raw: bytes) -> ControlWord | ControlAnswer:
    """A control message of a device; :class:`UserError` where it is none."""
    body = json_read(raw, largest_bytes=LARGEST_CONTROL_BYTES, what="the control message")
    if not isinstance(body, dict):
        raise UserError("the control message is no JSON object")
    state = body.get("state")
    if (msg_id := body.get("msg_id")) is not None:
        if state == "ok":
            return ControlAnswer(str(msg_id), None)
        if state == "error":
            reason = body.get("reason")
            told = reason if isinstance(reason, str) else json_text(reason)
            return ControlAnswer(str(msg_id), told[:LONGEST_REASON] or "no reason given")
    elif state in {"online", "offline", "broken"}:
        rev = body.get("rev")
        if not isinstance(rev, str) or not 0 < len(rev) <= LONGEST_REV:
            raise UserError("the control message has no “rev”, which the registration gave")
        return ControlWord("online" if state == "online" else "offline", rev)
    raise UserError(
        "the control message has no “state” that is known: online, offline or broken with “rev”, "
        "ok or error with “msg_id”"
    )


def connect_write(*, kind: str, name: str, topic: str, msg_id: str) -> bytes:
    """The command to use a topic for a feature; ``kind`` is ``idf`` or ``odf``."""
    return _written({"command": "CONNECT", kind: name, "topic": topic, "msg_id": msg_id})


def disconnect_write(*, kind: str, name: str, msg_id: str) -> bytes:
    """The command to stop using a feature."""
    return _written({"command": "DISCONNECT", kind: name, "msg_id": msg_id})


def data_read(raw: bytes, *, largest_bytes: int) -> Data:
    """A data message; scalars come as ``[x]``, tuples as ``[[a, b]]``.

    Raises :class:`TooLarge` and :class:`UserError` where it cannot be taken.
    """
    read = json_read(raw, largest_bytes=largest_bytes, what="the message")
    values = values_of(read)
    # As the device wrote it, which is exact and costs nothing; unless a text in it was mended.
    as_written = values is read and b"\\u" not in raw
    return Data(values, raw.decode() if as_written else json_text(values))


def data_write(values: list[Any]) -> bytes:
    """Data for an ODF: a JSON list; Decimals stand there as numbers."""
    return json_text(values).encode()


def _written(command: dict[str, str]) -> bytes:
    return json.dumps(command).encode()
