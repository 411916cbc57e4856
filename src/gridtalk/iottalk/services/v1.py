"""A v1 device over HTTP (spec/iottalk.md, v1): its registration, its key, and being there.

What it says and asks for stands in ``v1_data.py``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from gridtalk.core import clock, secrets
from gridtalk.core.errors import NotAllowed
from gridtalk.core.events import DEVICES_TOPIC, device_topic, events_notify
from gridtalk.iottalk.models import DeviceEvent, RegisteredDevice, RegisteredFeature
from gridtalk.iottalk.services.events import event_add
from gridtalk.iottalk.services.jobs_out import device_jobs_again
from gridtalk.iottalk.services.registration import device_deregister, device_register
from gridtalk.iottalk.services.samples import SEEN_STEP_S
from gridtalk.iottalk.services.v1_data import feature_get
from gridtalk.iottalk.session_v1 import SWITCHED_OFF, Sample, control_answer, control_samples
from gridtalk.iottalk.wire_registration import Feature, Registration
from gridtalk.iottalk.wire_v1 import kind_by_name, not_registered

#: Where aliases are kept: no registration of a device's own changes them.
ALIASES = "df_alias"
SEEN_STEP = timedelta(seconds=SEEN_STEP_S)


class ApprovalAwaited(NotAllowed):
    """A meter's device wants to register without its key; an operator must say that it may."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A registered v1 device, and the key that it sends from now on."""

    device: RegisteredDevice
    key: str


def v1_device_get(*, address: str, key: str) -> RegisteredDevice:
    """The registered device of that address, whose password-key the caller has.

    Raises :class:`NotFound`, with the words that make it register again, and :class:`NotAllowed`.
    """
    device = v1_device_find(address=address)
    if not _key_is_right(device, key):
        raise NotAllowed("the password-key is missing or wrong: it was answered at registration")
    return device


def v1_device_find(*, address: str) -> RegisteredDevice:
    """The registered device of that address; :class:`NotFound` as in :func:`v1_device_get`."""
    device = RegisteredDevice.objects.filter(
        protocol="v1", address=address, deregistered_at__isnull=True
    ).first()
    if device is None:
        raise not_registered(address)
    return device


def _key_is_right(device: RegisteredDevice, key: str) -> bool:
    # A meter needs its key whatever the setting says: it may have been bound before that.
    if not key and device.meter_id is None and device.dm_name in settings.DEVICE_KEYLESS_MODELS:
        return True
    return secrets.key_matches(key, device.key_hash)


def v1_device_register(*, registration: Registration, key: str, source: str) -> Admitted:
    """Store a registration. One that shows its key keeps it, any other gets a new one.

    A device that is a meter's needs its key, or an operator's approval, which serves for one
    registration from the address that asked for it: else :class:`ApprovalAwaited`, after noting
    that it waits; all that it had goes on working. Once the key was shown, whoever asked without it
    was somebody else: then neither the wish nor an approval stays.
    """
    refused = None
    with transaction.atomic():
        known = (
            RegisteredDevice.objects.select_for_update(no_key=True)
            .filter(protocol="v1", address=registration.address)
            .first()
        )
        has_key = known is not None and secrets.key_matches(key, known.key_hash)
        if known is not None and known.meter_id is not None:
            if has_key or _is_approved(known, source):
                RegisteredDevice.objects.filter(pk=known.pk).update(
                    **RegisteredDevice.APPROVAL_NONE
                )
            else:
                refused = known
                _approval_want(known, source)
        if refused is None:
            key = key if has_key else secrets.key_new()
            device = device_register(
                registration=_as_known(registration, known),
                source=source,
                key_hash=secrets.key_hash(key),
            ).device
    if refused is not None:
        raise ApprovalAwaited(
            "this device is a meter's: register with the header password-key, or wait until an "
            "operator approves of this registration"
        )
    v1_device_seen(device=device)
    return Admitted(device, key)


def _approval_holds(device: RegisteredDevice) -> bool:
    return device.approved_until is not None and device.approved_until >= clock.now()


def _is_approved(device: RegisteredDevice, source: str) -> bool:
    return _approval_holds(device) and device.approval_source == source[:64]


def _approval_want(device: RegisteredDevice, source: str) -> None:
    # Who asks later, from elsewhere, takes neither the place nor the approval of who asked first.
    if device.approval_wanted_at is not None or _approval_holds(device):
        return
    RegisteredDevice.objects.filter(pk=device.pk).update(
        approval_wanted_at=clock.now(), approved_until=None, approval_source=source[:64]
    )
    event_add(
        kind=DeviceEvent.Kind.REFUSED, device=device, source=source,
        text="wants to register again without its password-key: approve of it, if it is the meter",
    )  # fmt: skip
    events_notify([device_topic(device.pk), DEVICES_TOPIC])


def _as_known(registration: Registration, known: RegisteredDevice | None) -> Registration:
    """With the directions of its features and the aliases that were learned before."""
    if known is None:
        return registration
    kinds = {
        name: kind
        for kind, name in known.features.order_by("present", "pk").values_list("kind", "name")
    }
    features = tuple(
        Feature(f.name, kind_by_name(f.name) or kinds.get(f.name, f.kind), f.params)
        for f in registration.features
    )
    profile = {**registration.profile, ALIASES: known.profile.get(ALIASES, {})}
    return Registration(
        protocol="v1", address=registration.address, name=registration.name,
        dm_name=registration.dm_name, version=registration.version, profile=profile,
        features=features,
    )  # fmt: skip


def v1_device_leave(*, device: RegisteredDevice, source: str) -> None:
    """The device leaves. A meter's keeps its key, since it needs it to come back."""
    device_deregister(device=device, rev=None, source=source)


def v1_device_seen(*, device: RegisteredDevice) -> None:
    """The device is there. Written where that is news, and else every few seconds."""
    now = clock.now()
    fresh = device.last_seen_at is not None and device.last_seen_at > now - SEEN_STEP
    if device.online and fresh:
        return
    row = RegisteredDevice.objects.filter(pk=device.pk, deregistered_at__isnull=True)
    with transaction.atomic():
        came = row.filter(online=False).update(online=True, state_at=now, last_seen_at=now)
        if came:
            event_add(kind=DeviceEvent.Kind.ONLINE, device=device)
            events_notify([device_topic(device.pk), DEVICES_TOPIC])
        else:
            row.update(last_seen_at=now)
    if came and device.meter_id is not None:
        device_jobs_again(handle=device.handle)


def v1_devices_silent(*, listening_since: datetime) -> int:
    """Mark the v1 devices offline that were silent for ``DEVICE_V1_SILENCE``; how many.

    None where we ourselves have not been listening for as long: a server that was away has not
    heard them, and knows nothing.
    """
    if clock.now() - listening_since < settings.DEVICE_V1_SILENCE:
        return 0
    silent = Q(protocol="v1", online=True) & ~Q(
        last_seen_at__gte=clock.now() - settings.DEVICE_V1_SILENCE
    )
    with transaction.atomic():
        devices = list(
            RegisteredDevice.objects.select_for_update(skip_locked=True, no_key=True)
            .filter(silent)
            .order_by("pk")
        )
        if not devices:
            return 0
        RegisteredDevice.objects.filter(pk__in=[device.pk for device in devices]).update(
            online=False, state_at=clock.now()
        )
        seconds = int(settings.DEVICE_V1_SILENCE.total_seconds())
        DeviceEvent.objects.bulk_create(
            DeviceEvent(
                device=device, kind=DeviceEvent.Kind.OFFLINE, text=f"silent for {seconds} s"
            )
            for device in devices
        )
        events_notify([*(device_topic(device.pk) for device in devices), DEVICES_TOPIC])
    return len(devices)


def v1_control_pull(*, device: RegisteredDevice) -> list[Sample]:
    """The commands that the device is to obey, newest first."""
    states = device.features.filter(present=True).values_list("state", flat=True)
    return control_samples(
        df_count=len(_df_list(device)),
        states=list(states),
        registered_at=device.registered_at,
        now=clock.now(),
    )


def v1_control_answer(*, device: RegisteredDevice, values: Sequence[Any]) -> None:
    """Take what the device put to its control channel; no answer of ours changes nothing."""
    selected = control_answer(df_list=_df_list(device), values=values)
    if selected is None:
        return
    states = RegisteredFeature.State
    with transaction.atomic():
        device.features.filter(present=True).update(state=states.OK, reason="")
        off = [name for name, is_on in selected.items() if not is_on]
        device.features.filter(present=True, name__in=off).update(
            state=states.ERROR, reason=SWITCHED_OFF
        )
        events_notify([device_topic(device.pk)])


def _df_list(device: RegisteredDevice) -> list[str]:
    names: list[str] = device.profile.get("df_list", [])
    return names


def v1_profile(*, device: RegisteredDevice) -> dict[str, Any]:
    """The device's profile, with the name that it has here."""
    profile = {name: value for name, value in device.profile.items() if name != ALIASES}
    return {**profile, "d_name": device.name}


def v1_aliases(*, device: RegisteredDevice, name: str) -> list[str]:
    """The alias of a feature, as the list that clients expect; empty where it has none."""
    feature_get(device=device, name=name)
    alias = device.profile.get(ALIASES, {}).get(name)
    return [alias] if alias else []


def v1_alias_set(*, device: RegisteredDevice, name: str, alias: str) -> list[str]:
    """Give a feature an alias, or take it away where that is empty; what it is now."""
    feature_get(device=device, name=name)
    with transaction.atomic():
        device = RegisteredDevice.objects.select_for_update(no_key=True).get(pk=device.pk)
        aliases = {**device.profile.get(ALIASES, {}), name: alias}
        device.profile[ALIASES] = {df: text for df, text in aliases.items() if text}
        device.save(update_fields=["profile"])
        events_notify([device_topic(device.pk)])
    return v1_aliases(device=device, name=name)


def v1_tree(*, most: int = 1000) -> dict[str, Any]:
    """The registered v1 devices by address, the newest; those of meters are nobody's business."""
    devices = RegisteredDevice.objects.filter(
        protocol="v1", deregistered_at__isnull=True, meter__isnull=True
    ).order_by("-registered_at")[:most]
    return {
        device.address: {
            "profile": {
                "d_name": device.name, "dm_name": device.dm_name, "df_list": _df_list(device)
            }
        }
        for device in devices
    }  # fmt: skip
