"""Making a device a meter: an operator binds it, once. Nobody becomes a meter by registering.

One device is one meter. What waits for the meter goes to its device from then on; what was handed
over to the box before it is not repeated to the new one, which does not know it (``jobs/moving``).

At an unbinding the meter's jobs wait: for its next device, or for an operator who cancels or
reverses them. Credit that its box never confirmed becomes unconfirmed: a person decides.
"""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from gridtalk.core import clock
from gridtalk.core.errors import Conflict, NotFound, UserError
from gridtalk.core.events import DEVICES_TOPIC, device_topic, events_notify, meter_topic
from gridtalk.grid.models import Meter
from gridtalk.grid.services import meter_change_note, meter_create
from gridtalk.iottalk.models import DeviceEvent, RegisteredDevice, RegisteredFeature
from gridtalk.iottalk.notices import Notice, notice_send
from gridtalk.iottalk.services.events import event_add
from gridtalk.iottalk.services.sends import meter_outputs_clear
from gridtalk.jobs.moving import (
    box_change_check,
    credits_left_behind,
    credits_settled_check,
    job_messages_redirect,
)
from gridtalk.messaging.interfaces.base import Way
from gridtalk.messaging.interfaces.catalogue import provider
from gridtalk.messaging.interfaces.iottalk.wire import ACK_FEATURE, JOB_FEATURE
from gridtalk.messaging.models import (
    CommunicationInterface,
    IncomingMessage,
    IoTtalkInterface,
)
from gridtalk.users import audit
from gridtalk.users.models import Permission, User
from gridtalk.users.permissions import permission_check

#: How long a device that was approved may register again without its key.
APPROVAL_LASTS = timedelta(hours=1)
#: What a meter is known by while no device is bound to it.
UNBOUND = "unbound-"


def device_change_check(*, user: User | None) -> None:
    """Raise :class:`NotAllowed` unless the user has ``GRID``; without one it is the command line.

    Every service by which an operator changes a registered device asks it first.
    """
    if user is not None:
        permission_check(user, Permission.GRID)


def device_features_missing(*, device: RegisteredDevice) -> list[str]:
    """The features that the device lacks to be a meter, by name; empty where it has them.

    It takes jobs by ``Job-O``. It reports and confirms by ``PrimaryLog-I`` and ``JobDone-I``, or
    says both in the meters' own texts by ``Message-I``.
    """
    present = set(device.features.filter(present=True).values_list("kind", "name"))
    idf = {name for kind, name in present if kind == RegisteredFeature.Kind.IDF}
    odf = {name for kind, name in present if kind == RegisteredFeature.Kind.ODF}
    spoken = () if "Message-I" in idf else ("PrimaryLog-I", "JobDone-I")
    missing = [name for name in spoken if name not in idf]
    return missing if JOB_FEATURE in odf else [*missing, JOB_FEATURE]


def device_find(*, name: str) -> RegisteredDevice:
    """The device of that handle or name; :class:`NotFound` for none, :class:`Conflict` for many."""
    found = RegisteredDevice.objects.filter(handle=name) or RegisteredDevice.objects.filter(
        name=name
    )
    match list(found[:2]):
        case [device]:
            return device
        case []:
            raise NotFound("no device “%(device)s” has registered here", device=name)
    raise Conflict("several devices are called “%(device)s”: give the handle of one", device=name)


@transaction.atomic
def device_bind(
    *,
    device: RegisteredDevice,
    meter: Meter,
    user: User | None,
    interface: CommunicationInterface | None = None,
    knows_job_ids: bool | None = None,
) -> Meter:
    """Make a device this meter's box; the same again changes nothing. Needs ``GRID``.

    ``interface`` (of kind iottalk) is the meter's own by default, or the only one that there is.
    ``knows_job_ids`` says whether the device remembers the jobs that it applied over a power cut,
    so that credit may be sent to it again; by default whether it takes acknowledgements
    (``Ack-O``), as the meter library does. The meter's waiting jobs go to the device at once; what
    people sent to its ``Job-O`` and ``Ack-O``, and it did not fetch, is given up. A device that has
    no owner yet belongs to the user who binds it.

    A device whose meter was retired may become another's.

    Raises :class:`UserError` where features, the interface or a v1 device's password-key are
    missing; :class:`Conflict` where one of the two is bound already, the meter is retired, or its
    present box may still answer for credit.
    """
    device_change_check(user=user)
    device = RegisteredDevice.objects.select_for_update(no_key=True).get(pk=device.pk)
    meter = _meter_locked(meter)
    if device.meter_id == meter.pk:
        return meter
    _retired_leave(device)
    _fit(device, meter)
    box_change_check(meter=meter)
    credits_settled_check(meter=meter)
    credits_left_behind(meter=meter)
    if knows_job_ids is None:
        knows_job_ids = device.features.filter(
            kind=RegisteredFeature.Kind.ODF, name=ACK_FEATURE, present=True
        ).exists()
    meter.communication_interface = _interface(meter, interface)
    meter.device_address = device.handle
    meter.knows_job_ids = knows_job_ids
    meter.save(update_fields=["communication_interface", "device_address", "knows_job_ids"])
    device.meter = meter
    device.owner = device.owner or user
    device.save(update_fields=["meter", "owner", *_approval_end(device)])
    meter_outputs_clear(device=device)
    job_messages_redirect(meter=meter)
    _told(device, meter, user, kind=DeviceEvent.Kind.BOUND, action="device_bind")
    return meter


@transaction.atomic
def device_unbind(
    *,
    device: RegisteredDevice,
    user: User | None,
    interface: CommunicationInterface | None = None,
) -> Meter:
    """Take a device away from its meter; the meter, given back, waits for another. Needs ``GRID``.

    With ``interface`` (one for SMS) the meter is reached by its phone from then on. Jobs that wait
    go on waiting; credit that the device never confirmed is not sent again and becomes unconfirmed.
    What the device says is no longer acknowledged, so that it keeps it.

    Raises :class:`Conflict` where it is no meter's, a job is being handed over right now, or what
    it said is not yet handled; :class:`UserError` where the meter has no phone for ``interface``.
    """
    device_change_check(user=user)
    device = RegisteredDevice.objects.select_for_update(no_key=True).get(pk=device.pk)
    if device.meter_id is None:
        raise Conflict("device “%(device)s” is no meter's", device=device.name)
    meter = _meter_locked(Meter(pk=device.meter_id))
    box_change_check(meter=meter)
    if IncomingMessage.objects.filter(number=device.handle, handled_at__isnull=True).exists():
        # It was acknowledged, so the device has forgotten it; without its meter it would be lost.
        raise Conflict(
            "what device “%(device)s” said is being handled; look again in a moment",
            device=device.name,
        )
    credits_left_behind(meter=meter)
    meter.device_address = f"{UNBOUND}{meter.pk}"
    meter.knows_job_ids = False
    if interface is not None:
        if provider(interface.kind).way is Way.DEVICES or not meter.phone:
            raise UserError(
                "meter “%(meter)s” has no phone by which “%(name)s” could reach it",
                meter=meter.name,
                name=interface.name,
            )
        meter.communication_interface = interface
        meter.device_address = None
    meter.save(update_fields=["communication_interface", "device_address", "knows_job_ids"])
    device.meter = None
    device.save(update_fields=["meter", *_approval_end(device)])
    job_messages_redirect(meter=meter)
    _told(device, meter, user, kind=DeviceEvent.Kind.UNBOUND, action="device_unbind")
    return meter


@transaction.atomic
def meter_for_device_create(
    *,
    device: RegisteredDevice,
    user: User | None,
    name: str,
    circuits: int,
    interface: CommunicationInterface | None = None,
    knows_job_ids: bool | None = None,
    **facts: Any,
) -> Meter:
    """A new meter with its circuits, straight from a device. Needs ``GRID``.

    ``facts`` are those of :func:`gridtalk.grid.services.meter_create` (``time_zone``, ``location``,
    ``lang``, limits). Raises what it and :func:`device_bind` raise; then nothing is made.
    """
    device_change_check(user=user)
    device = RegisteredDevice.objects.select_for_update(no_key=True).get(pk=device.pk)
    _retired_leave(device)
    meter = meter_create(
        name=name,
        communication_interface=_interface(None, interface),
        circuits=circuits,
        device_address=device.handle,
        user=user,
        **facts,
    )
    return device_bind(device=device, meter=meter, user=user, knows_job_ids=knows_job_ids)


@transaction.atomic
def device_approve(*, device: RegisteredDevice, user: User | None) -> RegisteredDevice:
    """Let a bound device register again without its key, within an hour, from where it asked.

    Needs ``GRID``. Raises :class:`Conflict` where it did not ask.
    """
    device = _asking(device, user)
    device.approval_wanted_at = None
    device.approved_until = clock.now() + APPROVAL_LASTS
    device.save(update_fields=["approval_wanted_at", "approved_until"])
    event_add(kind=DeviceEvent.Kind.APPROVED, device=device, text=_by(user))
    audit.audit(user=user, action="device_approve", target=f"device {device.handle}")
    events_notify([device_topic(device.pk)])
    return device


@transaction.atomic
def device_refuse(*, device: RegisteredDevice, user: User | None) -> RegisteredDevice:
    """Who asked to register as a bound device without its key is not that device. Needs ``GRID``.

    The device goes on as it was. Raises :class:`Conflict` where nobody asked.
    """
    device = _asking(device, user)
    source = device.approval_source
    device.save(update_fields=_approval_end(device))
    event_add(kind=DeviceEvent.Kind.REFUSED, device=device, source=source, text=_by(user))
    audit.audit(
        user=user, action="device_refuse", target=f"device {device.handle}", data={"from": source}
    )
    events_notify([device_topic(device.pk), DEVICES_TOPIC])
    return device


def _asking(device: RegisteredDevice, user: User | None) -> RegisteredDevice:
    device_change_check(user=user)
    device = RegisteredDevice.objects.select_for_update(no_key=True).get(pk=device.pk)
    if device.approval_wanted_at is None:
        raise Conflict("device “%(device)s” does not wait for an approval", device=device.name)
    return device


def _approval_end(device: RegisteredDevice) -> list[str]:
    """Take an approval, and the wish for one, off the device; the names of what was set."""
    for name, value in RegisteredDevice.APPROVAL_NONE.items():
        setattr(device, name, value)
    return list(RegisteredDevice.APPROVAL_NONE)


def _meter_locked(meter: Meter) -> Meter:
    return (
        Meter.objects.select_for_update(of=("self",), no_key=True)
        .select_related("communication_interface")
        .get(pk=meter.pk)
    )


def _retired_leave(device: RegisteredDevice) -> None:
    """A meter that was retired does not keep its device."""
    if device.meter is None or device.meter.retired_at is None:
        return
    Meter.objects.filter(pk=device.meter.pk).update(device_address=f"{UNBOUND}{device.meter.pk}")
    event_add(
        kind=DeviceEvent.Kind.UNBOUND, device=device, text=f"meter {device.meter.name}, retired"
    )
    device.meter = None
    device.save(update_fields=["meter"])


def _fit(device: RegisteredDevice, meter: Meter) -> None:
    if device.meter is not None:
        raise Conflict(
            "device “%(device)s” is meter “%(meter)s” already; unbind it first",
            device=device.name,
            meter=device.meter.name,
        )
    if meter.retired_at is not None:
        raise Conflict("meter “%(meter)s” is retired", meter=meter.name)
    other = RegisteredDevice.objects.filter(meter=meter).first()
    if other is not None:
        raise Conflict(
            "meter “%(meter)s” is device “%(device)s” already; unbind it first",
            meter=meter.name,
            device=other.name,
        )
    taken = Meter.objects.filter(device_address=device.handle).exclude(pk=meter.pk).first()
    if taken is not None:
        raise Conflict("meter “%(meter)s” has this device's address already", meter=taken.name)
    if device.protocol == RegisteredDevice.Protocol.V1 and (
        not device.key_hash or device.dm_name in settings.DEVICE_KEYLESS_MODELS
    ):
        raise UserError(
            "device “%(device)s” has no password-key, or its model sends none: anybody could speak "
            "for the meter. Let it register again, and send its key",
            device=device.name,
        )
    if missing := device_features_missing(device=device):
        raise UserError(
            "device “%(device)s” cannot be a meter: it has no %(features)s. Build it from the "
            "device model PrepaidMeter, or add these features",
            device=device.name,
            features=", ".join(missing),
        )


def _interface(meter: Meter | None, given: CommunicationInterface | None) -> CommunicationInterface:
    if given is not None:
        if provider(given.kind).way is not Way.DEVICES:
            raise UserError("the interface “%(name)s” does not reach devices", name=given.name)
        return given
    if meter is not None and provider(meter.communication_interface.kind).way is Way.DEVICES:
        return meter.communication_interface
    match list(IoTtalkInterface.objects.filter(active=True).order_by("pk")[:2]):
        case [only]:
            return CommunicationInterface.objects.get(pk=only.pk)
        case []:
            raise UserError(
                "there is no interface to devices yet; add one of kind iottalk, and name in it "
                "the interface that carries the texts to consumers (sms_interface)"
            )
    raise UserError("there are several interfaces to devices: say which one the meter gets")


def _told(
    device: RegisteredDevice,
    meter: Meter,
    user: User | None,
    *,
    kind: DeviceEvent.Kind,
    action: str,
) -> None:
    """The event, the audit trail, the meter's log of changes; open pages, the device server."""
    event_add(kind=kind, device=device, text=f"meter {meter.name}, {_by(user)}")
    audit.audit(
        user=user,
        action=action,
        target=f"meter {meter.name}",
        data={"device": device.handle, "name": device.name},
    )
    bound = kind == DeviceEvent.Kind.BOUND
    meter_change_note(meter=meter, key="device", value=device.name if bound else "", user=user)
    notice_send(notice=Notice.BOUND, shard=device.shard, device_id=device.pk)
    events_notify([device_topic(device.pk), meter_topic(meter.pk)])


def _by(user: User | None) -> str:
    return f"by {user.name}" if user is not None else "by the command line"
