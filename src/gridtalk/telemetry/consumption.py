"""Sums over hourly reports: credit consumed, energy by day. In SQL, for any number of circuits."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.db import connection

from gridtalk.core.money import ZERO

#: A report whose meter's clock is further off than this, in real time, is left out of credit.
CLOCK_TOLERANCE_S = 3600


class CreditAdded(NamedTuple):
    """An acknowledged AddCredit: when it was applied, as near as is known."""

    circuit_id: int
    at: datetime
    amount: Decimal


@dataclass(frozen=True, slots=True)
class CreditConsumed:
    """Credit that a circuit spent, and rises of its credit that no added credit explains."""

    consumed: Decimal = ZERO
    unexplained: Decimal = ZERO


def credit_consumed(
    *,
    circuit_ids: Iterable[int],
    start: datetime,
    end: datetime,
    added: Iterable[CreditAdded] = (),
    latest_s: int = CLOCK_TOLERANCE_S,
) -> dict[int, CreditConsumed]:
    """Credit consumed in (start, end] by meter time, for each circuit asked for.

    The sum of the drops between neighbouring reports, corrected by the credit added in between: a
    drop is counted where its later report lies, so that neighbouring spans add up. A rise that no
    added credit explains counts as nothing consumed, and is reported. Reports without credit, and
    those whose clock was more than an hour off, are left out.

    Meters stamp whole hours, so an acknowledgement may seem to come just before the report before
    the one that shows it, or just after it: credit that one hour misses and the next one has too
    much of is moved over. Give what was ``added`` from some hours before ``start`` to some hours
    after ``end``. ``latest_s``: a report that came later than this after its meter time counts as
    one of a clock that is behind. Source: gateway.md 6.
    """
    ids = list(circuit_ids)
    additions = list(added)
    with connection.cursor() as cursor:
        cursor.execute(
            _CREDIT_CONSUMED,
            {
                "circuits": ids,
                "start": start,
                "end": end,
                "tolerance": CLOCK_TOLERANCE_S,
                "latest": latest_s,
                "added_to": [addition.circuit_id for addition in additions],
                "added_at": [addition.at for addition in additions],
                "amounts": [addition.amount for addition in additions],
            },
        )
        found = {row[0]: CreditConsumed(*row[1:]) for row in cursor.fetchall()}
    return {circuit_id: found.get(circuit_id, CreditConsumed()) for circuit_id in ids}


# logs: the reports in the span, three before it and two after, which is as far as moving reaches.
# events: additions among them, before a report of the same instant; total: all added until then.
# intervals: fall of the credit since the report before; with what was added: what was spent, or,
# negative, a rise that nothing explains.
# early: such a rise takes the credit that was noted in the next interval but does not show there,
# or as much as it lacks; late: what is left of it, from the interval before.
_CREDIT_CONSUMED = """
    WITH logs AS (
        SELECT w.circuit_id, l.meter_time, l.credit
        FROM (SELECT DISTINCT unnest(%(circuits)s::int[]) AS circuit_id) w
        CROSS JOIN LATERAL (
            (SELECT meter_time, credit FROM primary_logs
             WHERE circuit_id = w.circuit_id AND meter_time <= %(start)s AND credit IS NOT NULL
                AND latency_s BETWEEN -%(tolerance)s AND %(latest)s
             ORDER BY meter_time DESC LIMIT 3)
            UNION ALL
            SELECT meter_time, credit FROM primary_logs
            WHERE circuit_id = w.circuit_id AND meter_time > %(start)s AND meter_time <= %(end)s
                AND credit IS NOT NULL AND latency_s BETWEEN -%(tolerance)s AND %(latest)s
            UNION ALL
            (SELECT meter_time, credit FROM primary_logs
             WHERE circuit_id = w.circuit_id AND meter_time > %(end)s AND credit IS NOT NULL
                AND latency_s BETWEEN -%(tolerance)s AND %(latest)s
             ORDER BY meter_time LIMIT 2)
        ) l
    ), events AS (
        SELECT circuit_id, meter_time AS at, credit, 0 AS amount, true AS is_log FROM logs
        UNION ALL
        SELECT circuit_id, at, NULL, amount, false
        FROM unnest(%(added_to)s::int[], %(added_at)s::timestamptz[], %(amounts)s::numeric[])
            AS a(circuit_id, at, amount)
    ), totals AS (
        SELECT circuit_id, at, credit, is_log, sum(amount) OVER (
            PARTITION BY circuit_id ORDER BY at, is_log ROWS UNBOUNDED PRECEDING) AS total
        FROM events
    ), intervals AS (
        SELECT circuit_id, at, total - lag(total) OVER w AS added,
            lag(credit) OVER w - credit AS fall
        FROM totals WHERE is_log WINDOW w AS (PARTITION BY circuit_id ORDER BY at)
    ), early AS (
        SELECT *, CASE
            WHEN fall + added >= 0 THEN 0
            WHEN lead(fall) OVER w >= 0 AND -2 * (fall + added) >= lead(added) OVER w
            THEN lead(added) OVER w
            WHEN least(-(fall + added), lead(added) OVER w) <= lead(fall + added) OVER w
            THEN least(-(fall + added), lead(added) OVER w)
            ELSE 0 END AS taken
        FROM intervals WHERE fall IS NOT NULL WINDOW w AS (PARTITION BY circuit_id ORDER BY at)
    ), after_early AS (
        SELECT circuit_id, at, fall, added + taken - coalesce(lag(taken) OVER w, 0) AS added
        FROM early WINDOW w AS (PARTITION BY circuit_id ORDER BY at)
    ), late AS (
        SELECT *, CASE
            WHEN fall + added >= 0 THEN 0
            WHEN lag(fall) OVER w >= 0 AND -2 * (fall + added) >= lag(added) OVER w
            THEN lag(added) OVER w
            WHEN least(-(fall + added), lag(added) OVER w) <= lag(fall + added) OVER w
            THEN least(-(fall + added), lag(added) OVER w)
            ELSE 0 END AS taken
        FROM after_early WINDOW w AS (PARTITION BY circuit_id ORDER BY at)
    ), settled AS (
        SELECT circuit_id, at, fall + added + taken - coalesce(lead(taken) OVER w, 0) AS spent
        FROM late WINDOW w AS (PARTITION BY circuit_id ORDER BY at)
    )
    SELECT circuit_id, sum(greatest(spent, 0))::numeric(16, 2),
        sum(greatest(-spent, 0))::numeric(16, 2)
    FROM settled WHERE at > %(start)s AND at <= %(end)s GROUP BY circuit_id
"""


@dataclass(frozen=True, slots=True)
class EnergyDay:
    """Energy of a circuit on one day of its meter's zone, in Wh, and the reports it is from."""

    circuit_id: int
    day: date
    energy_wh: Decimal
    reports: int
    restarts: int


def energy_by_day(
    *, circuit_ids: Iterable[int], first_day: date, last_day: date
) -> list[EnergyDay]:
    """Energy by local day, both days included; a day without a report is not in it.

    ``watthours`` counts up since local midnight, so a day's energy is its last value; a drop inside
    a day is a restart of the counter, and what it had counted is kept. A report of 00:00 which goes
    on counting still belongs to the day before. Flagged reports are left out. Source: gateway.md 6.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _ENERGY_BY_DAY,
            {
                "circuits": list(circuit_ids),
                "first": first_day,
                "last": last_day,
                # No zone is further from UTC than a day; one more for the report before.
                "low": f"{first_day - timedelta(days=2)}T00:00Z",
                "high": f"{last_day + timedelta(days=3)}T00:00Z",
            },
        )
        return [EnergyDay(*row) for row in cursor.fetchall()]


_ENERGY_BY_DAY = """
    WITH logs AS (
        SELECT p.circuit_id, p.meter_time, p.watthours,
            p.meter_time AT TIME ZONE m.time_zone AS local
        FROM primary_logs p
        JOIN circuits c ON c.id = p.circuit_id JOIN meters m ON m.id = c.meter_id
        WHERE p.circuit_id = ANY(%(circuits)s::int[]) AND NOT p.clock_ahead
            AND p.meter_time >= %(low)s AND p.meter_time < %(high)s
    ), days AS (
        SELECT circuit_id, meter_time, watthours, CASE
            WHEN local::time = '00:00' AND watthours >= lag(watthours) OVER w
                AND (lag(local) OVER w)::date = local::date - 1
            THEN local::date - 1 ELSE local::date END AS day
        FROM logs WINDOW w AS (PARTITION BY circuit_id ORDER BY meter_time)
    ), steps AS (
        SELECT circuit_id, day, watthours, lag(watthours) OVER (
            PARTITION BY circuit_id, day ORDER BY meter_time) AS before
        FROM days WHERE day BETWEEN %(first)s AND %(last)s
    )
    SELECT circuit_id, day, sum(CASE WHEN watthours >= before THEN watthours - before
        ELSE watthours END)::numeric(12, 2), count(*), count(*) FILTER (WHERE watthours < before)
    FROM steps GROUP BY circuit_id, day ORDER BY circuit_id, day
"""
