"""What pages and programs ask of registered devices; every query is bounded."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Count, F, Q, QuerySet

from gridtalk.iottalk.models import (
    DeviceEvent,
    FeatureSend,
    RegisteredDevice,
    RegisteredFeature,
)

#: Of each feature, a chart looks at so many samples, the newest.
MOST_SAMPLES = 20_000

STATES = ("online", "offline", "waiting", "gone")


def registered_device_list(*, search: str = "", state: str = "") -> QuerySet[RegisteredDevice]:
    """The devices by name, with the number of their present features (``feature_count``).

    Those that wait for an approval come first, who waits longest before the others. ``search``
    finds name, model, handle and meter; never the address, which may be a secret. ``state`` is one
    of :data:`STATES` or empty: ``waiting`` for an approval, ``gone`` where it deregistered.
    """
    found = RegisteredDevice.objects.select_related("meter", "owner").annotate(
        feature_count=Count("features", filter=Q(features__present=True))
    )
    if word := search.strip():
        found = found.filter(_named(word))
    match state:
        case "online":
            found = found.filter(online=True)
        case "offline":
            found = found.filter(online=False, deregistered_at__isnull=True)
        case "waiting":
            found = found.filter(approval_wanted_at__isnull=False)
        case "gone":
            found = found.filter(deregistered_at__isnull=False)
    return found.order_by(F("approval_wanted_at").asc(nulls_last=True), "name", "pk")


def _named(word: str) -> Q:
    """The devices that a search finds."""
    return (
        Q(name__icontains=word)
        | Q(dm_name__icontains=word)
        | Q(handle=word)
        | Q(meter__name__icontains=word)
    )


def devices_waiting_count() -> int:
    """How many devices wait for an approval."""
    return RegisteredDevice.objects.filter(approval_wanted_at__isnull=False).count()


def registered_device_state(device: RegisteredDevice) -> str:
    """``online``, ``offline`` or ``gone``, or ``new`` where it registered and never spoke.

    Whether somebody waits for an approval of it is another question: it may be online meanwhile.
    """
    if device.online:
        return "online"
    if device.deregistered_at is not None:
        return "gone"
    return "offline" if device.state_at is not None else "new"


@dataclass(frozen=True)
class FeatureFacts:
    """A feature with what waits for its device."""

    feature: RegisteredFeature
    waiting: int


def feature_list(*, device: RegisteredDevice) -> list[FeatureFacts]:
    """The device's present features, inputs first, in the order of registration; one query more
    for what waits."""
    features = list(device.features.filter(present=True).order_by("kind", "number"))
    counts = dict(
        FeatureSend.objects.filter(feature__in=features, state=FeatureSend.State.QUEUED)
        .values_list("feature_id")
        .annotate(Count("pk"))
    )
    return [FeatureFacts(feature, counts.get(feature.pk, 0)) for feature in features]


def device_event_list(*, device: RegisteredDevice, limit: int = 50) -> list[DeviceEvent]:
    """The log of a device, newest first."""
    return list(DeviceEvent.objects.filter(device=device).order_by("-pk")[:limit])


def device_log(
    *, search: str = "", kind: str = "", since: datetime | None = None
) -> QuerySet[DeviceEvent]:
    """The log of registrations and errors of all devices, and of who is none.

    ``search`` finds devices as in :func:`registered_device_list`; ``kind`` is one of
    ``DeviceEvent.Kind`` or empty. To be paged by id, newest first.
    """
    found = DeviceEvent.objects.select_related("device")
    if word := search.strip():
        found = found.filter(device__in=RegisteredDevice.objects.filter(_named(word)).values("pk"))
    if kind:
        found = found.filter(kind=kind)
    if since is not None:
        found = found.filter(at__gte=since)
    return found


# The newest rows through the index, then one a bucket: a chart needs no more points.
_SAMPLES = """
    SELECT f.id, s.at, s.value FROM unnest(%(features)s::int[]) AS f(id)
    CROSS JOIN LATERAL (
        SELECT DISTINCT ON (date_bin(%(bucket)s::interval, n.at, %(start)s)) n.at, n.value
        FROM (
            SELECT at, value FROM df_samples
            WHERE feature_id = f.id AND at >= %(start)s ORDER BY at DESC LIMIT %(most)s
        ) n
        ORDER BY date_bin(%(bucket)s::interval, n.at, %(start)s), n.at DESC
    ) s
    ORDER BY f.id, s.at
"""


def sample_list(
    *, features: list[RegisteredFeature], start: datetime, end: datetime, points: int
) -> dict[int, list[tuple[datetime, list[Any]]]]:
    """The samples of each feature between two instants, at most about ``points`` of each, evenly.

    Of more than :data:`MOST_SAMPLES` the older are left out. By feature id, in order of time.
    """
    found: dict[int, list[tuple[datetime, list[Any]]]] = {}
    if not features:
        return found
    bucket_s = max((end - start).total_seconds() / max(points, 1), 0.001)
    values: dict[str, Any] = {
        "features": [feature.pk for feature in features],
        "start": start,
        "bucket": f"{bucket_s:f} seconds",
        "most": MOST_SAMPLES,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SAMPLES, values)
        for feature_id, at, value in cursor.fetchall():
            found.setdefault(feature_id, []).append((at, json.loads(value)))
    return found
