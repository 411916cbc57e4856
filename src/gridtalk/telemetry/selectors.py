"""Reading logs: lists, and what they say about meters' health. Sums are in ``consumption.py``, what
charts draw is in ``buckets.py``.

Every selector filters on ``meter_time`` where it can, because partitions are cut by it, and takes
columns of the child alone: a join with ``logs`` probes each of its partitions.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from gridtalk.core import clock
from gridtalk.core.errors import UserError
from gridtalk.grid.models import Circuit, Meter
from gridtalk.telemetry.buckets import (
    PowerPoint,
    Rise,
    credit_point_list,
    power_point_list,
    rise_list,
)
from gridtalk.telemetry.consumption import (
    CreditAdded,
    CreditConsumed,
    EnergyDay,
    credit_consumed,
    energy_by_day,
)
from gridtalk.telemetry.families import LOGS
from gridtalk.telemetry.models import Log, PCULog, PrimaryLog

__all__ = [
    "CreditAdded",
    "CreditConsumed",
    "EnergyDay",
    "Gap",
    "Latency",
    "PowerPoint",
    "Rise",
    "Uptime",
    "credit_consumed",
    "credit_point_list",
    "energy_by_day",
    "gap_list",
    "latency_list",
    "log_list",
    "pcu_log_list",
    "power_point_list",
    "primary_log_list",
    "rise_list",
    "uptime_list",
]

UPTIME_SPAN = timedelta(days=7)
UPTIME_HOURS = UPTIME_SPAN // timedelta(hours=1)
#: Two reports of a meter further apart than this are a gap: an hourly report and half an hour.
GAP_THRESHOLD_S = 5400

PRIMARY_LOG_COLUMNS = (
    "log_id",
    "circuit_id",
    "meter_time",
    "watthours",
    "use_time_s",
    "status",
    "credit",
    "clock_ahead",
    "latency_s",
)
PCU_LOG_COLUMNS = (
    "log_id",
    "meter_id",
    "meter_time",
    "cumulative_kwh_solar",
    "cumulative_kwh_battery_charge",
    "cumulative_kwh_discharge",
    "battery_volts",
    "battery_charge",
    "battery_discharge",
    "solar_amps",
    "solar_volts",
    "battery_temp",
)


def primary_log_list(
    *,
    start: datetime,
    end: datetime,
    meter_id: int | None = None,
    circuit_id: int | None = None,
    clock_ahead: bool = True,
    received: bool = False,
) -> QuerySet[PrimaryLog, dict[str, Any]]:
    """Hourly reports with ``start`` < meter time ≤ ``end``, oldest first, as dictionaries.

    Of one circuit, of all circuits of one meter, or of all. ``clock_ahead=False`` leaves out the
    flagged ones. ``received=True`` adds ``received_at`` and ``message_id``, at the price of a join;
    the receipt to the second is ``meter_time`` + ``latency_s`` anyhow. Keys: ``log_id`` and the
    columns of ``primary_logs``.
    """
    found = PrimaryLog.objects.filter(meter_time__gt=start, meter_time__lte=end)
    if circuit_id is not None:
        found = found.filter(circuit_id=circuit_id)
    if meter_id is not None:
        found = found.filter(circuit__meter_id=meter_id)
    if not clock_ahead:
        found = found.filter(clock_ahead=False)
    columns = (
        (*PRIMARY_LOG_COLUMNS, "received_at", "message_id") if received else PRIMARY_LOG_COLUMNS
    )
    rows: QuerySet[PrimaryLog, dict[str, Any]] = found.order_by("meter_time", "circuit_id").values(
        *columns
    )
    return rows


def pcu_log_list(
    *, start: datetime, end: datetime, meter_id: int | None = None
) -> QuerySet[PCULog, dict[str, Any]]:
    """Power units' reports with ``start`` < meter time ≤ ``end``, oldest first, as dictionaries."""
    found = PCULog.objects.filter(meter_time__gt=start, meter_time__lte=end)
    if meter_id is not None:
        found = found.filter(meter_id=meter_id)
    rows: QuerySet[PCULog, dict[str, Any]] = found.order_by("meter_time", "meter_id").values(
        *PCU_LOG_COLUMNS
    )
    return rows


def log_list(
    *,
    start: datetime,
    end: datetime,
    meter: Meter | None = None,
    circuit: Circuit | None = None,
    limit: int = 100,
    offset: int = 0,
) -> list[Any]:
    """Logs as their children with ``start`` < meter time ≤ ``end``, newest meter time first.

    Of a meter: its power unit's and those of all its circuits; of a circuit: its own. Columns of
    the base (receipt, message) come with them: for charts of many rows take the lists of one kind.
    """
    primary = PrimaryLog.objects.filter(meter_time__gt=start, meter_time__lte=end)
    pcu = PCULog.objects.filter(meter_time__gt=start, meter_time__lte=end)
    if meter is not None:
        primary, pcu = primary.filter(circuit__meter=meter), pcu.filter(meter=meter)
    if circuit is not None:
        primary, pcu = primary.filter(circuit=circuit), pcu.none()
    times: list[tuple[datetime, int]] = []
    for found in (primary, pcu):
        newest = found.order_by("-meter_time", "-log_id").values_list("meter_time", "log_id")
        times += newest[: offset + limit]
    ids = [log_id for _, log_id in sorted(times, reverse=True)[offset : offset + limit]]
    bases = Log.objects.in_bulk(ids)
    return LOGS.children(bases[log_id] for log_id in ids)


@dataclass(frozen=True, slots=True)
class LaterReport:
    """What a circuit's newest report says, and the last credit that was reported before it."""

    status: int
    credit: Decimal | None
    credit_before: Decimal | None


def report_after_message(*, circuit_id: int, message_id: int) -> LaterReport | None:
    """The circuit's newest report by meter time, if its message came after that one; else None.

    ``credit_before``: of the newest report that came before the message. Reports whose clock was
    ahead are passed over.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LATER, {"circuit": circuit_id, "message": message_id})
        row = cursor.fetchone()
    return LaterReport(*row) if row else None


_LATER = """
    SELECT newest.status, newest.credit, (
        SELECT p.credit FROM primary_logs p JOIN logs l ON l.id = p.id
        WHERE p.circuit_id = %(circuit)s AND p.meter_time < newest.meter_time
            AND NOT p.clock_ahead AND p.credit IS NOT NULL AND l.message_id < %(message)s
        ORDER BY p.meter_time DESC LIMIT 1
    ) FROM (
        SELECT id, meter_time, status, credit FROM primary_logs
        WHERE circuit_id = %(circuit)s AND NOT clock_ahead ORDER BY meter_time DESC LIMIT 1
    ) newest JOIN logs l ON l.id = newest.id WHERE l.message_id > %(message)s
"""


@dataclass(frozen=True, slots=True)
class Uptime:
    """Distinct hours with a mains report in the last seven days, of :data:`UPTIME_HOURS`."""

    hours: int

    @property
    def of(self) -> int:
        """All hours of the seven days."""
        return UPTIME_HOURS

    @property
    def share(self) -> float:
        """0 to 1."""
        return self.hours / UPTIME_HOURS


def uptime_list(
    *, meter_ids: Iterable[int] | None = None, at: datetime | None = None
) -> dict[int, Uptime]:
    """Uptime by meter: distinct hours with a mains report in the last 7 days, of 168.

    Every meter asked for is in it, silent ones with 0 hours; without ``meter_ids`` all are. What a
    clock that is ahead has stamped counts when its hour has come: the meter is up. It reads some
    170 index entries for each meter: ask for those that are shown. Source: gateway.md 6.
    """
    end = at or clock.now()
    with connection.cursor() as cursor:
        cursor.execute(_UPTIME, {"start": end - UPTIME_SPAN, "end": end, "meters": _ids(meter_ids)})
        # Seven days that begin within an hour touch one hour more.
        return {meter_id: Uptime(min(hours, UPTIME_HOURS)) for meter_id, hours in cursor.fetchall()}


# Of the reports only what the index (circuit, time) holds is asked: their rows lie in as many
# pages, and for a list of meters that took seconds from a cold disk.
_UPTIME = """
    SELECT m.id, u.hours FROM meters m
    LEFT JOIN circuits c ON c.meter_id = m.id AND c.is_main
    CROSS JOIN LATERAL (
        SELECT count(DISTINCT date_trunc('hour', p.meter_time)) AS hours
        FROM primary_logs p
        WHERE p.circuit_id = c.id AND p.meter_time > %(start)s AND p.meter_time <= %(end)s
    ) u
    WHERE %(meters)s::int[] IS NULL OR m.id = ANY(%(meters)s::int[]) ORDER BY m.id
"""


@dataclass(frozen=True, slots=True)
class Gap:
    """A silence of a meter, in gateway time; ``end`` is null where it still lasts."""

    meter_id: int
    start: datetime
    end: datetime | None
    seconds: float


def gap_list(
    *,
    start: datetime,
    end: datetime,
    meter_ids: Iterable[int] | None = None,
    threshold_s: int = GAP_THRESHOLD_S,
) -> list[Gap]:
    """Silences of more than ``threshold_s`` seconds that lasted into (start, end], by meter.

    Between neighbouring reports by gateway time; one that began before ``start`` is whole. Still
    down is a meter whose last report before ``end`` is that old; one that never reported is none.
    Raises :class:`UserError` where the threshold is not positive. Source: gateway.md 6.
    """
    if threshold_s <= 0:
        raise UserError(f"a gap lasts more than 0 seconds, not {threshold_s}; 5400 is usual")
    with connection.cursor() as cursor:
        cursor.execute(
            _GAPS,
            {"start": start, "end": end, "meters": _ids(meter_ids), "threshold": threshold_s},
        )
        return [
            Gap(meter_id, since, until, (until or end).timestamp() - since.timestamp())
            for meter_id, since, until in cursor.fetchall()
        ]


# The last report before the span is looked up by circuit: meter_time + latency_s is its receipt.
_GAPS = """
    WITH wanted AS (
        SELECT c.id, c.meter_id FROM circuits c
        WHERE %(meters)s::int[] IS NULL OR c.meter_id = ANY(%(meters)s::int[])
    ), before AS (
        SELECT w.meter_id, max(p.received) AS received_at FROM wanted w CROSS JOIN LATERAL (
            SELECT meter_time + latency_s * interval '1 second' AS received FROM primary_logs
            WHERE circuit_id = w.id AND meter_time <= %(start)s
                AND meter_time + latency_s * interval '1 second' <= %(start)s
            ORDER BY meter_time DESC LIMIT 1
        ) p GROUP BY w.meter_id
    ), reports AS (
        SELECT meter_id, received_at FROM before
        UNION
        SELECT w.meter_id, l.received_at FROM logs l
        JOIN primary_logs p ON p.id = l.id JOIN wanted w ON w.id = p.circuit_id
        WHERE l.received_at > %(start)s AND l.received_at <= %(end)s
    ), neighbours AS (
        SELECT meter_id, received_at,
            lead(received_at) OVER (PARTITION BY meter_id ORDER BY received_at) AS next
        FROM reports
    )
    SELECT meter_id, received_at, next FROM neighbours
    WHERE coalesce(next, %(end)s) - received_at > %(threshold)s * interval '1 second'
    ORDER BY meter_id, received_at
"""


@dataclass(frozen=True, slots=True)
class Latency:
    """Receipt minus meter time of a meter's reports, in seconds; negative: its clock is ahead."""

    meter_id: int
    reports: int
    median_s: int
    p95_s: int
    largest_s: int


def latency_list(
    *, start: datetime, end: datetime, meter_ids: Iterable[int] | None = None
) -> list[Latency]:
    """How late meters' reports with ``start`` < meter time ≤ ``end`` came; silent meters are not in
    it. Source: gateway.md 6 (gateway time less meter time).
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.meter_id, count(*), percentile_disc(0.5) WITHIN GROUP (ORDER BY p.latency_s),"
            " percentile_disc(0.95) WITHIN GROUP (ORDER BY p.latency_s), max(p.latency_s)"
            " FROM primary_logs p JOIN circuits c ON c.id = p.circuit_id"
            " WHERE p.meter_time > %s AND p.meter_time <= %s"
            " AND (%s::int[] IS NULL OR c.meter_id = ANY(%s::int[]))"
            " GROUP BY c.meter_id ORDER BY c.meter_id",
            [start, end, *[_ids(meter_ids)] * 2],
        )
        return [Latency(*row) for row in cursor.fetchall()]


def _ids(ids: Iterable[int] | None) -> list[int] | None:
    return None if ids is None else list(ids)
