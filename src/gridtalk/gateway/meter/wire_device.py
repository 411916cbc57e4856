"""What a meter that is a device says, as the text of ``meter-protocol.md``. Pure.

So there is one set of rules: the drain reads it as it reads an SMS. Nothing is lost on the way: a
number keeps all its digits, a time its seconds, a null stays absent. Only the shape of the values
is looked at here; whether a number is believable, and whose circuit it is, the drain says.

Source: ``spec/iottalk.md``, "The bridge".
"""

import re
from decimal import Decimal
from typing import Any

from gridtalk.gateway.meter import wire, wire_types
from gridtalk.gateway.meter.wire_encode import encode_ack, encode_alert, encode_pcu, encode_pp
from gridtalk.gateway.meter.wire_types import (
    ALERT_CODES,
    METER_ALERT_CODES,
    MOST_DECIMALS,
    MOST_WHOLE_DIGITS,
    Malformed,
    Reading,
    quoted,
)

_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d)(?::(\d\d)(?::(\d\d))?)?", re.ASCII)


def device_text(feature: str, values: tuple[Any, ...]) -> str:
    """The text for the values of a feature, its reference taken off.

    ``values`` are as many as ``interfaces/iottalk/wire.SPOKEN`` says, numbers as ``Decimal`` or
    ``int``. Raises :class:`Malformed` where one of them cannot be said in a text.
    """
    match feature:
        case "PrimaryLog-I":
            return _primary_log(*values)
        case "PcuLog-I":
            return _pcu_log(*values)
        case "Alert-I":
            return _alert(*values)
        case "JobDone-I":
            return _job_done(*values)
        case "Message-I":
            return _message(*values)
    raise Malformed(f"{feature} says nothing to the gateway")


def _primary_log(
    cid: Any, meter_time: Any, status: Any, watthours: Any, use_time_s: Any, credit: Any
) -> str:
    address = wire_types.address(_text("cid", cid))
    return encode_pp(
        Reading(
            cid=address,
            meter_time=wire_types.timestamp(_stamp(meter_time)),
            status=wire_types.status(str(_whole("status", status))),
            use_time_s=_number("use_time_s", use_time_s),
            watthours=_number("watthours", watthours),
            credit=None if credit is None else _number("credit", credit),
            mains=address.endswith(".200"),
        )
    )


def _pcu_log(meter_time: Any, *values: Any) -> str:
    return encode_pcu(
        meter_time=wire_types.timestamp(_stamp(meter_time)),
        values=[
            None if value is None else _number(f"value {place}", value)
            for place, value in enumerate(values, start=1)
        ],
    )


def _alert(cid: Any, code: Any) -> str:
    word = _text("code", code).lower()
    if word not in {*ALERT_CODES, "online"}:
        raise Malformed(f"code is {quoted(word)}; it must be one of {', '.join(ALERT_CODES)}")
    if not cid and (word in METER_ALERT_CODES or word == "online"):
        return encode_alert(code=word)
    return encode_alert(code=word, cid=wire_types.address(_text("cid", cid)))


def _job_done(job_id: Any, status: Any, credit: Any) -> str:
    return encode_ack(
        job_id=wire_types.job_id(str(_whole("job_id", job_id))),
        status=None if status is None else wire_types.status(str(_whole("status", status))),
        credit=None if credit is None else _number("credit", credit),
    )


def _message(message: Any) -> str:
    text = _text("message", message)
    if not wire.looks_like_meter(text):
        raise Malformed(
            f"{quoted(text)} is not a meter's message; Message-I takes those of the meters' "
            "grammar, such as (job=pp&…)"
        )
    return text


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise Malformed(f"{name} is {_shown(value)}; it must be a text")
    return value.strip()


def _stamp(value: Any) -> str:
    """A time's digits; ``2026-11-23 14:05:09`` and with a ``T`` too, as many devices write it."""
    text = _text("meter_time", value)
    match = _ISO.fullmatch(text)
    return "".join(part for part in match.groups() if part) if match else text


def _number(name: str, value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise Malformed(f"{name} is {_shown(value)}; it must be a number")
    # An int of 16 kB would take long to write out: a Decimal is asked for its size first.
    number = Decimal(value)
    if not number.is_finite():
        raise Malformed(f"{name} is {_shown(value)}; it must be a number")
    if not number:
        return Decimal(0)
    if not -MOST_DECIMALS <= number.adjusted() < MOST_WHOLE_DIGITS:
        raise Malformed(f"{name} is {number:.3E}; it must be a plain number such as 20.10")
    return wire_types.number(name, f"{number:f}")


def _whole(name: str, value: Any) -> int:
    """A whole number; a device that knows floats alone says 17.0."""
    number = _number(name, value)
    if number != number.to_integral_value():
        raise Malformed(f"{name} is {_shown(value)}; it must be a whole number")
    return int(number)


def _shown(value: Any) -> str:
    return "null" if value is None else quoted(str(value))
