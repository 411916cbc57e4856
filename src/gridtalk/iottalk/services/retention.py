"""What is kept, and for how long: samples, the log, values that were sent."""

from datetime import datetime

from django.conf import settings
from django.db import connection

from gridtalk.core import clock
from gridtalk.iottalk.services.sends import sends_expire

#: Rows of one transaction; between two of them others get their turn.
BATCH = 10_000
_SAMPLES = (
    "DELETE FROM df_samples WHERE id IN"
    " (SELECT id FROM df_samples WHERE at < %s ORDER BY at LIMIT %s)"
)
_EVENTS = (
    "DELETE FROM device_events WHERE id IN"
    " (SELECT id FROM device_events WHERE at < %s ORDER BY at LIMIT %s)"
)
_SENDS = (
    "DELETE FROM feature_sends WHERE id IN (SELECT id FROM feature_sends"
    " WHERE created_at < %s AND state <> 'queued' ORDER BY id LIMIT %s)"
)


def retention_apply() -> dict[str, int]:
    """Delete what is older than the settings say, and give up values that waited too long.

    Called outside transactions; the numbers of rows, by table (``given_up`` for values).
    """
    now = clock.now()
    samples = now - settings.DF_SAMPLE_RETENTION
    return {
        "given_up": sends_expire(before=now - settings.MESSAGE_LIFETIME),
        "df_samples": _delete(_SAMPLES, samples),
        "device_events": _delete(_EVENTS, now - settings.DEVICE_EVENT_RETENTION),
        "feature_sends": _delete(_SENDS, samples),
    }


def _delete(statement: str, before: datetime) -> int:
    deleted = 0
    with connection.cursor() as cursor:
        while True:
            cursor.execute(statement, [before, BATCH])
            count = int(cursor.rowcount)
            deleted += count
            if count < BATCH:
                return deleted
