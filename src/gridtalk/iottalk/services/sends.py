"""Values for ODFs: asked for by people and programs, handed over by the device server."""

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction

from gridtalk.core import clock
from gridtalk.core.errors import Conflict, TooLarge, TooMany, UserError
from gridtalk.core.events import device_topic, events_notify
from gridtalk.iottalk.models import FeatureSend, RegisteredDevice, RegisteredFeature
from gridtalk.iottalk.notices import Notice, notice_send
from gridtalk.iottalk.services.samples import NewSample, samples_store
from gridtalk.iottalk.wire_json import json_text
from gridtalk.messaging.interfaces.iottalk.wire import ACK_FEATURE, JOB_FEATURE
from gridtalk.users.models import User

#: Values that may wait for one feature; a device that is offline gets them all when it comes.
MOST_WAITING = 100
#: Values of one batch.
BATCH = 500
#: Outputs by which a meter is told of money and of what is stored: the gateway's alone, once bound.
METER_OUTPUTS = frozenset({JOB_FEATURE, ACK_FEATURE})
_NUMBERS = (int, float, Decimal)


class WaitingSend(NamedTuple):
    """A value that waits; ``number`` is its ODF's, ``text`` its JSON list."""

    send_id: int
    feature_id: int
    device_id: int
    number: int
    text: str


def feature_send(*, feature: RegisteredFeature, value: list[Any], user: User | None) -> FeatureSend:
    """Queue a value for an ODF; it goes out when the device has taken the feature's topic.

    Raises :class:`UserError` where the feature is no ODF, or the value does not fit its parameters;
    :class:`Conflict` where its device is not registered or has it no longer, or where it is one of
    a meter's :data:`METER_OUTPUTS`; :class:`TooLarge`, :class:`TooMany`.
    """
    device = feature.device
    if feature.kind != RegisteredFeature.Kind.ODF:
        raise UserError(
            "“%(feature)s” is an input feature: the device says its values; choose an output",
            feature=feature.name,
        )
    if device.deregistered_at or not feature.present:
        raise Conflict(
            "%(device)s is not registered with “%(feature)s” any more",
            device=device.name,
            feature=feature.name,
        )
    _fits(feature, value)
    if len(json_text(value).encode()) > settings.DEVICE_MESSAGE_LARGEST_BYTES:
        raise TooLarge(
            "the value has over %(most)s bytes", most=settings.DEVICE_MESSAGE_LARGEST_BYTES
        )
    with transaction.atomic():
        # Locked, so that a binding comes before this or after it, and ends what waits.
        device = RegisteredDevice.objects.select_for_update(no_key=True).get(pk=device.pk)
        if device.meter_id is not None and feature.name in METER_OUTPUTS:
            raise Conflict(
                "device “%(device)s” is a meter: “%(feature)s” carries its jobs and "
                "acknowledgements alone; use the page of the meter or of its circuits",
                device=device.name,
                feature=feature.name,
            )
        # Locked, so that two who ask at once do not pass the limit together.
        RegisteredFeature.objects.select_for_update(no_key=True).get(pk=feature.pk)
        waiting = FeatureSend.objects.filter(feature=feature, state=FeatureSend.State.QUEUED)
        if waiting.count() >= MOST_WAITING:
            raise TooMany(
                "%(count)s values wait for “%(feature)s” of %(device)s",
                count=MOST_WAITING,
                feature=feature.name,
                device=device.name,
            )
        send = FeatureSend.objects.create(feature=feature, value=value, requested_by=user)
        notice_send(notice=Notice.SEND, shard=device.shard, device_id=device.pk)
        events_notify([device_topic(device.pk)])
    return send


def _fits(feature: RegisteredFeature, value: list[Any]) -> None:
    types = feature.params or [None]
    if len(value) != len(types) and feature.params not in ([], [None]):
        raise UserError(
            "“%(feature)s” takes %(count)s value(s) (%(types)s); %(given)s given",
            feature=feature.name,
            count=len(types),
            types=", ".join(str(one or "any") for one in types),
            given=len(value),
        )
    for number, (kind, one) in enumerate(zip(types, value, strict=False), start=1):
        if not _is(kind, one):
            raise UserError(
                "value %(number)s of “%(feature)s” must be of type %(kind)s: %(value)s",
                number=number,
                feature=feature.name,
                kind=kind,
                value=repr(one),
            )


def _is(kind: str | None, value: Any) -> bool:
    """Whether the value is of that type; of a type that we do not know, any is."""
    match (kind or "").lower():
        case "int" | "integer" | "long":
            return type(value) is int
        case "float" | "double" | "number":
            return isinstance(value, _NUMBERS) and not isinstance(value, bool)
        case "string" | "str":
            return isinstance(value, str)
        case "bool" | "boolean":
            return isinstance(value, bool)
        case _:
            return True


def meter_outputs_clear(*, device: RegisteredDevice) -> int:
    """Give up what people sent to the :data:`METER_OUTPUTS` of a device that becomes a meter's.

    Called in the transaction of the binding: handed over later, it would count as the gateway's.
    Returns how many values that were.
    """
    waiting = FeatureSend.objects.filter(
        feature__device=device, feature__name__in=METER_OUTPUTS, state=FeatureSend.State.QUEUED
    )
    return waiting.update(
        state=FeatureSend.State.FAILED, error="the device has become a meter's meanwhile"
    )


def sends_waiting(*, device_ids: Collection[int]) -> dict[int, list[int]]:
    """Which ODFs (device id → their numbers) of these v2 devices have values waiting; of a
    meter's, all but the :data:`METER_OUTPUTS`."""
    found: dict[int, list[int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT f.device_id, f.number FROM feature_sends s"
            " JOIN registered_features f ON f.id = s.feature_id"
            " JOIN registered_devices d ON d.id = f.device_id"
            " WHERE s.state = 'queued' AND (d.meter_id IS NULL OR f.name <> ALL(%s))"
            " AND d.id = ANY(%s)",
            [list(METER_OUTPUTS), list(device_ids)],
        )
        for device_id, number in cursor.fetchall():
            found.setdefault(device_id, []).append(number)
    return found


def sends_take(*, features: Sequence[tuple[int, int]]) -> list[WaitingSend]:
    """What waits for these (device id, number of the ODF), oldest first, at most :data:`BATCH`;
    nothing for the :data:`METER_OUTPUTS` of a meter."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.id, f.id, f.device_id, f.number, s.value::text FROM feature_sends s"
            " JOIN registered_features f ON f.id = s.feature_id"
            " JOIN unnest(%s::int[], %s::int[]) AS g(device_id, number)"
            " USING (device_id, number)"
            " JOIN registered_devices d ON d.id = f.device_id"
            " WHERE s.state = 'queued' AND f.present AND f.kind = 'odf'"
            " AND (d.meter_id IS NULL OR f.name <> ALL(%s)) ORDER BY s.id LIMIT %s",
            [
                [device_id for device_id, _ in features],
                [number for _, number in features],
                list(METER_OUTPUTS),
                BATCH,
            ],
        )
        return [WaitingSend(*row) for row in cursor.fetchall()]


def sends_done(*, sent: Sequence[WaitingSend]) -> None:
    """These were handed to the broker: mark them, and store them as samples of their features."""
    now = clock.now()
    with transaction.atomic():
        ids = [send.send_id for send in sent]
        FeatureSend.objects.filter(pk__in=ids).update(state=FeatureSend.State.SENT, sent_at=now)
        rows = [NewSample(send.device_id, send.feature_id, now, send.text) for send in sent]
        samples_store(rows=rows, said=False)


def sends_expire(*, before: datetime) -> int:
    """Give up what has waited since before then; how many."""
    waiting = FeatureSend.objects.filter(state=FeatureSend.State.QUEUED, created_at__lt=before)
    return waiting.update(
        state=FeatureSend.State.FAILED, error="the device did not come for it in time"
    )
