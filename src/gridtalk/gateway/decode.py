"""``gridtalk decode``: messages as JSON, one object for each line. Pure, and quick to import.

Source: ``spec/meter-protocol.md``, "Command line".
"""

import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from gridtalk.gateway.consumer.wire import (
    SECOND_ARGUMENT,
    Command,
    ConsumerMessage,
    Hint,
    parse_command,
)
from gridtalk.gateway.meter.wire import (
    Alert,
    GatewayPing,
    JobAck,
    MeterError,
    MeterMessage,
    PcuLog,
    PowerOn,
    PrimaryLogs,
    Reading,
    parse,
)

Json = dict[str, Any]


def decode_stream(lines: Iterable[bytes], *, consumer: bool) -> Iterator[str]:
    """One line of JSON (ASCII, without its line end) for each line of input, in order.

    A line that begins with ``"`` is a JSON string, for texts with line breaks. Bytes that are not
    UTF-8 are replaced; a blank line is an error. ``consumer`` reads the consumers' commands instead
    of the meters' messages.
    """
    for line in lines:
        yield json.dumps(_line(line, consumer=consumer))


def _line(line: bytes, *, consumer: bool) -> Json:
    text = line.decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")
    if not text.strip():
        return _error("the line is blank")
    if text.startswith('"'):
        try:
            text = json.loads(text)
        except ValueError as error:
            return _error(f"the line begins with a quotation mark, but is no JSON string: {error}")
    return consumer_json(parse_command(text)) if consumer else meter_json(parse(text))


def _error(reason: str) -> Json:
    return {"kind": "error", "reason": reason}


def _float(number: Decimal | None) -> float | None:
    return None if number is None else float(number)


def meter_json(message: MeterMessage) -> Json:
    """A meter's message as the command line shows it."""
    match message:
        case PrimaryLogs():
            return {
                "kind": "primary_logs",
                "logs": [reading_json(reading) for reading in message.entries],
                "errors": [
                    {"entry": error.entry, "reason": error.reason} for error in message.errors
                ],
            }
        case JobAck():
            return {
                "kind": "job_ack",
                "job_id": message.job_id,
                "status": message.status,
                "credit": _float(message.credit),
            }
        case Alert():
            return {
                "kind": "alert",
                "code": message.code,
                "cid": message.cid,
                "credit": _float(message.credit),
            }
        case PowerOn():
            return {"kind": "power_on"}
        case PcuLog():
            return {
                "kind": "pcu_log",
                "meter_time": message.meter_time.isoformat(),
                "values": [_float(value) for value in message.values],
            }
        case GatewayPing():
            return {"kind": "gateway_ping", "meter_time": message.meter_time}
        case MeterError():
            return _error(message.reason)


def reading_json(reading: Reading) -> Json:
    """One circuit's report."""
    return {
        "cid": reading.cid,
        "meter_time": reading.meter_time.isoformat(),
        "status": reading.status,
        "use_time_s": float(reading.use_time_s),
        "watthours": float(reading.watthours),
        "credit": _float(reading.credit),
        "mains": reading.mains,
    }


def consumer_json(message: ConsumerMessage) -> Json:
    """A consumer's text as the command line shows it."""
    match message:
        case Command():
            shown: Json = {"kind": "command", "action": message.action, "pin": message.pin}
            if name := SECOND_ARGUMENT.get(message.action):
                shown[name] = message.argument
            return shown
        case Hint():
            return {"kind": "hint", "action": message.action}
        case GatewayPing():
            return {"kind": "gateway_ping", "meter_time": message.meter_time}
        case _:
            return {"kind": "unknown"}
