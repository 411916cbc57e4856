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
from gridtalk.devicetalk import engine
from gridtalk.devicetalk.models import (
    Device,
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
    library.dir_path = engine.device_library_path(device)
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
    dfs = list(
        device.devicedf_set.prefetch_related("devicedfhassafunction_set__function").order_by("pk")
    )
    have = {(row.name, row.df_type_id): row for row in library.devicelibrarydf_set.all()}
    missing = [df for df in dfs if (df.name, df.df_type_id) not in have]
    for made in DeviceLibraryDf.objects.bulk_create(
        DeviceLibraryDf(device_library=library, name=df.name, df_type_id=df.df_type_id)
        for df in missing
    ):
        have[made.name, made.df_type_id] = made
    copies: dict[tuple[int, int], DeviceLibraryDfHasSaFunction] = {}
    for df in dfs:
        copy = have[df.name, df.df_type_id]
        for use in df.devicedfhassafunction_set.all():
            function = joined[key(use.function)]
            copies[copy.pk, function.pk] = DeviceLibraryDfHasSaFunction(
                device_library_df=copy,
                function=function,
                var_setup=use.var_setup,
                selected=use.selected,
            )
    # The newcomer's selection takes the old one's place.
    selected = {row.device_library_df_id for row in copies.values() if row.selected}
    _relations(library).filter(device_library_df__in=selected).update(selected=False)
    DeviceLibraryDfHasSaFunction.objects.bulk_create(
        copies.values(),
        update_conflicts=True,
        unique_fields=["device_library_df", "function"],
        update_fields=["var_setup", "selected"],
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
