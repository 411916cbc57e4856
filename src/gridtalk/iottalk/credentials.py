"""A device's MQTT password: derived, not stored; it ends when ``key_epoch`` grows."""

import hmac

from gridtalk.core import secrets

#: The user name under which the device server itself enters the broker.
SERVER_USER = "gridtalk"


def device_password(*, handle: str, key_epoch: int) -> str:
    """The MQTT password of a device, 32 hex digits."""
    return secrets.signature("mqtt", f"{handle}:{key_epoch}")


def server_password() -> str:
    """The MQTT password of the device server on its own, private broker."""
    return secrets.signature("mqtt-server", SERVER_USER)


def password_matches(given: str, *, handle: str, key_epoch: int) -> bool:
    """Whether it is the device's password, compared in constant time."""
    wanted = device_password(handle=handle, key_epoch=key_epoch)
    return hmac.compare_digest(wanted.encode(), given.encode("utf-8", "replace"))
