"""The bulk insert of hourly reports: lock, compare, COPY, one UPDATE.

Everything about one circuit happens under the lock of its row, and all writers lock circuits in the
order of their ids, so any number of workers can do this at once. After this call, lock what stands
above (alerts, jobs, tokens), never another circuit with a lower id.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple

import psycopg
from django.db import connection

from gridtalk.core.errors import NotFound
from gridtalk.telemetry.models import PrimaryLog

#: A report whose meter's clock is further ahead of its receipt than this is kept, and flagged.
CLOCK_AHEAD = timedelta(hours=1)
_LATENCY_MAX_S = 2**31 - 1
_INSTANT_LOADER = psycopg.adapters.get_loader(
    psycopg.adapters.types["timestamptz"].oid, psycopg.pq.Format.TEXT
)
_NEVER = datetime.min.replace(tzinfo=UTC)


class NewReading(NamedTuple):
    """One circuit's report, ready to be stored.

    ``meter_time`` and ``received_at`` are aware; ``watthours`` since the meter's midnight;
    ``use_time_s`` seconds in use; ``credit`` null where the report holds none (always for a mains).
    Numbers have at most two decimals and fit their columns: the caller has checked it.
    """

    circuit_id: int
    meter_time: datetime
    watthours: Decimal
    use_time_s: Decimal
    status: int
    credit: Decimal | None
    received_at: datetime
    message_id: int | None


class Outcome(Enum):
    """What became of one reading."""

    STORED = "stored"
    #: Stored and flagged: the meter's clock was ahead; the circuit is untouched.
    AHEAD = "ahead"
    #: There is a log of this circuit and meter time already, or an earlier one in this batch.
    DUPLICATE = "duplicate"


class LoggedReading(NamedTuple):
    """A reading that was stored, with the id of its log."""

    log_id: int
    reading: NewReading
    clock_ahead: bool


@dataclass(slots=True)
class CircuitChange:
    """What a batch did to one circuit; alerts and unconfirmed credit are judged by it.

    ``readings`` are those stored, in order of meter time; empty where all were duplicates.
    ``credit_taken`` (``status_taken``) says that the circuit's present credit (status) comes from
    this batch: only then is it news. ``credit_before`` is what was mirrored until now, which an
    acknowledgement may have estimated (``estimated_before``). ``heard_at`` is gateway time.
    """

    circuit_id: int
    meter_id: int
    account_id: int | None
    is_main: bool
    credit_before: Decimal
    credit_as_of_before: datetime | None
    estimated_before: bool
    status_before: int
    status_as_of_before: datetime | None
    reported_at_before: datetime | None
    meter_time_before: datetime | None
    credit_after: Decimal
    status_after: int
    heard_at: datetime
    credit_taken: bool = False
    status_taken: bool = False
    readings: list[LoggedReading] = field(default_factory=list)


class InsertResult(NamedTuple):
    """``outcomes`` stand in the order of the readings given; ``changes`` in order of circuit id."""

    inserted: int
    duplicates: int
    outcomes: list[Outcome]
    changes: list[CircuitChange]


def insert(readings: Sequence[NewReading]) -> InsertResult:
    """See :func:`gridtalk.telemetry.services.primary_logs_insert`."""
    if not readings:
        return InsertResult(0, 0, [], [])
    if not connection.in_atomic_block:
        raise RuntimeError("primary_logs_insert needs its caller's transaction")
    with connection.cursor() as cursor:
        # Before we read a partition, lest partitions_ensure and we wait for each other.
        cursor.execute("LOCK TABLE ONLY logs, ONLY primary_logs IN ROW EXCLUSIVE MODE")
    changes = _lock_circuits({reading.circuit_id for reading in readings})
    outcomes, fresh = _sift(readings)
    _store(readings, fresh, outcomes, changes)
    for reading in readings:
        change = changes[reading.circuit_id]
        if reading.received_at > change.heard_at:
            change.heard_at = reading.received_at
    _update_circuits(changes.values())
    return InsertResult(len(fresh), len(readings) - len(fresh), outcomes, list(changes.values()))


def _lock_circuits(ids: set[int]) -> dict[int, CircuitChange]:
    """The circuits' present state, locked in order of id."""
    with connection.cursor() as cursor:
        # Django's own loader of instants is Python and takes ten times as long; UTC either way.
        cursor.adapters.register_loader("timestamptz", _INSTANT_LOADER)
        cursor.execute(
            "SELECT id, meter_id, account_id, is_main, credit, credit_as_of, credit_estimated,"
            " status, status_as_of, last_reported_at, last_meter_time"
            " FROM circuits WHERE id = ANY(%s::int[]) ORDER BY id FOR NO KEY UPDATE",
            [_array(sorted(ids))],
        )
        found = {
            row[0]: CircuitChange(*(*row, row[4], row[7], row[9] or _NEVER))
            for row in cursor.fetchall()
        }
    if len(found) < len(ids):
        missing = ", ".join(str(number) for number in sorted(ids - found.keys())[:10])
        raise NotFound(f"there is no circuit with id {missing}; it was deleted meanwhile")
    return found


def _is_ahead(reading: NewReading) -> bool:
    return reading.meter_time - reading.received_at > CLOCK_AHEAD


def _sift(readings: Sequence[NewReading]) -> tuple[list[Outcome], list[int]]:
    """Each reading's outcome, and the positions of those to store.

    The first of several counts, in the batch as in the table; but a report whose clock was ahead
    gives way to the true one of that hour, which comes later.
    """
    outcomes = [Outcome.DUPLICATE] * len(readings)
    first: dict[tuple[int, datetime], int] = {}
    for position, reading in enumerate(readings):
        key = (reading.circuit_id, reading.meter_time)
        earlier = first.setdefault(key, position)
        if earlier != position and _is_ahead(readings[earlier]) and not _is_ahead(reading):
            first[key] = position
    stored = _stored_already([readings[position] for position in first.values()])
    fresh, replaced = [], []
    for number, position in enumerate(first.values(), 1):
        ahead = _is_ahead(readings[position])
        there = stored.get(number)
        if there is not None:
            log_id, was_ahead = there
            if ahead or not was_ahead:
                continue
            replaced.append(log_id)
        outcomes[position] = Outcome.AHEAD if ahead else Outcome.STORED
        fresh.append(position)
    if replaced:
        with connection.cursor() as cursor:
            for table in ("primary_logs", "logs"):
                cursor.execute(f"DELETE FROM {table} WHERE id = ANY(%s)", [replaced])  # noqa: S608
    return outcomes, sorted(fresh)


def _stored_already(readings: Sequence[NewReading]) -> dict[int, tuple[int, bool]]:
    """Logs there are already: number of the reading (from 1) → log's id and ``clock_ahead``.

    The circuits are locked: what another worker stored of them is visible, and nothing is added
    until we commit. The outer bounds of the time spare the other partitions.
    """
    stamps = _Stamps()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT v.number, p.id, p.clock_ahead"
            " FROM unnest(%s::int[], %s::timestamptz[]) WITH ORDINALITY AS v(circuit, time, number)"
            " JOIN primary_logs p ON p.circuit_id = v.circuit AND p.meter_time = v.time"
            " WHERE p.meter_time BETWEEN %s AND %s",
            [
                _array(reading.circuit_id for reading in readings),
                _array(stamps[reading.meter_time] for reading in readings),
                min(reading.meter_time for reading in readings),
                max(reading.meter_time for reading in readings),
            ],
        )
        return {number: (log_id, ahead) for number, log_id, ahead in cursor.fetchall()}


def _store(
    readings: Sequence[NewReading],
    fresh: Sequence[int],
    outcomes: Sequence[Outcome],
    changes: dict[int, CircuitChange],
) -> None:
    """COPY the fresh readings into parent and child, and note them at their circuits."""
    if not fresh:
        return
    stamps = _Stamps()
    parents, children = [], []
    # The readings of a message stand together and share both instants: format those once.
    message_end = time = ""
    latency = 0
    received_before = time_before = None
    for log_id, position in zip(_ids(len(fresh)), fresh, strict=True):
        reading = readings[position]
        circuit_id, meter_time, wh, use_time_s, status, credit, received_at, message_id = reading
        if received_at is not received_before or meter_time is not time_before:
            received_before, time_before = received_at, meter_time
            message_end = f"{PrimaryLog.KIND}\t{stamps[received_at]}"
            latency, time = _latency_s(received_at, meter_time), stamps[meter_time]
        ahead = outcomes[position] is Outcome.AHEAD
        parents.append(f"{log_id}\t{message_end}\t{_NULL if message_id is None else message_id}\n")
        children.append(
            f"{log_id}\t{circuit_id}\t{latency}\t{time}\t{wh}\t{use_time_s}\t{status}\t"
            f"{_NULL if credit is None else credit}\t{'t' if ahead else 'f'}\n"
        )
        changes[circuit_id].readings.append(LoggedReading(log_id, reading, ahead))
    _copy("logs (id, kind, received_at, message_id)", parents)
    _copy(
        "primary_logs (id, circuit_id, latency_s, meter_time, watthours, use_time_s, status,"
        " credit, clock_ahead)",
        children,
    )


def _latency_s(received_at: datetime, meter_time: datetime) -> int:
    latency = int((received_at - meter_time).total_seconds())
    return max(-_LATENCY_MAX_S, min(latency, _LATENCY_MAX_S))


def _ids(count: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT gridtalk_next_id() FROM generate_series(1, %s)", [count])
        return sorted(log_id for (log_id,) in cursor.fetchall())


def _copy(target: str, lines: Sequence[str]) -> None:
    with (
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        cursor.copy(f"COPY {target} FROM STDIN") as copy,
    ):
        copy.write("".join(lines))


def _update_circuits(changes: Iterable[CircuitChange]) -> None:
    """Mirror the newest report of each circuit. A newer ``as_of`` wins; an equal one does not."""
    stamps = _Stamps()
    rows: list[tuple[Any, ...]] = []
    for change in changes:
        if len(change.readings) > 1:
            change.readings.sort(key=lambda logged: logged.reading.meter_time)
        true = [logged.reading for logged in change.readings if not logged.clock_ahead]
        newest = true[-1] if true else None
        # A mains has no credit, whatever its meter says.
        priced = (
            next((reading for reading in reversed(true) if reading.credit is not None), None)
            if not change.is_main
            else None
        )
        if newest and _newer(newest.meter_time, change.status_as_of_before):
            change.status_taken, change.status_after = True, newest.status
        if (
            priced
            and priced.credit is not None
            and _newer(priced.meter_time, change.credit_as_of_before)
        ):
            change.credit_taken, change.credit_after = True, priced.credit
        latest = change.meter_time_before
        if newest and _newer(newest.meter_time, latest):
            latest = newest.meter_time
        rows.append(
            (
                change.circuit_id,
                change.credit_after if change.credit_taken else _NONE,
                stamps[priced.meter_time] if priced and change.credit_taken else _NONE,
                change.status_after if change.status_taken else _NONE,
                stamps[newest.meter_time] if newest and change.status_taken else _NONE,
                stamps[change.heard_at],
                stamps[latest] if latest else _NONE,
            )
        )
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE circuits AS c SET"
            " credit = coalesce(v.credit, c.credit),"
            " credit_as_of = coalesce(v.credit_as_of, c.credit_as_of),"
            " credit_estimated = c.credit_estimated AND v.credit IS NULL,"
            " status = coalesce(v.status, c.status),"
            " status_as_of = coalesce(v.status_as_of, c.status_as_of),"
            " last_reported_at = v.reported_at,"
            " last_meter_time = v.meter_time"
            " FROM unnest(%s::int[], %s::numeric[], %s::timestamptz[], %s::smallint[],"
            " %s::timestamptz[], %s::timestamptz[], %s::timestamptz[])"
            " AS v(id, credit, credit_as_of, status, status_as_of, reported_at, meter_time)"
            " WHERE c.id = v.id",
            [_array(column) for column in zip(*rows, strict=True)],
        )


def _newer(instant: datetime, present: datetime | None) -> bool:
    return present is None or instant > present


#: Null, as COPY and as an array literal write it.
_NULL = r"\N"
_NONE = "NULL"


class _Stamps(dict[datetime, str]):
    """Instants as PostgreSQL reads them; a batch holds few different ones."""

    def __missing__(self, instant: datetime) -> str:
        self[instant] = text = instant.isoformat()
        return text


def _array(values: Iterable[Any]) -> str:
    """An array literal of values which need no quotes: numbers, instants, NULL.

    A list of Python values costs ten times as much to adapt.
    """
    return f"{{{','.join(map(str, values))}}}"
