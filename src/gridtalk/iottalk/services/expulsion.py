"""Throwing out a device that hurts others."""

from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q

from gridtalk.core import clock
from gridtalk.core.events import DEVICES_TOPIC, device_topic, events_notify
from gridtalk.iottalk.models import DeviceEvent, RegisteredDevice
from gridtalk.iottalk.services.events import event_add

#: For so long it may not register again: else it would be back at once.
BAR = timedelta(seconds=60)


def devices_expel(*, handles: Sequence[str], did: str) -> list[str]:
    """End these devices' passwords and refuse their registration for :data:`BAR`; the log says why.

    ``did`` says what they did, as the log goes on after “it”. Gives the handles of those which were
    not thrown out already: the broker is still to be told of them (``credentials_admit``).
    """
    with transaction.atomic():
        now = clock.now()
        free = Q(barred_until=None) | Q(barred_until__lte=now)
        found = list(
            RegisteredDevice.objects.select_for_update(no_key=True)
            .filter(free, handle__in=handles)
            .order_by("pk")
        )
        RegisteredDevice.objects.filter(pk__in=[device.pk for device in found]).update(
            key_epoch=F("key_epoch") + 1, barred_until=now + BAR
        )
        for device in found:
            event_add(
                kind=DeviceEvent.Kind.ERROR, device=device,
                text=f"it {did}, and was thrown out: it must register again, "
                f"which it may after {BAR.total_seconds():.0f} s",
            )  # fmt: skip
        if found:
            events_notify([DEVICES_TOPIC, *(device_topic(device.pk) for device in found)])
    return [device.handle for device in found]
