"""Monthly partitions of ``logs`` (by id, which is ordered by time) and ``primary_logs`` (by
``meter_time``).

What falls into no month lands in the DEFAULT partition, so that no report is ever refused; a month
that is made later takes its rows out of there. Months are those of UTC. The tables themselves are
made by the migration: see "Shared-key inheritance and big tables" in ARCHITECTURE.md.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction
from psycopg import sql

from gridtalk.core import clock

#: Months made before and after the present one.
MONTHS_BEHIND = 1
MONTHS_AHEAD = 2
#: Two processes take turns; any number that nothing else in this database uses.
_ADVISORY_LOCK = 0x67726964
#: Others are waited for so long; writers queue behind us meanwhile.
_LOCK_TIMEOUT_MS = 10_000

_MOVE = """
    WITH moved AS (DELETE FROM {default} WHERE {key} >= {low} AND {key} < {high} RETURNING *)
    INSERT INTO {name} SELECT * FROM moved
"""
_TABLES = {"logs": "id", "primary_logs": "meter_time"}


def month_start(instant: datetime, months: int = 0) -> datetime:
    """The beginning (UTC) of the month of an instant, ``months`` later."""
    instant = instant.astimezone(UTC)
    count = instant.year * 12 + instant.month - 1 + months
    return datetime(count // 12, count % 12 + 1, 1, tzinfo=UTC)


def partitions_ensure(*, since: datetime | None = None, until: datetime | None = None) -> list[str]:
    """Make the monthly partitions from ``since`` to ``until``; the names of those just made.

    Without arguments: from the month before the present one to two months after it. Idempotent and
    safe beside writers and beside itself: two processes take turns, rows that wait in the DEFAULT
    partition are moved. Each month is a transaction of its own where the caller has none. Where a
    long reader of the DEFAULT partition blocks it for ten seconds, ``OperationalError`` is raised
    and nothing is changed: call it again later.
    """
    now = clock.now()
    first = month_start(since) if since else month_start(now, -MONTHS_BEHIND)
    last = month_start(until) if until else month_start(now, MONTHS_AHEAD)
    made = []
    for table in _TABLES:
        existing = _existing(table)
        for start in _months(first, last):
            name = f"{table}_{start:%Y_%m}"
            if name not in existing and _make(table, name, start):
                made.append(name)
    return made


def _months(first: datetime, last: datetime) -> Iterator[datetime]:
    while first <= last:
        yield first
        first = month_start(first, 1)


def _existing(table: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass",
            [table],
        )
        return {name for (name,) in cursor.fetchall()}


def _bound(table: str, instant: datetime) -> str | int:
    """A partition's border, as the literal which its definition needs."""
    if table == "primary_logs":
        return instant.isoformat()
    with connection.cursor() as cursor:
        cursor.execute("SELECT gridtalk_id_at(%s)", [instant])
        return int(cursor.fetchone()[0])


def _make(table: str, name: str, start: datetime) -> bool:
    """Make one partition; false where another process was quicker.

    Writers wait, readers go on: a writer that had chosen the DEFAULT partition already would find
    its row refused there. The parent is locked before the DEFAULT partition, as writers do.
    """
    parts: dict[str, Any] = {
        "parent": sql.Identifier(table),
        "default": sql.Identifier(f"{table}_default"),
        "name": sql.Identifier(name),
        "key": sql.Identifier(_TABLES[table]),
        "low": sql.Literal(_bound(table, start)),
        "high": sql.Literal(_bound(table, month_start(start, 1))),
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK])
        if name in _existing(table):
            return False
        cursor.execute("SELECT current_setting('lock_timeout')")
        usual = cursor.fetchone()[0]
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{_LOCK_TIMEOUT_MS}ms"])
        for statement in (
            "CREATE TABLE {name} (LIKE {parent} INCLUDING ALL)",
            "LOCK TABLE ONLY {parent} IN SHARE ROW EXCLUSIVE MODE",
            "LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE",
            _MOVE,
            "ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM ({low}) TO ({high})",
        ):
            cursor.execute(sql.SQL(statement).format(**parts))
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [usual])
    return True
