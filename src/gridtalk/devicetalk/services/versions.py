"""Which version of a device's code is the one that is saved."""

from dataclasses import dataclass

from gridtalk.core.errors import GridtalkError
from gridtalk.devicetalk.engine import project_load
from gridtalk.devicetalk.models import Device


@dataclass(frozen=True)
class SavedVersion:
    """A saved device, and the content hash that its code would carry now."""

    device: Device
    version: str


def saved_versions_get(*, device_address: str, most: int = 3) -> list[SavedVersion]:
    """The saved devices of that address, last saved first, with their versions.

    One whose files are no longer valid is left out: no code of it can be made.
    """
    found = []
    rows = Device.objects.filter(device_address=device_address).select_related(
        "basic_file__language", "user"
    )
    for device in rows.order_by("-updated_at")[:most]:
        try:
            version = project_load(device).version
        except GridtalkError:
            continue
        found.append(SavedVersion(device, version))
    return found
