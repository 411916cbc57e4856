"""What a meter's device says, and what it is told in return: plain values, no codec. Pure.

Source: ``spec/iottalk.md``, "The bridge". How the values become a meter's text stands in
``gateway/meter/wire_device.py``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

#: The features of a meter by which it speaks, with their parameters; one more may follow, the
#: reference.
SPOKEN = MappingProxyType(
    {
        "PrimaryLog-I": ("cid", "meter_time", "status", "watthours", "use_time_s", "credit"),
        "PcuLog-I": ("meter_time", *(f"value {number}" for number in range(1, 10))),
        "Alert-I": ("cid", "code"),
        "JobDone-I": ("job_id", "status", "credit"),
        "Message-I": ("message",),
    }
)
#: The features by which it is spoken to: jobs, and the references of what is stored.
JOB_FEATURE = "Job-O"
ACK_FEATURE = "Ack-O"
NO_AMOUNT = Decimal("0.00")


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a device that is bound to a meter.

    ``values`` is the JSON list with numbers as ``Decimal`` or ``int``, the reference included.
    """

    handle: str
    feature: str
    values: tuple[Any, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of it. ``reference`` goes back on ``Ack-O`` where it is not empty.

    ``known`` says that this reference was stored before.
    """

    reference: str = ""
    known: bool = False
    error: str = ""


class Misshapen(ValueError):  # noqa: N818  its text becomes a reason
    """The values are not those of the feature; the text says what they must be."""


def reference_split(*, feature: str, values: Sequence[Any]) -> tuple[tuple[Any, ...], str]:
    """The feature's own values, and the reference that follows them; empty where none does.

    The reference is given where there is one even if its neighbours are nonsense. Raises
    :class:`Misshapen` where the feature is none of :data:`SPOKEN`, the number of values is wrong,
    or the reference is no text.
    """
    names = SPOKEN.get(feature)
    if names is None:
        raise Misshapen(f"{feature} says nothing to the gateway; {', '.join(SPOKEN)} do")
    if len(values) not in {len(names), len(names) + 1}:
        raise Misshapen(
            f"{feature} has {len(values)} values; it has {len(names)} "
            f"({', '.join(names)}), and may have a reference behind them"
        )
    own, rest = tuple(values[: len(names)]), values[len(names) :]
    if not rest or rest[0] is None:
        return own, ""
    if not isinstance(rest[0], str):
        raise Misshapen(f"the reference of {feature} is no text")
    return own, rest[0]


def reference_found(values: Sequence[Any]) -> str:
    """What is most likely the reference of values that are misshapen: a text at the end."""
    return values[-1] if len(values) > 1 and isinstance(values[-1], str) else ""


def job_values(*, word: str, job_id: int, cid: str, amount: Decimal | None) -> list[Any]:
    """A job as ``Job-O`` takes it: its word (cr, con, coff, cping, mping), number, address, amount.

    The amount has two decimals; jobs without one say 0.00.
    """
    return [word, job_id, cid, NO_AMOUNT if amount is None else amount.quantize(NO_AMOUNT)]
