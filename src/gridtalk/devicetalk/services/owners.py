"""Whose device it is that registers with an address."""

from gridtalk.devicetalk.models import Device
from gridtalk.users.models import User


def device_owner_get(*, device_address: str) -> User | None:
    """The user whose saved devices alone have that address; None where none or several have it.

    Named by ``settings.DEVICE_OWNER``. Anybody may save any address: an owner is somebody to ask,
    and may no more for it.
    """
    saved = Device.objects.filter(device_address=device_address, user__isnull=False)
    users = list(User.objects.filter(pk__in=saved.values("user"))[:2])
    return users[0] if len(users) == 1 else None
