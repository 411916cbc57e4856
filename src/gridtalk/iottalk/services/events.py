"""Lines of the log of registrations and errors."""

from gridtalk.core.texts import storable
from gridtalk.iottalk.models import DeviceEvent, RegisteredDevice

LONGEST_TEXT = 500
LONGEST_SOURCE = 64


def event_add(
    *,
    kind: DeviceEvent.Kind,
    device: RegisteredDevice | None = None,
    text: str = "",
    source: str = "",
) -> DeviceEvent:
    """Write a line down, cut at 500 characters; ``source`` is the caller's IP address.

    It never names a device's uuid or key: people who may only look at devices read it.
    """
    return DeviceEvent.objects.create(
        device=device, kind=kind, text=storable(text)[:LONGEST_TEXT],
        source=storable(source)[:LONGEST_SOURCE],
    )  # fmt: skip
