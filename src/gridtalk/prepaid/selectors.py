"""Looking at credit: usage."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from gridtalk.grid.models import Circuit


@dataclass(frozen=True)
class Usage:
    """What a circuit used in a span: credit, and on average Wh a day."""

    credit: Decimal
    energy_wh_a_day: Decimal


def circuit_usage(*, circuit: Circuit, start: datetime, end: datetime) -> Usage | None:
    return None
