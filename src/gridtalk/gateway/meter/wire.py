"""The meters' language: :func:`parse` understands what they say, ``wire_encode`` says it. Pure.

Source: ``spec/meter-protocol.md``, which holds the whole grammar. A meter is known by the number
that it writes from; ``mid`` and names inside a text are ignored. Values of the key-value form are
taken as they stand: field meters write ``meter-time=2011-09-07 12:34:56`` with its space, so
neither ``+`` nor ``%`` is decoded.
"""

import re
from collections.abc import Callable
from typing import TypeVar

from gridtalk.gateway.meter import wire_compressed, wire_types
from gridtalk.gateway.meter.wire_types import (
    ALERT_CODES,
    LIMITS,
    METER_ALERT_CODES,
    NULL,
    PCU_VALUES,
    Alert,
    EntryError,
    GatewayPing,
    JobAck,
    Limits,
    Malformed,
    MeterError,
    MeterMessage,
    PcuLog,
    PowerOn,
    PrimaryLogs,
    Reading,
    quoted,
)

__all__ = [
    "ALERT_CODES",
    "LIMITS",
    "METER_ALERT_CODES",
    "PCU_VALUES",
    "Alert",
    "EntryError",
    "GatewayPing",
    "JobAck",
    "Limits",
    "MeterError",
    "MeterMessage",
    "PcuLog",
    "PowerOn",
    "PrimaryLogs",
    "Reading",
    "fields",
    "looks_like_meter",
    "parse",
]

_Value = TypeVar("_Value")
_COMPRESSED = re.compile(r"\(\s*l[^=#]*#")
_PCU = re.compile(r"\(\s*pcu\s*#", re.IGNORECASE)
_ONLINE = re.compile(r"[^\s()=&#]+\s+online", re.IGNORECASE)
# As _COMPRESSED, but upper case too: such a text is a meter's, though it is not in its grammar.
_ALMOST_COMPRESSED = re.compile(r"\(\s*l\s*[0-9a-z]+\s*#", re.IGNORECASE)


def looks_like_meter(text: str) -> bool:
    """Whether a text is in a meter's manner, right or wrong, so that no consumer meant a command.

    ``(hello`` is not; ``ml05 online`` and a compressed message cut in the middle are.
    """
    text = text.strip()
    if text.startswith("("):
        if _COMPRESSED.match(text) or _ALMOST_COMPRESSED.match(text) or _PCU.match(text):
            return True
        return "=" in text and ("&" in text or "job" in fields(text))
    return bool(_ONLINE.match(text)) or ("=" in text and "job" in fields(text))


def parse(text: str, limits: Limits = LIMITS, *, device: bool = False) -> MeterMessage:
    """What a meter's text says; :class:`MeterError` where it says nothing that we understand.

    Never raises, whatever the text. Of a compressed message the good entries are kept and the bad
    ones reported with their position. ``device``: the text is made of what a device said
    (iottalk.md): a value of its power unit may be ``null``, its time be told to the second.
    """
    text = text.strip()
    try:
        if _COMPRESSED.match(text):
            return wire_compressed.decode(_between_brackets(text), limits)
        if _PCU.match(text):
            return _pcu(_between_brackets(text), device=device)
        if _ONLINE.match(text):
            return PowerOn()
        if "=" in text:
            return _key_values(fields(text), limits)
        if _ALMOST_COMPRESSED.match(text):
            raise Malformed("a compressed message begins with (l, in lower case")
        raise Malformed(f"{quoted(text)} is not a meter's message" if text else "the text is empty")
    except Malformed as error:
        return MeterError(str(error))


def fields(text: str) -> dict[str, str]:
    """The keys, in lower case, and values of ``(key=value&…)``; the first value of a key wins.

    The brackets may be missing. White space around keys and values is dropped: long SMS are joined
    with line breaks by some networks.
    """
    text = text.strip().removeprefix("(").removesuffix(")")
    found: dict[str, str] = {}
    for pair in text.split("&"):
        key, _, value = pair.partition("=")
        found.setdefault(key.strip().lower(), value.strip())
    return found


def _between_brackets(text: str) -> str:
    if not text.endswith(")"):
        raise Malformed("the closing bracket is missing: the message was cut or runs on")
    return text[1:-1].strip()


def _needed(found: dict[str, str], key: str) -> str:
    value = found.get(key, "")
    if not value:
        raise Malformed(f"{key} is missing")
    return value


def _key_values(found: dict[str, str], limits: Limits) -> MeterMessage:
    job = found.get("job", "").lower()
    if job == "pp":
        return PrimaryLogs((_reading(found, limits),))
    if job == "delete":
        return _ack(found, limits)
    if job in {"alert", "alerts"}:
        return _alert(found, limits)
    if job == "gateway-ping":
        meter_time = _needed(found, "meter-time")
        if len(meter_time) > limits.ping_characters:
            raise Malformed(f"meter-time is longer than {limits.ping_characters} characters")
        return GatewayPing(meter_time)
    if not job:
        raise Malformed("job is missing: a message says job=pp, delete, alert or gateway-ping")
    raise Malformed(f"job is {quoted(job)}; it must be pp, delete, alert or gateway-ping")


def _reading(found: dict[str, str], limits: Limits) -> Reading:
    cid = wire_types.address(_needed(found, "cid"))
    kind = found.get("ct", "").lower()
    if kind not in {"", "circuit", "mains"}:
        raise Malformed(f"ct is {quoted(kind)}; it must be CIRCUIT or MAINS")
    return Reading(
        cid=cid,
        meter_time=wire_types.timestamp(_needed(found, "ts")),
        status=wire_types.status(_needed(found, "status")),
        use_time_s=wire_types.use_time_s(_needed(found, "tu"), limits),
        watthours=wire_types.watthours(_needed(found, "wh"), limits),
        credit=wire_types.credit(found["cr"], limits) if found.get("cr") else None,
        mains=kind == "mains" or cid.endswith(".200"),
    )


def _ack(found: dict[str, str], limits: Limits) -> JobAck:
    try:
        meter_time = wire_types.timestamp(found.get("ts", ""))
    except Malformed:
        # The job is done whatever the meter's clock says; receipt takes the place of its time.
        meter_time = None
    optional = _Optional(found)
    return JobAck(
        job_id=wire_types.job_id(_needed(found, "jobid")),
        status=optional.read("status", wire_types.status),
        credit=optional.read("cr", lambda text: wire_types.credit(text, limits)),
        meter_time=meter_time,
        errors=tuple(optional.errors),
    )


class _Optional:
    """Values that a message can do without: one that cannot be read is left out and named.

    The message itself still says that a job is done, or that something is wrong at the meter.
    """

    def __init__(self, found: dict[str, str]) -> None:
        self._found = found
        self.errors: list[str] = []

    def read(self, key: str, reads: Callable[[str], _Value]) -> _Value | None:
        text = self._found.get(key, "")
        if not text:
            return None
        try:
            return reads(text)
        except Malformed as error:
            self.errors.append(str(error))
            return None


def _alert(found: dict[str, str], limits: Limits) -> Alert | PowerOn:
    code = _needed(found, "alert").lower()
    if code == "online":
        return PowerOn()
    if code not in ALERT_CODES:
        raise Malformed(
            f"alert is {quoted(code)}; it must be one of {', '.join(ALERT_CODES)}, online"
        )
    optional = _Optional(found)
    return Alert(
        code=code,
        cid=(
            optional.read("cid", wire_types.address)
            if code in METER_ALERT_CODES
            else wire_types.address(_needed(found, "cid"))
        ),
        credit=optional.read("cr", lambda text: wire_types.credit(text, limits)),
        watthours=optional.read("wh", lambda text: wire_types.watthours(text, limits)),
        errors=tuple(optional.errors),
    )


def _pcu(body: str, *, device: bool) -> PcuLog:
    sections = body.split("#")
    if len(sections) != 3:
        raise Malformed(f"a pcu message has two “#”; this has {len(sections) - 1}")
    stamp = sections[1].strip()
    # A device tells the time to the second; in a text that is no time of a power unit.
    if len(stamp) not in ({8, 10, 14} if device else {8, 10}):
        raise Malformed(
            f"the time {quoted(stamp)} of a pcu message is not yymmddHH or yyyymmddHH"
            + (", nor yyyymmddHHMMSS" if device else "")
        )
    texts = [text.strip() for text in sections[2].split(",")]
    if len(texts) not in {PCU_VALUES - 1, PCU_VALUES}:
        raise Malformed(f"a pcu message has 8 or 9 values; this has {len(texts)}")
    values = [
        None if device and text == NULL else wire_types.number(f"value {n}", text)
        for n, text in enumerate(texts[:8], start=1)
    ]
    last = texts[8] if len(texts) == PCU_VALUES else ""
    temperature = wire_types.number("value 9", last) if last else None
    return PcuLog(wire_types.timestamp(stamp), (*values, temperature))
