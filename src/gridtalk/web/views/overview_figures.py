"""What the overview counts, and which meters it shows. Counted in SQL: of a thousand meters and
their circuits only those that are shown are fetched."""

from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings
from django.db import connection
from django.db.models import Case, Count, IntegerField, Max, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Coalesce

from gridtalk.alerts.models import Alert
from gridtalk.core import clock, money
from gridtalk.grid.models import Circuit, Meter
from gridtalk.web.views.meters import MeterRow, meter_rows, meters_with_facts

#: States of a meter as :func:`gridtalk.web.views.meters.meter_state` names them, the worst first.
SILENT, REPORTING, NEW, INACTIVE = range(4)


@dataclass(frozen=True)
class MeterFigures:
    """Of all meters that are not retired; ``worst`` are those which a person should see first."""

    meters: int
    silent: int
    circuits: int
    open_alerts: int
    worst: list[MeterRow]


def meter_figures(*, shown: int) -> MeterFigures:
    """The figures, and the ``shown`` worst meters: silent ones first, then by open alerts."""
    present = Meter.objects.filter(retired_at__isnull=True)
    silent_since = clock.now() - settings.CIRCUIT_SILENCE
    ranked = present.annotate(
        last_reported_at=Max("circuits__last_reported_at"),
        rank=Case(
            When(active=False, then=Value(INACTIVE)),
            When(last_reported_at__isnull=True, then=Value(NEW)),
            When(last_reported_at__lt=silent_since, then=Value(SILENT)),
            default=Value(REPORTING),
            output_field=IntegerField(),
        ),
    )
    raised = Alert.objects.filter(cleared_at__isnull=True)
    alerts = raised.filter(meter=OuterRef("pk")).order_by().values("meter")
    worst = ranked.annotate(
        open_alerts=Coalesce(Subquery(alerts.annotate(number=Count("pk")).values("number")), 0)
    ).order_by("rank", "-open_alerts", "name")
    order = list(worst.values_list("pk", flat=True)[:shown])
    rows = meter_rows(meters_with_facts().filter(pk__in=order))
    counted = ranked.aggregate(meters=Count("pk"), silent=Count("pk", filter=Q(rank=SILENT)))
    return MeterFigures(
        **counted,
        circuits=Circuit.objects.filter(
            is_main=False, retired_at__isnull=True, meter__retired_at__isnull=True
        ).count(),
        open_alerts=raised.filter(meter__retired_at__isnull=True).count(),
        worst=sorted(rows, key=lambda row: order.index(row.meter.pk)),
    )


def sold_today() -> Decimal:
    """Tokens redeemed since midnight in the zone of each one's meter, as the ledger has it.

    What was given without a token is not sold; nor is what was taken back.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SOLD, {"now": clock.now()})
        (sold,) = cursor.fetchone()
    return sold or money.ZERO


# No day is longer than 25 hours: the index (account, time) finds those of a day.
_SOLD = """
    SELECT sum(e.amount) FROM ledger_entries e
    JOIN ledger_accounts a ON a.id = e.debit_account_id AND a.kind = 'tokens'
    JOIN jobs j ON j.id = e.job_id JOIN circuits c ON c.id = j.circuit_id
    JOIN meters m ON m.id = c.meter_id
    WHERE e.cause = 'redemption' AND e.occurred_at > %(now)s::timestamptz - interval '25 hours'
        AND e.occurred_at >= date_trunc('day', %(now)s::timestamptz, m.time_zone)
        AND NOT EXISTS (
            SELECT FROM ledger_entries r WHERE r.job_id = e.job_id AND r.cause = 'reversal')
"""
