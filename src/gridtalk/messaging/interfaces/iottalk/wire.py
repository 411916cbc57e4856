"""What a meter's device says, and what it is told in return: plain values, no codec."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


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
