"""Consumption in the ledger: one amount for each circuit and local day.

The meter counts credit down; the ledger follows it by what neighbouring reports show. Within a day

    consumed = credit before the day + credit delivered in it - credit at its last report

and where that is negative, the meter has more than anybody gave: an adjustment, for the operator
to look at. The first report ever seen of a circuit brings its opening credit. So the ledger's
balance of a circuit is what its last report of a posted day said, plus what was delivered since.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

from django.db import connection, transaction

from gridtalk.core import clock, money
from gridtalk.prepaid import ledger
from gridtalk.prepaid.models import LedgerEntry

Cause = LedgerEntry.Cause
#: A local day counts as over this long after its midnight: reports are late now and then.
DAY_OVER = timedelta(hours=3)
#: A report that came so long after its meter time is of a clock that lost its date: its credit is
#: not that of the day which it names.
CLOCK_LOST_S = 366 * 86_400
OPENING = "opening credit at the first report"
UNEXPLAINED = "the meter shows more credit than it was given"

# Each day's last report of a circuit, the last before these days, and the first ever. The span
# begins with a local day: of a day that is cut in two, the part before would be taken back. It
# begins with the first report where nothing of the circuit was posted yet (an import, a gateway
# that was down for long). LATERAL, so that partitions before the span are left alone.
_DAYS = """
WITH wanted AS (
    SELECT c.id AS circuit_id, m.time_zone FROM circuits c JOIN meters m ON m.id = c.meter_id
    WHERE c.id = ANY(%(circuits)s) AND NOT c.is_main
), first AS (
    SELECT w.circuit_id, f.meter_time, f.credit
    FROM wanted w CROSS JOIN LATERAL (
        SELECT p.meter_time, p.credit FROM primary_logs p
        WHERE p.circuit_id = w.circuit_id AND p.credit IS NOT NULL AND NOT p.clock_ahead
              AND p.latency_s < %(lost)s
        ORDER BY p.meter_time LIMIT 1
    ) f
), chosen AS (
    SELECT w.circuit_id, w.time_zone, date_trunc('day', CASE
            WHEN f.credit <> 0 AND NOT EXISTS (
                SELECT 1 FROM ledger_entries e JOIN ledger_accounts a
                    ON a.id IN (e.debit_account_id, e.credit_account_id)
                WHERE a.circuit_id = w.circuit_id AND e.day IS NOT NULL)
            THEN least(f.meter_time, %(since)s) ELSE %(since)s
        END AT TIME ZONE w.time_zone) AT TIME ZONE w.time_zone AS since
    FROM wanted w JOIN first f USING (circuit_id)
), days AS (
    SELECT ch.circuit_id, d.day, d.meter_time, d.credit
    FROM chosen ch CROSS JOIN LATERAL (
        SELECT DISTINCT ON (1) (p.meter_time AT TIME ZONE ch.time_zone)::date AS day,
               p.meter_time, p.credit
        FROM primary_logs p
        WHERE p.circuit_id = ch.circuit_id AND p.meter_time >= ch.since
              AND p.credit IS NOT NULL AND NOT p.clock_ahead AND p.latency_s < %(lost)s
        ORDER BY 1, p.meter_time DESC
    ) d
), before AS (
    SELECT ch.circuit_id, b.meter_time, b.credit
    FROM chosen ch CROSS JOIN LATERAL (
        SELECT p.meter_time, p.credit FROM primary_logs p
        WHERE p.circuit_id = ch.circuit_id AND p.credit IS NOT NULL AND NOT p.clock_ahead
              AND p.latency_s < %(lost)s
              AND p.meter_time < ch.since
        ORDER BY p.meter_time DESC LIMIT 1
    ) b
)
SELECT circuit_id, day, meter_time, credit, 'day' FROM days
UNION ALL SELECT circuit_id, NULL, meter_time, credit, 'before' FROM before
UNION ALL SELECT circuit_id, NULL, meter_time, credit, 'first' FROM first
ORDER BY 1, 3
"""

_DELIVERIES = """
SELECT a.circuit_id, e.occurred_at, e.amount
FROM ledger_entries e JOIN ledger_accounts a ON a.id = e.credit_account_id
WHERE e.cause = 'delivery' AND a.circuit_id = ANY(%s) ORDER BY 1, 2
"""

_POSTED = """
SELECT a.circuit_id, e.day, e.cause,
       sum(CASE WHEN e.debit_account_id = a.id THEN e.amount ELSE -e.amount END)
FROM ledger_entries e
JOIN ledger_accounts a
     ON a.circuit_id IS NOT NULL AND a.id IN (e.debit_account_id, e.credit_account_id)
WHERE e.day IS NOT NULL AND a.circuit_id = ANY(%s)
GROUP BY 1, 2, 3
"""


@dataclass(frozen=True)
class DayPosting:
    """What the ledger should hold for a circuit's day, and holds; positive leaves the circuit."""

    circuit_id: int
    day: date
    cause: str
    due: Decimal
    posted: Decimal
    last_report_at: datetime
    reason: str = ""

    @property
    def missing(self) -> Decimal:
        """What is still to be posted."""
        return self.due - self.posted


def _rows(sql: str, parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def day_postings(*, since: datetime, circuits_at_once: int = 500) -> Iterator[list[DayPosting]]:
    """For chunks of circuits: what the days since then should have in the ledger, and have.

    The first day is that on which ``since`` falls in the meter's zone, from its midnight; a circuit
    of which nothing was posted yet is looked at from its first report.
    """
    after = 0
    while True:
        rows = _rows(
            "SELECT id FROM circuits WHERE id > %s AND NOT is_main ORDER BY id LIMIT %s",
            [after, circuits_at_once],
        )
        if not rows:
            return
        ids = [row[0] for row in rows]
        yield _postings(circuit_ids=ids, since=since)
        after = ids[-1]


def _postings(*, circuit_ids: list[int], since: datetime) -> list[DayPosting]:
    reports = _rows(_DAYS, {"circuits": circuit_ids, "since": since, "lost": CLOCK_LOST_S})
    deliveries: dict[int, list[tuple[datetime, Decimal]]] = {}
    for circuit_id, at, amount in _rows(_DELIVERIES, [circuit_ids]):
        deliveries.setdefault(circuit_id, []).append((at, amount))
    posted: dict[int, dict[tuple[date, str], Decimal]] = {}
    for circuit_id, day, cause, amount in _rows(_POSTED, [circuit_ids]):
        posted.setdefault(circuit_id, {})[day, cause] = amount
    found: list[DayPosting] = []
    for circuit_id, rows in groupby(reports, key=lambda row: row[0]):
        found += _circuit_days(
            circuit_id, list(rows), deliveries.get(circuit_id, []), posted.get(circuit_id, {})
        )
    return found


def _circuit_days(
    circuit_id: int,
    rows: list[tuple[Any, ...]],
    deliveries: list[tuple[datetime, Decimal]],
    posted: dict[tuple[date, str], Decimal],
) -> list[DayPosting]:
    known = {row[4]: (row[2], row[3]) for row in rows if row[4] != "day"}
    first_at, first_credit = known["first"]
    previous_at, previous = known.get("before", (first_at, first_credit))

    def delivered(start: datetime | None, end: datetime) -> Decimal:
        parts = (amount for at, amount in deliveries if (start is None or at > start) and at <= end)
        return sum(parts, money.ZERO)

    found = []
    for _, day, at, credit, what in rows:
        if what != "day":
            continue
        consumed = previous + delivered(previous_at, at) - credit
        adjusted, reason = money.ZERO, UNEXPLAINED
        if consumed < 0:
            consumed, adjusted = money.ZERO, consumed
        if "before" not in known and previous_at == first_at:
            adjusted -= first_credit - delivered(None, first_at)
            reason = OPENING
        for cause, due in ((Cause.CONSUMPTION, consumed), (Cause.ADJUSTMENT, adjusted)):
            was = posted.get((day, str(cause)), money.ZERO)
            if due or was:
                found.append(
                    DayPosting(circuit_id, day, str(cause), due, was, at, _reason(cause, reason))
                )
        previous_at, previous = at, credit
        known["before"] = (at, credit)
    return found


def _reason(cause: str, reason: str) -> str:
    return reason if cause == Cause.ADJUSTMENT else ""


def consumption_post(*, days: int = 8) -> int:
    """Post what the closed local days of the last ``days`` days lack; returns how many rows.

    Run again, or by two workers at once, it posts nothing twice. Late reports change a day that was
    posted: the difference is posted, rows are never changed.
    """
    now = clock.now()
    since = now - timedelta(days=days)
    made = 0
    for chunk in day_postings(since=since):
        lacking = {item.circuit_id for item in chunk if item.missing and day_is_over(item, now)}
        for circuit_id in sorted(lacking):
            made += _post(circuit_id, since, now)
    return made


def day_is_over(item: DayPosting, now: datetime) -> bool:
    """Whether the day is over in every time zone: none is more than 12 hours behind UTC."""
    end = datetime.combine(item.day, datetime.min.time(), tzinfo=now.tzinfo) + timedelta(days=1)
    return end + DAY_OVER + timedelta(hours=12) <= now


@transaction.atomic(durable=True)
def _post(circuit_id: int, since: datetime, now: datetime) -> int:
    with connection.cursor() as cursor:
        # Until we commit nobody stores reports of it, delivers to it, or posts its days: what was
        # seen to be lacking is reckoned anew, for meanwhile somebody may have.
        cursor.execute("SELECT id FROM circuits WHERE id = %s FOR NO KEY UPDATE", [circuit_id])
    made = 0
    for item in _postings(circuit_ids=[circuit_id], since=since):
        if item.missing and day_is_over(item, now):
            ledger.circuit_post(
                circuit_id=circuit_id,
                amount=item.missing,
                cause=item.cause,
                day=item.day,
                occurred_at=item.last_report_at,
                reason=item.reason,
            )
            made += 1
    return made
