"""Looking at credit: usage, and what a circuit may have that its meter has not said."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Sum

from gridtalk.core import clock
from gridtalk.core.money import ZERO
from gridtalk.grid.models import Circuit
from gridtalk.prepaid.models import LedgerEntry
from gridtalk.telemetry.models import PrimaryLog
from gridtalk.telemetry.selectors import CreditAdded, credit_consumed, energy_by_day

#: Deliveries so long before and after the span are looked at: reports and acknowledgements of one
#: credit may carry times that are some hours apart.
AROUND = timedelta(hours=6)
#: However late a report comes, its clock may be right: networks hold texts back for days. Only a
#: clock that is ahead betrays itself (``latency_s`` is an int4, so all late ones pass).
LATEST_S = 2**31 - 1


@dataclass(frozen=True)
class Usage:
    """What a circuit used in a span: credit, and on average Wh a day."""

    credit: Decimal
    energy_wh_a_day: Decimal


def circuit_usage(*, circuit: Circuit, start: datetime, end: datetime) -> Usage | None:
    """Credit consumed in (start, end], and the average Wh of the days that had a report.

    ``circuit`` with its meter. Days are those of the meter's zone on which ``start`` and ``end``
    fall, and all between. None where there is no report in the span. Source: gateway.md 2 (usage)
    and 6 (formula).
    """
    reported = PrimaryLog.objects.filter(
        circuit=circuit, clock_ahead=False, meter_time__gt=start, meter_time__lte=end
    )
    if not reported.exists():
        return None
    credit = credit_consumed(
        circuit_ids=[circuit.pk],
        start=start,
        end=end,
        added=credit_added_list(circuit=circuit, start=start - AROUND, end=end + AROUND),
        latest_s=LATEST_S,
    )[circuit.pk]
    zone = clock.zone(circuit.meter.time_zone)
    days = energy_by_day(
        circuit_ids=[circuit.pk],
        first_day=start.astimezone(zone).date(),
        last_day=end.astimezone(zone).date(),
    )
    energy = sum((day.energy_wh for day in days), ZERO)
    return Usage(
        credit=credit.consumed,
        energy_wh_a_day=(energy / len(days)).quantize(ZERO) if days else ZERO,
    )


def credit_estimate(*, circuit: Circuit) -> Decimal:
    """The circuit's credit as its meter said it last, and what it confirmed since without saying.

    What was used since is not known, and not taken off.
    """
    since = {} if circuit.credit_as_of is None else {"occurred_at__gt": circuit.credit_as_of}
    added = LedgerEntry.objects.filter(
        credit_account__circuit=circuit, cause=LedgerEntry.Cause.DELIVERY, **since
    ).aggregate(total=Sum("amount"))["total"]
    return circuit.credit + (added or ZERO)


def credit_added_list(*, circuit: Circuit, start: datetime, end: datetime) -> list[CreditAdded]:
    """Credit that the circuit's meter confirmed in (start, end], as the ledger has it."""
    rows = LedgerEntry.objects.filter(
        credit_account__circuit=circuit,
        cause=LedgerEntry.Cause.DELIVERY,
        occurred_at__gt=start,
        occurred_at__lte=end,
    ).order_by("occurred_at", "pk")
    return [
        CreditAdded(circuit.pk, at, amount)
        for at, amount in rows.values_list("occurred_at", "amount")
    ]
