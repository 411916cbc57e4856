"""Compressed primary logs: ``(l<base 36 hour>#<circuits on>#<circuits off>)``. Pure.

Source: ``spec/meter-protocol.md``; the meters of 2011 to 2014 packed an hour's reports of a village
into as few SMS as they could.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from gridtalk.gateway.meter.wire_types import (
    LIMITS,
    EntryError,
    Limits,
    Malformed,
    PrimaryLogs,
    Reading,
    hour,
    quoted,
)

SMS_CHARACTERS = 160
DAY_S = 86_400

ADDRESSES = tuple(f"192.168.1.2{last:02d}" for last in range(100))
MAINS_ADDRESS = ADDRESSES[0]
_NUMBER_OF_ADDRESS = {address: number for number, address in enumerate(ADDRESSES)}

_DIGITS = r"\s*([0-9A-Za-z]{1,20})\s*"
_MAINS = re.compile(rf"{_DIGITS}(?:,{_DIGITS})?")
# What follows the fourth field is ignored: later firmware adds fields there.
_CIRCUIT = re.compile(
    rf"{_DIGITS},{_DIGITS},{_DIGITS},\s*([+-]?[0-9A-Za-z]{{1,20}})\s*(?:,.*)?", re.DOTALL
)
_STAMP = re.compile(_DIGITS)
_FIELDS = ("circuit number", "tu", "wh", "cr")
_BASE = 36
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FULL_DAY = Decimal(DAY_S)


def decode(body: str, limits: Limits = LIMITS) -> PrimaryLogs:
    """What stands between the brackets, the ``l`` included.

    Entry by entry: a bad one becomes an :class:`EntryError`, its neighbours are kept. Raises
    :class:`Malformed` where the frame or the hour is bad.
    """
    sections = body[1:].split("#")
    if len(sections) != 3:
        raise Malformed(
            f"a compressed message has two “#”, after the hour and after the circuits on; "
            f"this has {len(sections) - 1}"
        )
    meter_time = _hour(sections[0])
    entries: list[Reading] = []
    errors: list[EntryError] = []
    position = 0
    # Decimals once per message; the entries compare whole numbers.
    bounds = (limits.use_time_s, int(limits.watthours * 10), int(limits.credit * 100))
    for status, section in ((1, sections[1]), (0, sections[2])):
        if not section or section.isspace():
            continue
        for text in section.split(";"):
            position += 1
            try:
                if match := _CIRCUIT.fullmatch(text):
                    entries.append(_circuit(match.groups(), status, meter_time, bounds))
                elif status and (match := _MAINS.fullmatch(text)):
                    entries.append(_mains(match.groups(), meter_time, bounds))
                else:
                    errors.append(EntryError(position, _why_not(text, status)))
            except Malformed as error:
                errors.append(EntryError(position, str(error)))
    return PrimaryLogs(tuple(entries), tuple(errors))


def _hour(text: str) -> datetime:
    match = _STAMP.fullmatch(text)
    if not match:
        raise Malformed(f"the hour {quoted(text)} is not yymmddHH in base 36")
    digits = f"{int(match[1], _BASE):08d}"
    if len(digits) != 8:
        raise Malformed(f"the hour {quoted(text)} stands for {quoted(digits)}, not for yymmddHH")
    return hour(digits, digits)


def _circuit(
    fields: Sequence[str], status: int, meter_time: datetime, bounds: tuple[int, int, int]
) -> Reading:
    number = int(fields[0], _BASE)
    use_time_s = int(fields[1], _BASE)
    watthours_10 = int(fields[2], _BASE)
    credit_100 = int(fields[3], _BASE)
    if number > 99:
        raise Malformed(f"the circuit number is {number}; it must be from 0 to 99")
    _check(use_time_s, watthours_10, bounds)
    if not -bounds[2] <= credit_100 <= bounds[2]:
        raise Malformed(f"cr is beyond ±{Decimal(bounds[2]).scaleb(-2)}")
    return Reading(
        ADDRESSES[number],
        meter_time,
        status,
        Decimal(use_time_s),
        Decimal(watthours_10).scaleb(-1),
        Decimal(credit_100).scaleb(-2),
        number == 0,
    )


def _mains(
    fields: Sequence[str | None], meter_time: datetime, bounds: tuple[int, int, int]
) -> Reading:
    watthours_10 = int(fields[0] or "", _BASE)
    use_time_s = DAY_S if fields[1] is None else int(fields[1], _BASE)
    _check(use_time_s if fields[1] else 0, watthours_10, bounds)
    return Reading(
        MAINS_ADDRESS,
        meter_time,
        1,
        Decimal(use_time_s),
        Decimal(watthours_10).scaleb(-1),
        None,
        mains=True,
    )


def _check(use_time_s: int, watthours_10: int, bounds: tuple[int, int, int]) -> None:
    if use_time_s > bounds[0]:
        raise Malformed(f"tu is {use_time_s} s; at most {bounds[0]} s are in a report")
    if watthours_10 > bounds[1]:
        raise Malformed(
            f"wh is {Decimal(watthours_10).scaleb(-1)}; at most {Decimal(bounds[1]).scaleb(-1)} "
            "is believed"
        )


def _why_not(text: str, status: int) -> str:
    """Which part of an entry breaks the grammar."""
    if not text.strip():
        return "the entry is empty"
    fields = [field.strip() for field in text.split(",", maxsplit=4)[:4]]
    if len(fields) == 3 or (not status and len(fields) < 4):
        awaited = "four (number,tu,wh,cr)" + (", or one or two for the mains" if status else "")
        return f"the entry has {len(fields)} field(s); it must have {awaited}"
    names = _FIELDS if len(fields) == 4 else ("wh", "tu")
    for name, field in zip(names, fields, strict=False):
        digits = field[1:] if name == "cr" and field[:1] in {"+", "-"} else field
        if not field:
            return f"{name} is empty"
        if not _STAMP.fullmatch(digits) or digits != digits.strip():
            return f"{name} is {quoted(field)}; it must be a number in base 36" + (
                "" if name == "cr" else " without a sign"
            )
    return f"{quoted(text)} is not number,tu,wh,cr in base 36"


def base36(number: int) -> str:
    """A whole number in base 36, upper case, as the meters write it."""
    digits = ""
    rest = abs(number)
    while rest or not digits:
        rest, digit = divmod(rest, _BASE)
        digits = _ALPHABET[digit] + digits
    return f"-{digits}" if number < 0 else digits


def encode(readings: Iterable[Reading], *, limits: Limits = LIMITS) -> list[str]:
    """The reports of one hour as SMS texts of at most 160 characters; none for no report.

    Greedy in order, as the meters do: a new SMS when 160 characters would be passed, the prefix
    repeated. A mains report comes first, in the first SMS alone. Watt-hours are rounded to tenths,
    credit to hundredths, seconds to whole ones, half to even. Raises ``ValueError`` where a report
    cannot be said in this grammar.
    """
    texts: list[str] = []
    on: list[str] = []
    off: list[str] = []
    prefix = ""
    meter_time: datetime | None = None
    for reading in sorted(readings, key=_is_mains_entry, reverse=True):
        if meter_time is None:
            meter_time = reading.meter_time
            prefix = _prefix(meter_time)
        elif reading.meter_time != meter_time:
            raise ValueError("all reports of a compressed message are of one hour")
        entry = _entry(reading, limits)
        chosen = on if reading.status else off
        chosen.append(entry)
        if len(_frame(prefix, on, off)) > SMS_CHARACTERS:
            chosen.pop()
            texts.append(_frame(prefix, on, off))
            on, off = ([entry], []) if reading.status else ([], [entry])
    if on or off:
        texts.append(_frame(prefix, on, off))
    return texts


def _is_mains_entry(reading: Reading) -> bool:
    return reading.credit is None


def _frame(prefix: str, on: list[str], off: list[str]) -> str:
    return f"({prefix}#{';'.join(on)}#{';'.join(off)})"


def _prefix(meter_time: datetime) -> str:
    if (meter_time.minute, meter_time.second, meter_time.microsecond) != (0, 0, 0):
        raise ValueError(f"a compressed message is of a whole hour, not of {meter_time}")
    if not 2000 <= meter_time.year <= 2099:
        raise ValueError(
            f"a compressed message is of the years 2000 to 2099, not {meter_time.year}"
        )
    return f"l{base36(int(f'{meter_time:%y%m%d%H}'))}"


def _entry(reading: Reading, limits: Limits) -> str:
    number = _NUMBER_OF_ADDRESS.get(reading.cid)
    if number is None:
        raise ValueError(f"{reading.cid} is not an address from {ADDRESSES[0]} to {ADDRESSES[-1]}")
    if not 0 <= reading.use_time_s <= limits.use_time_s:
        raise ValueError(f"{reading.use_time_s} s is not a use time of a report")
    if not 0 <= reading.watthours <= limits.watthours:
        raise ValueError(f"{reading.watthours} Wh is not an energy of a report")
    use_time = base36(_whole(reading.use_time_s))
    watthours = base36(_whole(reading.watthours * 10))
    if reading.credit is not None:
        if abs(reading.credit) > limits.credit:
            raise ValueError(f"{reading.credit} is not a credit of a report")
        return f"{base36(number)},{use_time},{watthours},{base36(_whole(reading.credit * 100))}"
    if number != 0 or reading.status != 1:
        raise ValueError(
            f"the report of {reading.cid} must have a credit: it is no mains that is on"
        )
    return watthours if reading.use_time_s == _FULL_DAY else f"{watthours},{use_time}"


def _whole(number: Decimal) -> int:
    return int(number.to_integral_value(rounding=ROUND_HALF_EVEN))
