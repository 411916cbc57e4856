"""Who may see, change and share what. The user ``None`` is the server itself: it may all."""

from typing import TypeVar

from django.db.models import Q

from gridtalk.core.errors import NotAllowed, NotFound
from gridtalk.devicetalk.models import Device, DeviceLibrary
from gridtalk.users.models import Permission, User

Owned = TypeVar("Owned", Device, DeviceLibrary)


def is_administrator(user: User | None) -> bool:
    """Whether they keep languages, basic files, device models and everybody's devices."""
    return user is None or user.may(Permission.WORKSHOP)


def administrator_check(user: User | None, deed: str) -> None:
    """Raise :class:`NotAllowed` unless the user is an administrator; ``deed`` says what for."""
    if not is_administrator(user):
        raise NotAllowed(f"only an administrator may {deed}; ask one")


def visible(user: User | None) -> Q:
    """The devices and device libraries of that user, and the global ones."""
    return Q(user__isnull=True) if user is None else Q(user__isnull=True) | Q(user=user)


def may_change(user: User | None, thing: Device | DeviceLibrary) -> bool:
    """Whether the thing is the user's, or they are an administrator."""
    return is_administrator(user) or (user is not None and thing.user_id == user.pk)


def may_know_address(user: User | None, device: Device) -> bool:
    """Whether they are told the device's address: those who may change the device, as it is the key
    of the meter that the device may be. An owner who may no longer build devices is not.
    """
    return may_change(user, device) and (user is None or user.may(Permission.DEVICES))


def owned_check(user: User | None, thing: Owned) -> Owned:
    """The thing, where the user may change it.

    Raises :class:`NotFound` where it is somebody else's (whose things nobody else hears of),
    :class:`NotAllowed` where it is global and the user is no administrator.
    """
    if may_change(user, thing):
        return thing
    if thing.user_id is None:
        raise NotAllowed(f"{thing.name} is shared with everybody; clone it and change your own")
    raise NotFound("there is no such device, or it is not yours")
