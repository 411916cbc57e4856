"""What the device server's processes know of devices: read in bulk, for many at once."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from django.db import connection


class KnownFeature(NamedTuple):
    """A present feature of a device."""

    id: int
    number: int
    kind: str
    name: str
    state: str
    last_at: datetime | None


@dataclass(slots=True)
class KnownDevice:
    """A v2 device as its rows say; ``features`` by number, the present ones."""

    id: int
    handle: str
    shard: int
    name: str
    rev: str
    online: bool
    meter_id: int | None
    registered_at: datetime
    deregistered_at: datetime | None
    features: dict[int, KnownFeature] = field(default_factory=dict)


_DEVICES = """
    SELECT id, handle, shard, name, rev::text, online, meter_id, registered_at, deregistered_at
    FROM registered_devices WHERE protocol = 'v2' AND
"""
_FEATURES = """
    SELECT device_id, id, number, kind, name, state, last_at FROM registered_features
    WHERE device_id = ANY(%s) AND present ORDER BY device_id, number
"""


def devices_by_handle(*, handles: Collection[str]) -> dict[str, KnownDevice]:
    """The v2 devices of these handles, with their features."""
    return {d.handle: d for d in _read(f"{_DEVICES} handle = ANY(%s)", [list(handles)])}


def devices_by_id(*, ids: Collection[int]) -> dict[int, KnownDevice]:
    """The v2 devices of these ids, with their features."""
    return {d.id: d for d in _read(f"{_DEVICES} id = ANY(%s)", [list(ids)])}


def devices_of_shards(*, shards: Collection[int]) -> list[KnownDevice]:
    """All registered v2 devices of these shards, with their features."""
    return _read(f"{_DEVICES} shard = ANY(%s) AND deregistered_at IS NULL", [list(shards)])


def devices_changed(*, shards: Collection[int], within_s: float) -> dict[int, str]:
    """Device id → rev, empty where it left, of those that registered or left so lately."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, CASE WHEN deregistered_at IS NULL THEN rev::text ELSE '' END"
            " FROM registered_devices WHERE protocol = 'v2' AND shard = ANY(%s)"
            " AND greatest(registered_at, deregistered_at) > now() - make_interval(secs => %s)",
            [list(shards), within_s],
        )
        return dict(cursor.fetchall())


def _read(statement: str, values: list[list[int] | list[str]]) -> list[KnownDevice]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        devices = {row[0]: KnownDevice(*row) for row in cursor.fetchall()}
        cursor.execute(_FEATURES, [list(devices)])
        for device_id, *feature in cursor.fetchall():
            devices[device_id].features[feature[1]] = KnownFeature(*feature)
    return list(devices.values())
