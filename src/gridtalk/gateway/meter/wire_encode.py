"""What meters write in key-value form, and what the gateway writes to them. Pure.

Source: ``spec/meter-protocol.md`` (meters), ``spec/gateway.md`` 4 (jobs). The simulator and the
tests speak as meters with it; compressed reports are written by ``wire_compressed.encode``.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from gridtalk.core import money
from gridtalk.gateway.meter import wire, wire_compressed, wire_types
from gridtalk.gateway.meter.wire_types import (
    ALERT_CODES,
    NULL,
    PCU_VALUES,
    Malformed,
    MeterError,
    Reading,
)
from gridtalk.jobs.wire import job_text

encode_compressed = wire_compressed.encode

#: How the kinds of the Job family are called on the wire.
JOB_NAMES = {
    "add_credit": "cr",
    "turn_on": "con",
    "turn_off": "coff",
    "cping": "cping",
    "mping": "mping",
}
_JOB_KINDS = {name: kind for kind, name in JOB_NAMES.items()}

_PING_ANSWER = re.compile(r"\(ack&gateway-time=([0-9:-]{19})&meter-time=(.*)\)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class MeterJob:
    """A command as a meter reads it. ``cid`` is null for ``mping``, ``amount`` but for credit."""

    kind: str
    job_id: int
    cid: str | None = None
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class PingAnswer:
    """The gateway's answer to a ping, as a meter reads it."""

    gateway_time: datetime
    meter_time: str


def _message(*pairs: tuple[str, object]) -> str:
    """``(key=value&…)``, null values left out."""
    texts = []
    for key, value in pairs:
        if value is None:
            continue
        text = f"{value:f}" if isinstance(value, Decimal) else str(value)
        if "&" in text or text != text.strip() or text.endswith(")"):
            raise ValueError(f"{key} cannot be {text!r} in a key-value message")
        texts.append(f"{key}={text}")
    return f"({'&'.join(texts)})"


def encode_pp(reading: Reading, *, meter: str | None = None) -> str:
    """``(job=pp…)``: one circuit's report, its time to the second, its numbers exact."""
    return _message(
        ("job", "pp"),
        ("cid", reading.cid),
        ("mid", meter),
        ("wh", reading.watthours),
        ("tu", reading.use_time_s),
        ("ts", _stamp(reading.meter_time)),
        ("cr", reading.credit),
        ("status", reading.status),
        ("ct", "MAINS" if reading.mains else "CIRCUIT"),
    )


def encode_ack(
    *,
    job_id: int,
    status: int | None = None,
    credit: Decimal | None = None,
    meter_time: datetime | None = None,
) -> str:
    """``(job=delete…)``: the meter has done the job."""
    return _message(
        ("job", "delete"),
        ("jobid", job_id),
        ("status", status),
        ("cr", credit),
        ("ts", None if meter_time is None else _stamp(meter_time)),
    )


def encode_alert(
    *,
    code: str,
    cid: str | None = None,
    meter: str | None = None,
    credit: Decimal | None = None,
    watthours: Decimal | None = None,
) -> str:
    """``(job=alert…)``; ``code`` is one of ``wire.ALERT_CODES``, or ``online``."""
    if code not in {*ALERT_CODES, "online"}:
        raise ValueError(f"{code!r} is no alert of a meter")
    return _message(
        ("job", "alert"),
        ("mid", meter),
        ("cid", cid),
        ("alert", code),
        ("cr", credit),
        ("wh", watthours),
    )


def encode_pcu(*, meter_time: datetime, values: Sequence[Decimal | None]) -> str:
    """``(pcu#…)``: the power unit's report; null where it does not measure.

    In the texts of meters only the ninth value, the temperature, may be null; it is left out.

    Of a whole hour its time is written as meters do, else to the second, as devices need it.
    """
    if len(values) != PCU_VALUES:
        raise ValueError(f"a pcu report has {PCU_VALUES} values, not {len(values)}")
    given = values[:-1] if values[-1] is None else values
    stamp = _stamp(meter_time).removesuffix("0000")
    return f"(pcu#{stamp}#{','.join(NULL if value is None else f'{value:f}' for value in given)})"


def encode_online(meter: str) -> str:
    """``<name> online``: what a meter writes when it comes on."""
    if not meter or meter.split() != [meter] or set(meter) & set("()=&#"):
        raise ValueError(f"{meter!r} is not a meter's name: one word without ( ) = & #")
    return f"{meter} online"


def encode_ping(meter_time: str) -> str:
    """``(job=gateway-ping…)``: is the gateway there?"""
    return _message(("job", "gateway-ping"), ("meter-time", meter_time))


def ping_answer(now: datetime, meter_time: str) -> str:
    """The answer to a ping: the gateway's time as given, the meter's as it was sent."""
    return f"(ack&gateway-time={now:%Y-%m-%d-%H:%M:%S}&meter-time={meter_time})"


def parse_ping_answer(text: str) -> PingAnswer | MeterError:
    """What a meter understands of :func:`ping_answer`."""
    match = _PING_ANSWER.fullmatch(text.strip())
    if not match:
        return MeterError("this is no answer to a ping")
    try:
        gateway_time = datetime.strptime(match[1], "%Y-%m-%d-%H:%M:%S")  # noqa: DTZ007  as sent
    except ValueError:
        return MeterError(f"gateway-time {match[1]} is no time")
    return PingAnswer(gateway_time, match[2])


def encode_job(
    *, kind: str, job_id: int, cid: str | None = None, amount: Decimal | None = None
) -> str:
    """A job's text for its meter, such as ``(job=cr&jobid=7&cid=192.168.1.201&amt=500.0)``.

    ``kind`` is a kind of the Job family. All but ``mping`` need ``cid``; ``add_credit`` alone needs
    ``amount``, of at most two decimals. Raises ``ValueError`` where they do not fit together.
    """
    if kind not in JOB_NAMES:
        raise ValueError(f"{kind!r} is no kind of job; there are {', '.join(JOB_NAMES)}")
    if (cid is None) != (kind == "mping"):
        raise ValueError(f"a {kind} job has {'no' if kind == 'mping' else 'a'} circuit address")
    if (amount is None) == (kind == "add_credit"):
        raise ValueError(f"a {kind} job has {'an' if kind == 'add_credit' else 'no'} amount")
    if amount is not None and (amount <= 0 or amount != amount.quantize(money.CENT)):
        raise ValueError(f"{amount} is no amount of credit: it is above zero, in hundredths")
    return job_text(word=JOB_NAMES[kind], job_id=job_id, address=cid or "", amount=amount)


def parse_job(text: str) -> MeterJob | MeterError:
    """What a meter understands of :func:`encode_job`; never raises."""
    found = wire.fields(text)
    try:
        kind = _JOB_KINDS.get(found.get("job", "").lower())
        if kind is None:
            raise Malformed(f"job must be one of {', '.join(_JOB_KINDS)}")
        return MeterJob(
            kind=kind,
            job_id=wire_types.job_id(found.get("jobid", "")),
            cid=None if kind == "mping" else wire_types.address(found.get("cid", "")),
            amount=(
                wire_types.number_between("amt", found.get("amt", ""), money.CENT, money.LARGEST)
                if kind == "add_credit"
                else None
            ),
        )
    except Malformed as error:
        return MeterError(str(error))


def _stamp(meter_time: datetime) -> str:
    if meter_time.microsecond:
        raise ValueError(f"a meter's time is in whole seconds, not {meter_time}")
    return f"{meter_time:%Y%m%d%H%M%S}"
