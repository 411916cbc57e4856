"""What goes with a basic file or a library that is deleted."""

from dataclasses import dataclass

from django.db.models import Q

from gridtalk.devicetalk.models import BasicFile, Device, DeviceHasLibrary, DeviceLibrary, Library
from gridtalk.files.services import files_discard


@dataclass(frozen=True)
class Losses:
    """How many devices, device libraries and libraries."""

    devices: int = 0
    device_libraries: int = 0
    libraries: int = 0

    @property
    def any(self) -> bool:
        """Whether there is any."""
        return bool(self.devices or self.device_libraries or self.libraries)

    def __str__(self) -> str:
        parts = {
            "device": self.devices,
            "device library": self.device_libraries,
            "library": self.libraries,
        }
        words = [
            f"{count} {name if count == 1 else name.replace('library', 'librarie') + 's'}"
            for name, count in parts.items()
            if count
        ]
        return ", ".join(words) or "nothing"


def basic_file_losses(basic_file: BasicFile) -> Losses:
    """What is made for this basic file."""
    return Losses(
        devices=basic_file.device_set.count(),
        device_libraries=basic_file.devicelibrary_set.count(),
        libraries=basic_file.library_set.count(),
    )


def basic_file_drop(basic_file: BasicFile) -> None:
    """Delete it with all that is made for it, in the caller's transaction."""
    for device in basic_file.device_set.all():
        device_drop(device)
    for device_library in basic_file.devicelibrary_set.all():
        device_library_drop(device_library)
    for library in basic_file.library_set.all():
        library_drop(library)
    files_discard(owner=basic_file)
    basic_file.delete()


def library_losses(library: Library) -> Losses:
    """What uses this library. It would not be deleted with it, but would no longer build."""
    return Losses(
        devices=DeviceHasLibrary.objects.filter(library=library).count(),
        device_libraries=DeviceLibrary.objects.filter(dependency_library=library).count(),
    )


def device_library_losses(device_library: DeviceLibrary) -> Losses:
    """The devices that chose this device library."""
    return Losses(devices=Device.objects.filter(devicehaslibrary__device_library=device_library)
                  .distinct().count())  # fmt: skip


def library_drop(library: Library) -> None:
    """Delete a library and its files; functions made from it stay, without their reference."""
    DeviceHasLibrary.objects.filter(library=library).delete()
    files_discard(owner=library)
    library.delete()


def device_library_drop(device_library: DeviceLibrary) -> None:
    """Delete a device library; its functions stay until nobody needs them."""
    DeviceHasLibrary.objects.filter(Q(device_library=device_library)).delete()
    files_discard(owner=device_library)
    device_library.delete()


def device_drop(device: Device) -> None:
    """Delete a device with its history; its device library stays."""
    files_discard(owner=device)
    device.delete()
