"""Which process reads the control topics of which devices: shards, leased for some seconds."""

from collections.abc import Collection

from django.db import connection

from gridtalk.iottalk.models import SHARDS, DeviceShard

#: A process that was killed is followed by another after so long, at most.
LEASE_S = 7.0


def shards_ensure() -> None:
    """Make the rows, once for an installation."""
    DeviceShard.objects.bulk_create(
        [DeviceShard(number=number) for number in range(SHARDS)], ignore_conflicts=True
    )


def shards_renew(*, holder: str, held: Collection[int]) -> set[int]:
    """Lease again what the holder holds; those which another has taken are not in the answer.

    One whose lease ran out, but which nobody took, is the holder's still: it missed nothing.
    """
    return _numbers(
        "UPDATE device_shards SET lease_until = now() + make_interval(secs => %s)"
        " WHERE holder = %s AND number = ANY(%s) RETURNING number",
        [LEASE_S, holder, list(held)],
    )


def shards_take(*, holder: str, most: int) -> set[int]:
    """Lease up to ``most`` shards that are free, or whose holder has gone."""
    return _numbers(
        "UPDATE device_shards SET holder = %s, lease_until = now() + make_interval(secs => %s)"
        " WHERE number IN ("
        " SELECT number FROM device_shards WHERE lease_until IS NULL OR lease_until < now()"
        " ORDER BY number LIMIT %s FOR UPDATE SKIP LOCKED) RETURNING number",
        [holder, LEASE_S, most],
    )


def shards_release(*, holder: str, numbers: Collection[int]) -> None:
    """Give shards back at once."""
    _numbers(
        "UPDATE device_shards SET holder = '', lease_until = NULL"
        " WHERE holder = %s AND number = ANY(%s) RETURNING number",
        [holder, list(numbers)],
    )


def _numbers(statement: str, values: list[str | float | list[int]]) -> set[int]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return {number for (number,) in cursor.fetchall()}
