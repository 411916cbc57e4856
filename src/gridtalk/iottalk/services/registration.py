"""A device registers, registers again, and leaves: rows of both protocols."""

import time
import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.module_loading import import_string

from gridtalk.core import clock
from gridtalk.core.errors import Conflict, NotFound, TooMany
from gridtalk.core.events import DEVICES_TOPIC, device_topic, events_notify
from gridtalk.iottalk.limits import Wait
from gridtalk.iottalk.models import (
    LONGEST_NAME,
    SHARDS,
    DeviceEvent,
    RegisteredDevice,
    RegisteredFeature,
    new_handle,
)
from gridtalk.iottalk.notices import Notice, notice_send
from gridtalk.iottalk.services.events import event_add
from gridtalk.iottalk.wire_registration import Feature, Registration
from gridtalk.users.models import User

#: Rows of features that a device once had and no longer has; the oldest go.
MOST_GONE = 200


@dataclass(frozen=True, slots=True)
class Registered:
    """The device as it is now, and whether it was not known before."""

    device: RegisteredDevice
    created: bool


def shard_of(handle: str) -> int:
    """The shard that a device's control topics belong to."""
    return zlib.crc32(handle.encode()) % SHARDS


def device_register(
    *, registration: Registration, source: str, key_hash: str | None = None
) -> Registered:
    """Store a registration: the device, its features with lasting numbers, a new revision.

    In a transaction of its own where there is none. ``source`` is the caller's IP address;
    ``key_hash`` is the new v1 key's, None to keep what there is. Who may register under this
    address is the caller's question. Raises :class:`Wait` for a device that was thrown out a
    moment ago, :class:`TooMany` for a new one where there are too many that are no meter's.
    """
    with transaction.atomic():
        device = _locked(registration)
        if device is None:
            _room_check()
            device = _new(registration)
        _check_bar(device)
        created, left_before = device.pk is None, device.deregistered_at
        _fill(device, registration)
        if key_hash is not None:
            device.key_hash = key_hash
        if not created:
            device.save()
        elif not _inserted(device):
            # Another request has made it meanwhile: now it is there to be locked.
            return device_register(registration=registration, source=source, key_hash=key_hash)
        _features_store(device, registration.features, created=created)
        event_add(
            kind=DeviceEvent.Kind.REGISTERED
            if created or left_before
            else DeviceEvent.Kind.REREGISTERED,
            device=device, text=_event_text(registration), source=source,
        )  # fmt: skip
        notice_send(notice=Notice.REGISTERED, shard=device.shard, device_id=device.pk)
        events_notify([device_topic(device.pk), DEVICES_TOPIC])
    return Registered(device, created)


class _Unbound:
    """How many devices are no meter's, counted now and then: a new one need not wait for that."""

    lasts_s = 5.0

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._until, self._count = 0.0, 0

    def one_more(self) -> int:
        if time.monotonic() >= self._until:
            self._count = RegisteredDevice.objects.filter(meter__isnull=True).count()
            self._until = time.monotonic() + self.lasts_s
        self._count += 1
        return self._count


_unbound = _Unbound()
#: Forget what was counted; for tests.
unbound_forget = _unbound.forget


def _room_check() -> None:
    if _unbound.one_more() > settings.DEVICES_UNBOUND_MOST:
        raise TooMany(
            f"{settings.DEVICES_UNBOUND_MOST} devices that are no meter's are registered, and no "
            "more are taken: come again later (operators: forget some, or raise "
            "GRIDTALK_DEVICES_UNBOUND_MOST)"
        )


def device_deregister(*, device: RegisteredDevice, rev: uuid.UUID | None, source: str = "") -> None:
    """A device leaves: offline, its features no longer connected; its rows and its meter stay.

    ``rev`` is the revision that it means (v2); None where there is none (v1). Raises
    :class:`Conflict` for an older one, and :class:`NotFound` where it has left already.
    """
    with transaction.atomic():
        device = RegisteredDevice.objects.select_for_update(no_key=True).get(pk=device.pk)
        if device.deregistered_at:
            raise NotFound("this device is not registered")
        if rev is not None and rev != device.rev:
            raise Conflict(
                "rev is that of an earlier registration; the device has registered again since"
            )
        device.deregistered_at = now = clock.now()
        device.key_hash = "" if device.meter_id is None else device.key_hash
        _offline(device, now)
        device.save()
        device.features.update(state=RegisteredFeature.State.NEW, reason="")
        event_add(kind=DeviceEvent.Kind.DEREGISTERED, device=device, source=source)
        notice_send(notice=Notice.REGISTERED, shard=device.shard, device_id=device.pk)
        events_notify([device_topic(device.pk), DEVICES_TOPIC])


def _offline(device: RegisteredDevice, now: datetime) -> None:
    if device.online:
        device.online = False
        device.state_at = now


def _locked(registration: Registration) -> RegisteredDevice | None:
    """The device of that address, locked, if there is one."""
    return (
        RegisteredDevice.objects.select_for_update(no_key=True)
        .filter(protocol=registration.protocol, address=registration.address)
        .first()
    )


def _check_bar(device: RegisteredDevice) -> None:
    if device.barred_until is not None:
        seconds = (device.barred_until - clock.now()).total_seconds()
        if seconds > 0:
            raise Wait("this device was thrown out for flooding the server", seconds)


def _new(registration: Registration) -> RegisteredDevice:
    handle = new_handle()
    return RegisteredDevice(
        protocol=registration.protocol, address=registration.address, handle=handle,
        shard=shard_of(handle),
    )  # fmt: skip


def _fill(device: RegisteredDevice, registration: Registration) -> None:
    now = clock.now()
    device.name = registration.name or device.name or _name_made(device, registration)
    device.dm_name = registration.dm_name
    device.version = registration.version
    device.profile = registration.profile
    device.rev = uuid.uuid4()
    device.registered_at = device.last_seen_at = now
    device.deregistered_at = None
    if device.owner_id is None:
        device.owner = _owner_of(registration)


def _owner_of(registration: Registration) -> User | None:
    """Whose it is, by the workshop's saved devices: one that the workshop wrote has its address."""
    find = cast("Callable[..., User | None]", import_string(settings.DEVICE_OWNER))
    return find(device_address=registration.address)


def _inserted(device: RegisteredDevice) -> bool:
    """Whether there was no device of that address yet."""
    try:
        with transaction.atomic():
            device.save(force_insert=True)
    except IntegrityError:
        return False
    return True


def _name_made(device: RegisteredDevice, registration: Registration) -> str:
    """A name where the device has none: its model, and a part of its handle."""
    ending = f" {device.handle[1:5]}"
    return f"{(registration.dm_name or 'Device')[: LONGEST_NAME - len(ending)]}{ending}"


def _event_text(registration: Registration) -> str:
    count = len(registration.features)
    of = f" of {registration.dm_name}" if registration.dm_name else ""
    return f"{count} feature{'' if count == 1 else 's'}{of}"


def _features_store(
    device: RegisteredDevice, features: tuple[Feature, ...], *, created: bool
) -> None:
    """Make the rows be what the device says that it has; numbers stay as they were."""
    rows = {} if created else {(row.kind, row.name): row for row in device.features.all()}
    taken = {row.number for row in rows.values()}
    free = (number for number in range(1, 2**15) if number not in taken)
    new, changed = [], []
    for feature in features:
        row = rows.pop((feature.kind, feature.name), None)
        params = list(feature.params)
        if row is None:
            new.append(
                RegisteredFeature(
                    device=device, name=feature.name, kind=feature.kind, params=params,
                    number=next(free),
                )
            )  # fmt: skip
        elif row.params != params or not row.present:
            row.params, row.present = params, True
            changed.append(row)
    gone = sorted(rows.values(), key=lambda row: -row.pk)
    for row in gone:
        row.present = False
    if not created:
        device.features.update(state=RegisteredFeature.State.NEW, reason="")
        RegisteredFeature.objects.bulk_update(changed, ["params", "present"])
        device.features.filter(pk__in=[row.pk for row in gone]).update(present=False)
        device.features.filter(pk__in=[row.pk for row in gone[MOST_GONE:]]).delete()
    RegisteredFeature.objects.bulk_create(new)
