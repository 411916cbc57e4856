"""Storing what features said or were sent: COPY, then one UPDATE for the last values."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import connection, transaction

from gridtalk.core.events import device_topic, events_notify

#: ``last_seen_at`` and ``last_data_at`` of a device move in steps of this.
SEEN_STEP_S = 5.0
#: Characters that COPY's text format writes in another way.
_COPY_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"})


class NewSample(NamedTuple):
    """One value list of a feature. ``text`` is its JSON (:func:`wire_json.json_text`), always of a
    list: readers of stored values rely on it."""

    device_id: int
    feature_id: int
    at: datetime
    text: str


# Devices before their features, and each in order of id, here as in a registration: so that nobody
# waits for each other in a circle. A device which somebody holds is seen with its next message.
_LAST_VALUES = """
    WITH given AS (
        SELECT * FROM unnest(%s::int[], %s::timestamptz[], %s::text[]) AS g(id, at, value)
    ), locked AS (
        SELECT f.id FROM registered_features f
        WHERE f.id = ANY(%s::int[]) ORDER BY f.id FOR NO KEY UPDATE
    )
    UPDATE registered_features f SET last_value = g.value::jsonb, last_at = g.at
    FROM given g JOIN locked USING (id)
    WHERE f.id = g.id AND (f.last_at IS NULL OR f.last_at <= g.at)
"""
_SEEN = """
    WITH given AS (
        SELECT * FROM unnest(%s::int[], %s::timestamptz[]) AS g(id, at)
    ), locked AS (
        SELECT d.id, g.at FROM registered_devices d JOIN given g USING (id)
        WHERE d.last_data_at IS NULL OR d.last_data_at < g.at - make_interval(secs => %s)
        ORDER BY d.id FOR NO KEY UPDATE OF d SKIP LOCKED
    )
    UPDATE registered_devices d
    SET last_data_at = l.at, last_seen_at = greatest(d.last_seen_at, l.at)
    FROM locked l WHERE d.id = l.id
"""


def samples_store(*, rows: Sequence[NewSample], tell: bool = True, said: bool = True) -> None:
    """Store samples in one transaction, with the features' last values and the devices' times.

    ``said`` is False for values that were sent to devices, which do not say that one is there.
    Pages which show a device are told where ``tell``. Raises Django's ``DatabaseError``; nothing is
    stored then.
    """
    if not rows:
        return
    last = {row.feature_id: row for row in rows}
    seen = {row.device_id: row.at for row in rows}
    features = [last[feature_id] for feature_id in sorted(last)]
    with transaction.atomic():
        _copy(rows)
        with connection.cursor() as cursor:
            if said:
                cursor.execute(
                    _SEEN,
                    [_array(seen), _array(at.isoformat() for at in seen.values()), SEEN_STEP_S],
                )
            ids = _array(row.feature_id for row in features)
            times = _array(row.at.isoformat() for row in features)
            cursor.execute(_LAST_VALUES, [ids, times, [row.text for row in features], ids])
        if tell:
            events_notify(device_topic(device_id) for device_id in seen)


def _array(values: Iterable[object]) -> str:
    """An array literal of values that need no quotes; a list takes ten times as long to adapt."""
    return f"{{{','.join(map(str, values))}}}"


def _copy(rows: Sequence[NewSample]) -> None:
    lines = []
    written_at, stamp = None, ""
    for row in rows:
        if row.at is not written_at:
            written_at, stamp = row.at, row.at.isoformat()
        lines.append(f"{row.feature_id}\t{stamp}\t{row.text.translate(_COPY_ESCAPES)}\n")
    with (
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        cursor.copy("COPY df_samples (feature_id, at, value) FROM STDIN") as copy,
    ):
        copy.write("".join(lines))
