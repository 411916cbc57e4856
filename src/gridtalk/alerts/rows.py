"""Opening and closing alerts in the database, many at once.

Of each kind one alert is open per circuit (or meter) and topic: two partial unique indexes hold
that, and ``INSERT … ON CONFLICT`` on them makes two workers that raise the same at once safe: the
second waits for the first to commit and finds its row. Rows are written in the order of circuits,
as everywhere, so that two batches cannot wait for each other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from gridtalk.alerts.models import Alert
from gridtalk.core.events import events_notify, meter_topic

_OPEN = """
INSERT INTO alerts (kind, raised_at, last_raised_at, repeats, meter_id, circuit_id, topic,
                    origin_message_id, cleared_at)
SELECT %(kind)s, %(now)s, %(now)s, 0, row.meter_id, row.circuit_id, row.topic, row.origin_id,
       %(cleared_at)s::timestamptz
FROM unnest(%(meters)s::int[], %(circuits)s::int[], %(topics)s::text[], %(origins)s::bigint[])
     AS row(meter_id, circuit_id, topic, origin_id)
ORDER BY row.circuit_id, row.meter_id, row.topic
"""
_PER_CIRCUIT = """
ON CONFLICT (kind, circuit_id, topic) WHERE cleared_at IS NULL AND circuit_id IS NOT NULL
"""
_PER_METER = """
ON CONFLICT (kind, meter_id, topic) WHERE cleared_at IS NULL AND circuit_id IS NULL
"""
_COUNT = """
DO UPDATE SET repeats = alerts.repeats + 1,
              last_raised_at = greatest(alerts.last_raised_at, excluded.last_raised_at)
"""
_RETURNING = " RETURNING id, repeats, meter_id, circuit_id, topic"


@dataclass(frozen=True, slots=True)
class NewAlert:
    """An alert to open. ``fields``: the columns of its child table, by the model's names."""

    meter_id: int
    circuit_id: int | None
    topic: str = ""
    origin_id: int | None = None
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[int | None, int | None, str]:
        """What one open alert of a kind is told apart by."""
        return (self.circuit_id, None if self.circuit_id is not None else self.meter_id, self.topic)


@dataclass(frozen=True, slots=True)
class Opened:
    """What became of a :class:`NewAlert`: the open alert's id, and whether it is new."""

    alert_id: int
    created: bool
    new: NewAlert


def alerts_open(
    *,
    model: type[Alert],
    news: Iterable[NewAlert],
    now: datetime,
    event: bool = False,
    count_repeats: bool = True,
) -> list[Opened]:
    """Open an alert for each, or count a repeat on the one that is open. Assumes a transaction.

    ``event``: closed at once, so that it never repeats. Without ``count_repeats`` one that is open
    is left alone and not returned. Either all are of circuits or all of meters.
    """
    by_key = {new.key: new for new in news}
    if not by_key:
        return []
    batch = list(by_key.values())
    of_circuits = {new.circuit_id is not None for new in batch}
    if len(of_circuits) != 1:
        raise ValueError("alerts of circuits and alerts of meters cannot be opened together")
    sql = _OPEN
    if not event:
        sql += _PER_CIRCUIT if of_circuits.pop() else _PER_METER
        sql += _COUNT if count_repeats else "DO NOTHING"
    with connection.cursor() as cursor:
        cursor.execute(
            sql + _RETURNING,
            {
                "kind": model.KIND,
                "now": now,
                "cleared_at": now if event else None,
                "meters": [new.meter_id for new in batch],
                "circuits": [new.circuit_id for new in batch],
                "topics": [new.topic for new in batch],
                "origins": [new.origin_id for new in batch],
            },
        )
        opened = []
        for alert_id, repeats, meter_id, circuit_id, topic in cursor.fetchall():
            new = by_key[NewAlert(meter_id, circuit_id, topic).key]
            opened.append(Opened(alert_id, created=repeats == 0, new=new))
    _children_insert(model=model, opened=[one for one in opened if one.created])
    events_notify(meter_topic(one.new.meter_id) for one in opened)
    return opened


def _children_insert(*, model: type[Alert], opened: Sequence[Opened]) -> None:
    """The child rows, which Django's ``bulk_create`` refuses to write for multi-table models."""
    meta = model._meta  # noqa: SLF001  Django documents it as its API
    columns = [column for column in meta.local_concrete_fields if not column.primary_key]
    wanted = {column.name for column in columns}
    rows = []
    for one in opened:
        if one.new.fields.keys() != wanted:
            raise TypeError(
                f"an alert {model.KIND} needs the fields {sorted(wanted)}, "
                f"not {sorted(one.new.fields)}"
            )
        values = [
            column.get_db_prep_save(getattr(value, "pk", value), connection)
            for column in columns
            for value in [one.new.fields[column.name]]
        ]
        rows.append([one.alert_id, *values])
    if not rows:
        return
    names = ", ".join(["id", *(connection.ops.quote_name(str(c.column)) for c in columns)])
    marks = ", ".join(["%s"] * (len(columns) + 1))
    table = connection.ops.quote_name(meta.db_table)
    with connection.cursor() as cursor:
        # Names come from our own models, values go as parameters.
        cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)  # noqa: S608


def alerts_close(*, ids: Sequence[int], now: datetime) -> int:
    """Close those that are open; returns how many were. Assumes a transaction.

    Rows are locked in the order of ids first: an UPDATE alone takes them in any order.
    """
    if not ids:
        return 0
    open_ids = list(
        Alert.objects.filter(pk__in=ids, cleared_at__isnull=True)
        .order_by("pk")
        .select_for_update(no_key=True)
        .values_list("pk", flat=True)
    )
    return Alert.objects.filter(pk__in=open_ids).update(cleared_at=now)
