"""Holding a device while somebody changes it, and what every change of it leaves behind."""

from gridtalk.core import clock
from gridtalk.core.errors import Conflict, NotFound
from gridtalk.devicetalk.models import Device, SaFunction
from gridtalk.devicetalk.rights import owned_check
from gridtalk.devicetalk.services.device_library import device_library_make
from gridtalk.devicetalk.services.history import device_version_add, version_diff
from gridtalk.users.models import User


class DeviceChanged(Conflict):
    """Somebody else saved the device meanwhile; ``difference`` is what they changed."""

    def __init__(self, device: Device, difference: list[str]) -> None:
        super().__init__(
            f"{device.name} was saved by somebody else meanwhile (it is at version "
            f"{device.revision} now); look at what they changed, then save again"
        )
        self.difference = difference


def device_lock(
    *,
    user: User | None,
    device: Device,
    revision: int | None,
    function: SaFunction | None = None,
) -> Device:
    """The device's row, held until the commit; who saves it holds it first, before its functions.

    ``function`` is one that the user began with: without a ``revision`` it tells what they saw.
    Raises :class:`DeviceChanged` where the device is no longer at that revision, or had the
    function and has it no longer; else as :func:`~gridtalk.devicetalk.rights.owned_check`.
    """
    held = Device.objects.select_for_update().filter(pk=device.pk).first()
    if held is None:
        raise NotFound("there is no such device, or it is not yours")
    owned_check(user, held)
    if revision is None:
        revision = _last_seen(held, function) if function is not None else held.revision
    if revision != held.revision:
        versions = {row.number: row for row in held.versions.all()}
        theirs, now = versions.get(revision), versions.get(held.revision)
        raise DeviceChanged(held, version_diff(old=theirs, new=now) if theirs and now else [])
    return held


def _last_seen(device: Device, function: SaFunction) -> int:
    """The last revision at which the device had the function; the present where it never had."""
    if device.functions.filter(pk=function.pk).exists():
        return device.revision
    had = device.versions.filter(functions=function).order_by("-number").first()
    return had.number if had else device.revision


def device_revise(*, user: User | None, device: Device) -> None:
    """Count a change of a device's functions as a saving of it: revision, library, version.

    The caller holds the device's row (:func:`device_lock`) and has made the change.
    """
    device.revision += 1
    device.updated_at = clock.now()
    device.save(update_fields=["revision", "updated_at"])
    device_library_make(device)
    device_version_add(device=device, user=user)
