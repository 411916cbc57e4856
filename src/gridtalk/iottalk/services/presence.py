"""Writing down what the sessions decided: who is online, which features are connected, notes.

Only the process that leases a device's shard writes its state: every statement asks for the lease,
so that one which was asleep meanwhile changes nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import connection, transaction

from gridtalk.core.events import DEVICES_TOPIC, device_topic, events_notify
from gridtalk.core.texts import storable
from gridtalk.iottalk.models import DeviceEvent
from gridtalk.iottalk.services.events import LONGEST_TEXT


class OnlineChange(NamedTuple):
    """A device is online since ``at``, or no longer; ``why`` in words."""

    device_id: int
    online: bool
    at: datetime
    why: str


class LinkChange(NamedTuple):
    """A feature's state, one of ``RegisteredFeature.State``; ``reason`` where it refused."""

    device_id: int
    number: int
    state: str
    reason: str


class Note(NamedTuple):
    """A line for a device's log: something it sent could not be taken."""

    device_id: int
    at: datetime
    text: str


_ONLINE = """
    WITH given AS (
        SELECT * FROM unnest(%s::int[], %s::boolean[], %s::timestamptz[]) AS g(id, online, at)
    ), locked AS (
        SELECT d.id, g.online, g.at FROM registered_devices d
        JOIN given g USING (id)
        JOIN device_shards s ON s.number = d.shard AND s.holder = %s
        WHERE d.online <> g.online AND NOT (g.online AND d.deregistered_at IS NOT NULL)
        ORDER BY d.id FOR NO KEY UPDATE OF d
    )
    UPDATE registered_devices d SET online = l.online, state_at = l.at,
        last_seen_at = CASE WHEN l.online THEN greatest(d.last_seen_at, l.at)
                       ELSE d.last_seen_at END
    FROM locked l WHERE d.id = l.id RETURNING d.id
"""
_LINKS = """
    WITH given AS (
        SELECT * FROM unnest(%s::int[], %s::int[], %s::text[], %s::text[])
        AS g(device_id, number, state, reason)
    ), locked AS (
        SELECT f.id, g.state, g.reason FROM registered_features f
        JOIN given g USING (device_id, number)
        JOIN registered_devices d ON d.id = f.device_id AND d.deregistered_at IS NULL
        JOIN device_shards s ON s.number = d.shard AND s.holder = %s
        WHERE f.state <> g.state OR f.reason <> g.reason
        ORDER BY f.id FOR NO KEY UPDATE OF f
    )
    UPDATE registered_features f SET state = l.state, reason = l.reason
    FROM locked l WHERE f.id = l.id RETURNING f.device_id
"""


def presence_store(
    *, holder: str, changes: Sequence[OnlineChange], links: Sequence[LinkChange]
) -> None:
    """Store changes of devices and features, the last of each, in one transaction.

    Each change to or from online is an event of the device, and pages are told. What belongs to a
    shard that the holder does not lease is left out. Raises Django's ``DatabaseError``.
    """
    last = {change.device_id: change for change in changes}
    states = {(link.device_id, link.number): link for link in links}
    with transaction.atomic(), connection.cursor() as cursor:
        shown: set[int] = set()
        if last:
            ids, onlines, ats, _ = zip(*last.values(), strict=True)
            cursor.execute(_ONLINE, [list(ids), list(onlines), list(ats), holder])
            shown = {device_id for (device_id,) in cursor.fetchall()}
        told = {device_topic(device_id) for device_id in shown}
        if states:
            columns = [list(column) for column in zip(*states.values(), strict=True)]
            cursor.execute(_LINKS, [*columns, holder])
            told |= {device_topic(device_id) for (device_id,) in cursor.fetchall()}
        if shown:
            told.add(DEVICES_TOPIC)
            _events([change for change in changes if change.device_id in shown])
        events_notify(told)


def _events(changes: Sequence[OnlineChange]) -> None:
    DeviceEvent.objects.bulk_create(
        DeviceEvent(
            device_id=change.device_id,
            at=change.at,
            kind=DeviceEvent.Kind.ONLINE if change.online else DeviceEvent.Kind.OFFLINE,
            text=change.why,
        )
        for change in changes
    )


def devices_seen(*, seen: Mapping[int, datetime]) -> None:
    """Note when devices were heard last, on any topic."""
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH locked AS (SELECT d.id, g.at FROM registered_devices d"
            " JOIN unnest(%s::int[], %s::timestamptz[]) AS g(id, at) USING (id)"
            " WHERE d.last_seen_at IS NULL OR d.last_seen_at < g.at"
            " ORDER BY d.id FOR NO KEY UPDATE OF d)"
            " UPDATE registered_devices d SET last_seen_at = l.at FROM locked l WHERE d.id = l.id",
            [list(seen), list(seen.values())],
        )


def notes_store(*, notes: Sequence[Note]) -> None:
    """Store lines about what could not be taken; one for a device that has gone is left out."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO device_events (device_id, at, kind, text, source)"
            " SELECT d.id, g.at, %s, g.text, '' FROM unnest(%s::int[], %s::timestamptz[],"
            " %s::text[]) AS g(id, at, text) JOIN registered_devices d USING (id)",
            [
                DeviceEvent.Kind.ERROR,
                [note.device_id for note in notes],
                [note.at for note in notes],
                [storable(note.text)[:LONGEST_TEXT] for note in notes],
            ],
        )
    events_notify({device_topic(note.device_id) for note in notes})
