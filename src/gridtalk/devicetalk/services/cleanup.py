"""The daily cleaning: what nobody needs any more, a day after it was made."""

from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from gridtalk.core import clock
from gridtalk.devicetalk.models import (
    Device,
    DeviceDfHasSaFunction,
    DeviceLibrary,
    DeviceLibraryDfHasSaFunction,
    DeviceVersion,
    SaFunction,
)
from gridtalk.files.services import files_cleanup

#: A function is written before the device that uses it is saved; so long it may take.
WAITS = timedelta(days=1)


@dataclass(frozen=True)
class Cleaned:
    """How many files and functions were removed."""

    files: int
    functions: int


def cleanup() -> Cleaned:
    """Remove files that nobody took and functions that nobody needs, older than a day.

    A function is needed by a device or device library, by one of their features, by a version of a
    device, and by a copy that carries on its history.
    """
    return Cleaned(files=files_cleanup(), functions=_functions_cleanup())


def _functions_cleanup() -> int:
    """Remove functions until none is left that nobody needs: a copy's removal can free another."""
    removed = 0
    while ids := list(_unneeded().values_list("pk", flat=True)[:1000]):
        with transaction.atomic():
            # Who is saving a device now holds its functions' rows; they are looked at again.
            held = SaFunction.objects.select_for_update(skip_locked=True).filter(pk__in=ids)
            locked = list(held.values_list("pk", flat=True))
            gone = _unneeded().filter(pk__in=locked)
            count = gone.count()
            gone.delete()
        if not count:
            break
        removed += count
    return removed


def _unneeded() -> QuerySet[SaFunction]:
    me = OuterRef("pk")
    return SaFunction.objects.filter(
        ~Exists(Device.functions.through.objects.filter(safunction=me)),
        ~Exists(DeviceLibrary.functions.through.objects.filter(safunction=me)),
        ~Exists(DeviceDfHasSaFunction.objects.filter(function=me)),
        ~Exists(DeviceLibraryDfHasSaFunction.objects.filter(function=me)),
        ~Exists(DeviceVersion.functions.through.objects.filter(safunction=me)),
        ~Exists(SaFunction.objects.filter(copied_from=me)),
        updated_at__lt=clock.now() - WAITS,
    )
