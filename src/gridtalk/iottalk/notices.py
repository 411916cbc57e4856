"""Telling the device server's processes that a row waits for them: PostgreSQL's NOTIFY.

The row is the work; a lost notice costs the time until the next look at the rows, nothing else.
"""

from collections.abc import Sequence
from enum import StrEnum

from django.db import connection

CHANNEL = "gridtalk_devices"


class Notice(StrEnum):
    """What waits."""

    REGISTERED = "registered"  # a device registered, or again, or left
    BOUND = "bound"  # a device became a meter's, or is no longer one's
    SEND = "send"  # a FeatureSend, or a job's message, is queued
    DATA = "data"  # data came of a device, or feature, that was not known to be there


def notice_send(*, notice: Notice, shard: int, device_id: int) -> None:
    """Tell the holder of the shard, when the present transaction commits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, f"{notice} {shard} {device_id}"])


def notices_send(*, notice: Notice, devices: Sequence[tuple[int, int]]) -> None:
    """Tell the holders of the shards of many devices, (shard, device id) each; one statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_notify(%s, payload) FROM unnest(%s::text[]) AS payload",
            [CHANNEL, [f"{notice} {shard} {device_id}" for shard, device_id in devices]],
        )


def notice_read(payload: str) -> tuple[Notice, int, int] | None:
    """Notice, shard and device id; None where the payload is none of ours."""
    try:
        notice, shard, device_id = payload.split(" ")
        return Notice(notice), int(shard), int(device_id)
    except ValueError:
        return None
