"""The device library that saving a device makes (the seed's last chapter).

* Features and their functions are copied **over** what is there, since a device library knows no
  device model: they add up.
* Functions are joined: those of the library so far, of the device libraries that the device chose,
  and its own. Of two with the same type and name the newer counts, also where a feature used the
  older.
* The device's libraries become dependencies. Device libraries do not, so that nothing nests:
  their functions are joined, and what these depend on becomes ours.
"""

from django.db.models import Q, QuerySet

from gridtalk.core import clock
from gridtalk.devicetalk.models import (
    Device,
    DeviceDfHasSaFunction,
    DeviceLibrary,
    DeviceLibraryDf,
    DeviceLibraryDfHasSaFunction,
    SaFunction,
)
from gridtalk.devicetalk.services.joining import Key, functions_join, key, libraries_needed


def device_library_make(device: Device) -> DeviceLibrary:
    """Make or update the library of a device, in the transaction that saves it."""
    library, _ = DeviceLibrary.objects.get_or_create(
        user=device.user, basic_file=device.basic_file, name=device.library_name
    )
    library = DeviceLibrary.objects.select_for_update().get(pk=library.pk)
    library.dir_path = library.name
    library.global_var_setup = device.global_var_setup
    library.gvs_readonly_lines = device.gvs_readonly_lines
    library.updated_at = clock.now()
    library.save()
    chosen = [
        row.device_library
        for row in device.devicehaslibrary_set.select_related("device_library").order_by("order")
        if row.device_library is not None
    ]
    joined = functions_join(
        _rows(Q(devicelibrary=library) | Q(devicelibrarydf__device_library=library)),
        *(_rows(Q(devicelibrary=other)) for other in chosen),
        _rows(Q(device=device) | Q(devicedf__device=device)),
    )
    library.functions.set(joined.values())
    direct = device.devicehaslibrary_set.filter(library__isnull=False)
    library.dependency_library.add(
        *libraries_needed((row.library_id for row in direct if row.library_id), chosen)
    )
    _features_copy(device, library, joined)
    return library


def _rows(whose: Q) -> QuerySet[SaFunction]:
    return SaFunction.objects.filter(whose).distinct().order_by("pk")


def _features_copy(device: Device, library: DeviceLibrary, joined: dict[Key, SaFunction]) -> None:
    for row in _relations(library):
        _point(row, joined[key(row.function)])
    for df in device.devicedf_set.order_by("pk"):
        copy, _ = DeviceLibraryDf.objects.get_or_create(
            device_library=library, name=df.name, df_type_id=df.df_type_id
        )
        uses = DeviceDfHasSaFunction.objects.filter(device_df=df).select_related("function")
        if any(use.selected for use in uses):
            # The newcomer's selection takes the old one's place.
            copy.devicelibrarydfhassafunction_set.update(selected=False)
        for use in uses:
            DeviceLibraryDfHasSaFunction.objects.update_or_create(
                device_library_df=copy,
                function=joined[key(use.function)],
                defaults={"var_setup": use.var_setup, "selected": use.selected},
            )


def _relations(library: DeviceLibrary) -> QuerySet[DeviceLibraryDfHasSaFunction]:
    return DeviceLibraryDfHasSaFunction.objects.filter(
        device_library_df__device_library=library
    ).select_related("function")


def _point(row: DeviceLibraryDfHasSaFunction, newer: SaFunction) -> None:
    """Have a feature use the function that took the place of its older namesake."""
    if row.function_id == newer.pk:
        return
    same = DeviceLibraryDfHasSaFunction.objects.filter(
        device_library_df=row.device_library_df_id, function=newer
    )
    if same.exists():
        selected = row.selected
        row.delete()
        if selected:
            same.update(selected=True)
        return
    row.function = newer
    row.save(update_fields=["function"])
