"""Reports gathered into the hours, days or points that a chart draws. In SQL.

What is read is bounded by what is drawn, not by how often a meter reports, and what is left out is
never the newest.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from django.db import connection

#: So many reports of all circuits together are read one by one.
MOST_READINGS = 20_000
#: But of each circuit so many: a month of hourly reports.
LEAST_READINGS = 750
#: A rise is a difference: so much before the span is read too.
BEFORE = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Rise:
    """What a circuit's counters rose in an hour or a day: energy in Wh, time in use in seconds.

    ``at`` is the end of the hour, or the noon of the day, in the zone that was asked for.
    """

    circuit_id: int
    at: datetime
    energy_wh: Decimal
    use_time_s: Decimal


def rise_list(
    *,
    circuit_ids: Iterable[int],
    zone: str,
    start: datetime,
    end: datetime,
    by: Literal["hour", "day"],
    most: int = MOST_READINGS,
) -> list[Rise]:
    """Rises by hour or by day of ``zone``, by circuit, oldest first; one without reports is not in.

    ``start`` is the beginning of an hour, or of a day. The hour 13 to 14 holds the report of 14:00,
    not that of 13:00. The counters start anew at local midnight; a drop inside a day is a restart,
    what had been counted is kept; a report of 00:00 which goes on counting belongs to the day
    before. The first report of a circuit tells nothing of its hour, but all of its day. Flagged
    reports are left out. As ``energy_by_day``; source: gateway.md 6.

    Of a circuit with more reports than its part of ``most``, the newest of each hour is taken for
    the older ones: there an hour is right to one report, and a restart costs what was counted since
    the hour before.
    """
    ids = list(circuit_ids)
    values: dict[str, Any] = {
        "circuits": ids,
        "zone": zone,
        "start": start,
        "before": start - BEFORE,
        "end": end,
        "by_day": by == "day",
        "most": max(most // max(1, len(ids)), min(most, LEAST_READINGS)),
    }
    with connection.cursor() as cursor:
        cursor.execute(_CROWDED, values)
        crowded = cursor.fetchall()
        values["crowded"] = [circuit_id for circuit_id, _since in crowded]
        values["since"] = [since for _circuit_id, since in crowded]
        cursor.execute(_RISES, values)
        return [
            # Thousands of instants are read faster as numbers.
            Rise(circuit_id, datetime.fromtimestamp(at, UTC), energy_wh, use_time_s)
            for circuit_id, at, energy_wh, use_time_s in cursor.fetchall()
        ]


# Which circuits have more reports than are read one by one, and since when they are read so. Asked
# for by itself: PostgreSQL would take the reading by the hour for a costly plan where there is none
# to do, and compile it (JIT), which takes longer than the rest.
_CROWDED = """
    SELECT w.circuit_id, p.meter_time FROM unnest(%(circuits)s::int[]) AS w(circuit_id)
    CROSS JOIN LATERAL (
        SELECT meter_time FROM primary_logs
        WHERE circuit_id = w.circuit_id AND NOT clock_ahead
            AND meter_time > %(before)s AND meter_time <= %(end)s
        ORDER BY meter_time DESC OFFSET %(most)s - 1 LIMIT 1
    ) p
"""

# recent: the newest reports of each circuit; older: of a crowded one, one an hour; not that of the
# full hour, which at midnight may say the new day's nothing.
_RISES = """
    WITH recent AS (
        SELECT w.circuit_id, p.* FROM unnest(%(circuits)s::int[]) AS w(circuit_id)
        CROSS JOIN LATERAL (
            SELECT meter_time, watthours, use_time_s FROM primary_logs
            WHERE circuit_id = w.circuit_id AND NOT clock_ahead
                AND meter_time > %(before)s AND meter_time <= %(end)s
            ORDER BY meter_time DESC LIMIT %(most)s
        ) p
    ), older AS (
        SELECT w.circuit_id, p.*
        FROM unnest(%(crowded)s::int[], %(since)s::timestamptz[]) AS w(circuit_id, since)
        CROSS JOIN LATERAL generate_series(
            %(before)s::timestamptz, w.since, interval '1 hour') AS hours(began)
        CROSS JOIN LATERAL (
            SELECT meter_time, watthours, use_time_s FROM primary_logs
            WHERE circuit_id = w.circuit_id AND NOT clock_ahead AND meter_time >= hours.began
                AND meter_time < hours.began + interval '1 hour' AND meter_time < w.since
            ORDER BY meter_time DESC LIMIT 1
        ) p
    ), readings AS (
        SELECT *, meter_time AT TIME ZONE %(zone)s AS local
        FROM (SELECT * FROM recent UNION ALL SELECT * FROM older) one
    ), pairs AS (
        SELECT *, lag(watthours) OVER w AS watthours_before,
            lag(use_time_s) OVER w AS use_time_before, lag(local) OVER w AS local_before
        FROM readings WINDOW w AS (PARTITION BY circuit_id ORDER BY meter_time)
    ), days AS (
        SELECT *, CASE
            WHEN local::time = '00:00' AND watthours >= watthours_before
                AND local_before::date = local::date - 1
            THEN local::date - 1 ELSE local::date END AS day
        FROM pairs
    ), steps AS (
        SELECT *, coalesce(day = lag(day) OVER w, false) AS same_day
        FROM days WINDOW w AS (PARTITION BY circuit_id ORDER BY meter_time)
    ), rises AS (
        SELECT circuit_id, CASE
            WHEN %(by_day)s THEN (day + time '12:00') AT TIME ZONE %(zone)s
            ELSE date_trunc('hour', meter_time - interval '1 microsecond', %(zone)s)
                + interval '1 hour' END AS at,
            CASE WHEN same_day AND watthours >= watthours_before
                THEN watthours - watthours_before ELSE watthours END AS energy,
            CASE WHEN same_day AND use_time_s >= use_time_before
                THEN use_time_s - use_time_before ELSE use_time_s END AS use_time
        FROM steps WHERE %(by_day)s OR local_before IS NOT NULL
    )
    SELECT circuit_id, extract(epoch FROM at)::bigint, sum(energy)::numeric(12, 2),
        sum(use_time)::numeric(12, 2)
    FROM rises WHERE at > %(start)s GROUP BY circuit_id, at ORDER BY circuit_id, at
"""


def credit_point_list(
    *, circuit_id: int, start: datetime, end: datetime, points: int
) -> list[tuple[datetime, Decimal]]:
    """The credit that a circuit reported in (start, end], at most ``points`` times: the newest
    report of each of so many equal parts. Flagged reports are left out.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CREDIT, {"circuit": circuit_id, **_parts(start, end, points)})
        return [(at, credit) for at, credit in cursor.fetchall()]


_CREDIT = """
    SELECT p.meter_time, p.credit FROM generate_series(0, %(points)s - 1) AS parts(number)
    CROSS JOIN LATERAL (
        SELECT meter_time, credit FROM primary_logs
        WHERE circuit_id = %(circuit)s AND NOT clock_ahead AND credit IS NOT NULL
            AND meter_time > %(start)s::timestamptz + number * %(part)s::interval
            AND meter_time <= %(start)s::timestamptz + (number + 1) * %(part)s::interval
        ORDER BY meter_time DESC LIMIT 1
    ) p
    ORDER BY p.meter_time
"""


class PowerPoint(NamedTuple):
    """What a power unit reported: V, A and V, each null where it is not measured."""

    at: datetime
    solar_volts: float | None
    solar_amps: float | None
    battery_volts: float | None


def power_point_list(
    *, meter_id: int, start: datetime, end: datetime, points: int
) -> list[PowerPoint]:
    """The power unit's reports in (start, end], at most ``points``: the newest of each part."""
    with connection.cursor() as cursor:
        cursor.execute(_POWER, {"meter": meter_id, **_parts(start, end, points)})
        return [PowerPoint(*row) for row in cursor.fetchall()]


_POWER = """
    SELECT p.* FROM generate_series(0, %(points)s - 1) AS parts(number)
    CROSS JOIN LATERAL (
        SELECT meter_time, solar_volts, solar_amps, battery_volts FROM pcu_logs
        WHERE meter_id = %(meter)s
            AND meter_time > %(start)s::timestamptz + number * %(part)s::interval
            AND meter_time <= %(start)s::timestamptz + (number + 1) * %(part)s::interval
        ORDER BY meter_time DESC LIMIT 1
    ) p
    ORDER BY p.meter_time
"""


def _parts(start: datetime, end: datetime, points: int) -> dict[str, Any]:
    return {"start": start, "points": points, "part": (end - start) / points}
