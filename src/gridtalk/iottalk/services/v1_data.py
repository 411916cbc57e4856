"""What a v1 device says, and what it asks for (spec/iottalk.md, v1).

A pull gives one unseen value, and devices know it by its time: so the times of a feature's samples
are all different, and a value that waits is handed out at one pull only.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q

from gridtalk.core import clock
from gridtalk.core.errors import NotFound, UserError
from gridtalk.iottalk.limits import event_admit
from gridtalk.iottalk.models import DfSample, FeatureSend, RegisteredDevice, RegisteredFeature
from gridtalk.iottalk.services.jobs_out import device_jobs_sent, device_jobs_take
from gridtalk.iottalk.services.samples import NewSample, samples_store
from gridtalk.iottalk.services.sends import METER_OUTPUTS
from gridtalk.iottalk.session_v1 import Sample
from gridtalk.iottalk.voice import devices_said
from gridtalk.iottalk.wire_json import json_text
from gridtalk.iottalk.wire_v1 import kind_by_name
from gridtalk.messaging.interfaces.iottalk.wire import ACK_FEATURE, JOB_FEATURE, SPOKEN, Said

#: Samples that a pull shows, the newest first.
SHOWN = 5
#: References that wait for one device; beyond, it says the message again.
MOST_ACKS = 500
_IDF, _ODF = RegisteredFeature.Kind.IDF, RegisteredFeature.Kind.ODF


def feature_get(*, device: RegisteredDevice, name: str) -> RegisteredFeature:
    """The device's feature of that name; :class:`NotFound` where it has none."""
    feature = device.features.filter(name=name, present=True).first()
    if feature is None:
        raise NotFound(f"the device has no feature “{name}”; its df_list names them all")
    return feature


def v1_data_store(*, device: RegisteredDevice, name: str, values: list[Any]) -> None:
    """Store what the device says for a feature; a meter's also goes to the gateway, before.

    When it returns, all is durable, and what is to be acknowledged waits in ``Ack-O``. Raises
    :class:`NotFound` for an unknown feature, :class:`UserError` for an output.
    """
    feature = feature_get(device=device, name=name)
    if feature.kind != _IDF:
        _turn(feature, _IDF, "an output: its values come from the server; ask for them with GET")
    at = _next_time(feature)
    reference = ""
    if device.meter_id is not None and name in SPOKEN:
        said = Said(handle=device.handle, feature=name, values=tuple(values), at=at)
        reference = devices_said([said])[0].reference
    with transaction.atomic():
        if reference:
            _ack_queue(device, reference)
        samples_store(
            rows=[NewSample(device.pk, feature.pk, at, json_text(values))],
            tell=event_admit(device_id=device.pk),
        )
        # After what locks the device: a registration locks it before its features too.
        if feature.state != RegisteredFeature.State.OK:
            device.features.filter(pk=feature.pk).update(
                state=RegisteredFeature.State.OK, reason=""
            )


def _ack_queue(device: RegisteredDevice, reference: str) -> None:
    feature = device.features.filter(name=ACK_FEATURE, kind=_ODF, present=True).first()
    if feature is None:
        return
    waiting = FeatureSend.objects.filter(feature=feature, state=FeatureSend.State.QUEUED)
    if waiting.filter(value=[reference]).exists() or waiting.count() >= MOST_ACKS:
        return
    FeatureSend.objects.create(feature=feature, value=[reference])


def v1_samples_pull(*, device: RegisteredDevice, name: str) -> list[Sample]:
    """What ``GET /<mac>/<df>`` shows, newest first; a value that waits for the device comes along.

    Of jobs and acknowledgements each pull shows one that was not shown before, or nothing: a device
    that was off must not find its last job. A job
    counts as handed over: nobody can know whether the answer arrives, and a meter that does not
    confirm it is sent it again by the rules of jobs. Raises :class:`NotFound`.
    """
    feature = feature_get(device=device, name=name)
    if feature.kind == _IDF and feature.last_at is None and kind_by_name(name) is None:
        _turn(feature, _ODF, "")
    if feature.kind == _ODF:
        new = _waiting_take(device, feature)
        if new is None and name == JOB_FEATURE and device.meter_id is not None:
            new = _job_take(device, feature)
        if name in METER_OUTPUTS:
            return [] if new is None else [new]
    shown = DfSample.objects.filter(feature=feature).order_by("-at").values_list("at", "value")
    return list(shown[:SHOWN])


def _turn(feature: RegisteredFeature, kind: RegisteredFeature.Kind, otherwise: str) -> None:
    """Learn which way a feature's data go, by the first that happens; its name tells nothing."""
    if feature.last_at is not None or kind_by_name(feature.name) is not None:
        raise UserError(f"“{feature.name}” is {otherwise}")
    feature.kind = kind
    feature.save(update_fields=["kind"])


def _waiting_take(device: RegisteredDevice, feature: RegisteredFeature) -> Sample | None:
    """The oldest value that waits for the feature, handed out."""
    with transaction.atomic():
        # The row of the feature keeps two pulls at once from taking values in another order.
        feature = RegisteredFeature.objects.select_for_update(no_key=True).get(pk=feature.pk)
        # The row of the value, that a binding does not end it meanwhile.
        waiting = FeatureSend.objects.select_for_update(of=("self",), no_key=True).filter(
            _may_go(feature), feature=feature, state=FeatureSend.State.QUEUED
        )
        send = waiting.order_by("pk").first()
        if send is None:
            return None
        if feature.name == ACK_FEATURE:
            send.delete()
        else:
            send.state, send.sent_at = FeatureSend.State.SENT, clock.now()
            send.save(update_fields=["state", "sent_at"])
        return _handed_out(device, feature, send.value)


def _may_go(feature: RegisteredFeature) -> Q:
    """Which values may be handed out: to the outputs of a meter, acknowledgements of ours alone."""
    if feature.name not in METER_OUTPUTS:
        return Q()
    free = Q(feature__device__meter__isnull=True)
    return free | Q(requested_by__isnull=True) if feature.name == ACK_FEATURE else free


def _job_take(device: RegisteredDevice, feature: RegisteredFeature) -> Sample | None:
    taken = device_jobs_take(handles=[device.handle], most=1)
    if not taken:
        return None
    sample = _handed_out(device, feature, taken[0].values)
    device_jobs_sent(taken=taken)
    return sample


def _handed_out(device: RegisteredDevice, feature: RegisteredFeature, value: list[Any]) -> Sample:
    at = _next_time(feature)
    samples_store(rows=[NewSample(device.pk, feature.pk, at, json_text(value))], said=False)
    return at, value


def _next_time(feature: RegisteredFeature) -> datetime:
    """The present time, and later than that of the feature's last sample."""
    now = clock.now()
    return now if feature.last_at is None else max(now, feature.last_at + timedelta(microseconds=1))
