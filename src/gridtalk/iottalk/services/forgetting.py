"""Devices that came once: anyone may register, so what nobody bound does not stay for ever.

Who is forgotten is let into the broker no more, and ends there what it has; it may register anew.
"""

from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from gridtalk.core import clock
from gridtalk.core.errors import Conflict
from gridtalk.core.events import DEVICES_TOPIC, device_topic, events_notify
from gridtalk.iottalk.broker.admission import credentials_end
from gridtalk.iottalk.models import DfSample, RegisteredDevice
from gridtalk.iottalk.notices import Notice, notice_send, notices_send
from gridtalk.iottalk.services.binding import device_change_check
from gridtalk.users import audit
from gridtalk.users.models import User

#: Seen so soon after its registration is seen by its registration alone.
AT_ONCE = timedelta(minutes=1)
#: Devices deleted at once, each with its features and its log.
BATCH = 500


def devices_forget() -> int:
    """Delete devices without a meter that left, or were silent, ``DEVICE_FORGOTTEN_AFTER`` ago.

    Those that only ever registered, and said nothing, go after ``DEVICE_SILENT_FORGOTTEN_AFTER``:
    whoever registers invented ones fills neither the table nor the broker's users. Samples go with
    their retention. Returns how many devices were deleted.
    """
    now = clock.now()
    before, lately = (
        now - settings.DEVICE_FORGOTTEN_AFTER,
        now - settings.DEVICE_SILENT_FORGOTTEN_AFTER,
    )
    silent = Q(last_seen_at__isnull=True) | Q(last_seen_at__lt=F("registered_at") + AT_ONCE)
    old = RegisteredDevice.objects.filter(
        (Q(registered_at__lt=before) & ~Q(last_seen_at__gte=before))
        | (Q(registered_at__lt=lately, last_data_at__isnull=True) & silent),
        meter__isnull=True,
        online=False,
    )
    count = 0
    while found := list(old.order_by("pk").values_list("pk", "shard", "handle")[:BATCH]):
        ids = [device_id for device_id, _, _ in found]
        still = RegisteredDevice.objects.filter(pk__in=ids, meter__isnull=True, online=False)
        with transaction.atomic():
            count += still.delete()[1].get("iottalk.RegisteredDevice", 0)
            places = [(shard, device_id) for device_id, shard, _ in found]
            notices_send(notice=Notice.REGISTERED, devices=places)
        credentials_end(handles=[handle for _, _, handle in found])
    return count


@transaction.atomic
def device_forget(*, device: RegisteredDevice, user: User | None) -> None:
    """Delete a device with what it said and its log. Needs ``GRID``.

    One that is started again registers anew. Raises :class:`Conflict` where it is a meter's.
    """
    device_change_check(user=user)
    device = RegisteredDevice.objects.select_for_update().get(pk=device.pk)
    if device.meter_id is not None:
        raise Conflict("device “%(device)s” is a meter's: part them first", device=device.name)
    DfSample.objects.filter(feature__in=device.features.values("pk")).delete()
    audit.audit(user=user, action="device_forget", target=f"device {device.name} {device.handle}")
    notice_send(notice=Notice.REGISTERED, shard=device.shard, device_id=device.pk)
    events_notify([device_topic(device.pk), DEVICES_TOPIC])
    transaction.on_commit(partial(credentials_end, handles=[device.handle]))
    device.delete()
