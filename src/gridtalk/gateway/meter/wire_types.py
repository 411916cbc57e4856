"""What meters say, as frozen values; strict numbers and meter times. Pure.

Source: ``spec/meter-protocol.md``. Inside, numbers are exact Decimals and times are naive: the
meter's local time, whose zone is on the meter.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from gridtalk.core import money

#: Values of a PCU report: kWh solar (cumulative), kWh into and out of the battery, battery V,
#: battery charge, battery discharge, solar A, solar V, battery temperature °C.
PCU_VALUES = 9
#: What stands for a value that a device does not measure.
NULL = "null"

ALERT_CODES = ("lcw", "nocw", "pmax", "emax", "md", "ce", "sdc")
#: Alerts that speak of the whole meter, so that they need no ``cid``.
METER_ALERT_CODES = frozenset({"md", "sdc"})


@dataclass(frozen=True, slots=True)
class Limits:
    """What a believable number is; beyond, an entry is an error. Defaults: meter-protocol.md."""

    use_time_s: int = 86_400
    watthours: Decimal = Decimal("999999.9")
    credit: Decimal = money.LARGEST
    #: The most characters of a ping's meter-time: it is sent back, in one SMS.
    ping_characters: int = 100


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Reading:
    """One circuit's hourly report. ``watthours`` since local midnight; ``credit`` null for mains.

    A key-value message may carry more decimals than the columns hold: round where you store.
    """

    cid: str
    meter_time: datetime
    status: int
    use_time_s: Decimal
    watthours: Decimal
    credit: Decimal | None
    mains: bool


@dataclass(frozen=True, slots=True)
class EntryError:
    """A bad entry of a compressed message; ``entry`` counts from 1 over both sections."""

    entry: int
    reason: str


@dataclass(frozen=True, slots=True)
class PrimaryLogs:
    """Hourly reports: the good entries and the bad ones, each in the order of the message."""

    entries: tuple[Reading, ...]
    errors: tuple[EntryError, ...] = ()


@dataclass(frozen=True, slots=True)
class JobAck:
    """``job=delete``: the meter has done a job. Only ``job_id`` is sure to be there.

    ``errors``: what was there and could not be read; it counts as absent.
    """

    job_id: int
    status: int | None = None
    credit: Decimal | None = None
    meter_time: datetime | None = None
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert with one of :data:`ALERT_CODES`; ``cid`` is there where the code needs it.

    ``errors``: what was there and could not be read; it counts as absent.
    """

    code: str
    cid: str | None = None
    credit: Decimal | None = None
    watthours: Decimal | None = None
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PowerOn:
    """The meter came on."""


@dataclass(frozen=True, slots=True)
class PcuLog:
    """The power conditioning unit's report: :data:`PCU_VALUES` values.

    Of an SMS the last may be null, of a device any.
    """

    meter_time: datetime
    values: tuple[Decimal | None, ...]


@dataclass(frozen=True, slots=True)
class GatewayPing:
    """Somebody asks whether the gateway is there; ``meter_time`` is their own writing of a time."""

    meter_time: str


@dataclass(frozen=True, slots=True)
class MeterError:
    """The text cannot be understood; ``reason`` names what is wrong and what is awaited."""

    reason: str


MeterMessage = PrimaryLogs | JobAck | Alert | PowerOn | PcuLog | GatewayPing | MeterError


class Malformed(Exception):  # noqa: N818  never leaves this package: parse() turns it into a value
    """A part of a message is wrong; its text becomes a reason."""


#: Bounded, so that neither int() nor Decimal() ever meets a megabyte of digits. A device's float
#: may be as small as 1.1e-16, which takes 32 decimals, or 1e-308.
MOST_WHOLE_DIGITS = 20
MOST_DECIMALS = 400
_NUMBER = re.compile(
    rf"[+-]?(?:[0-9]{{1,{MOST_WHOLE_DIGITS}}}(?:\.[0-9]{{0,{MOST_DECIMALS}}})?"
    rf"|\.[0-9]{{1,{MOST_DECIMALS}}})"
)
_WHOLE = re.compile(r"[0-9]{1,20}")
_ADDRESS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_LARGEST_ID = 2**63 - 1
_ZERO = Decimal(0)


def quoted(text: str) -> str:
    """The text as a reason shows it: in quotation marks, cut at 40 characters."""
    return f"“{text}”" if len(text) <= 40 else f"“{text[:39]}…”"


def number(name: str, text: str) -> Decimal:
    """A plain decimal number, exact; no exponent, no NaN, no ``1_0``, ASCII digits alone."""
    if not _NUMBER.fullmatch(text):
        raise Malformed(f"{name} is {quoted(text)}; it must be a plain number such as 20.10")
    value = Decimal(text)
    return value or value.copy_abs()


def number_between(name: str, text: str, lowest: Decimal, highest: Decimal | int) -> Decimal:
    """A plain decimal number from ``lowest`` to ``highest``."""
    value = number(name, text)
    if not lowest <= value <= highest:
        raise Malformed(f"{name} is {quoted(text)}; it must be from {lowest} to {highest}")
    return value


def watthours(text: str, limits: Limits) -> Decimal:
    """``wh``."""
    return number_between("wh", text, _ZERO, limits.watthours)


def use_time_s(text: str, limits: Limits) -> Decimal:
    """``tu``, in seconds."""
    return number_between("tu", text, _ZERO, limits.use_time_s)


def credit(text: str, limits: Limits) -> Decimal:
    """``cr``; may be negative."""
    return number_between("cr", text, -limits.credit, limits.credit)


def status(text: str) -> int:
    """``status``: 0 off, 1 on."""
    if text not in {"0", "1"}:
        raise Malformed(f"status is {quoted(text)}; it must be 0 (off) or 1 (on)")
    return int(text)


def job_id(text: str) -> int:
    """``jobid``."""
    if not _WHOLE.fullmatch(text) or int(text) > _LARGEST_ID:
        raise Malformed(f"jobid is {quoted(text)}; it must be a whole number")
    return int(text)


def address(text: str) -> str:
    """``cid``; circuits' addresses run to .299, so this is no IP address in the strict sense."""
    if not _ADDRESS.fullmatch(text):
        raise Malformed(f"cid is {quoted(text)}; it must be an address such as 192.168.1.201")
    return text


def hour(digits: str, shown: str) -> datetime:
    """``yymmddHH`` as a time of this century."""
    return _time(f"20{digits}", shown)


def timestamp(text: str) -> datetime:
    """``ts`` of 8 (``yymmddHH``), 10 (``yyyymmddHH``), 12 or 14 digits.

    Twelve are ``yyyymmddHHMM``, the 14 without seconds; where they do not begin with 20 they cannot
    be, and are ``yymmddHHMMSS``, the 8 with minutes and seconds.
    """
    if not _WHOLE.fullmatch(text) or len(text) not in {8, 10, 12, 14}:
        raise Malformed(
            f"ts is {quoted(text)}; it must be yymmddHH or yyyymmddHH, "
            "or one of them with minutes and seconds"
        )
    if len(text) == 8 or (len(text) == 12 and not text.startswith("20")):
        return hour(text, text)
    return _time(text, text)


def _time(digits: str, shown: str) -> datetime:
    """``yyyymmddHH[MM[SS]]``."""
    year, rest = int(digits[:4]), digits[4:]
    parts = [int(rest[start : start + 2]) for start in range(0, len(rest), 2)]
    try:
        # Beyond these years a time zone's offset can leave what datetime holds.
        if not 1970 <= year <= 2099:
            raise ValueError
        return datetime(year, *parts)  # type: ignore[arg-type]  # noqa: DTZ001  a meter's local time
    except ValueError:
        raise Malformed(f"the time {quoted(shown)} is not a date and hour") from None
