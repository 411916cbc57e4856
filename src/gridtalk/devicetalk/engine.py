"""The database's rows as the values that the pure engine works on (``tree.py``)."""

import posixpath
from collections.abc import Iterable

from django.conf import settings

from gridtalk.devicetalk import config, device_file, models, tree
from gridtalk.files.services import files_read


def limits() -> tree.Limits:
    """What one basic file or library may hold, by the settings."""
    return tree.Limits(
        files=settings.FILES_MOST,
        file_bytes=settings.FILES_LARGEST_BYTES,
        total_bytes=settings.FILES_TOTAL_BYTES,
        path_characters=settings.FILES_LONGEST_PATH,
    )


def basic_file_load(basic_file: models.BasicFile) -> config.BasicFile:
    """A stored basic file, read and checked; :class:`InvalidTree` where it is no longer valid."""
    return config.basic_file_read(
        name=basic_file.name,
        language=basic_file.language.name,
        tree=files_read(basic_file.file_set.all()),
        limits=limits(),
    )


def device_library_path(device: models.Device) -> str:
    """The folder of a device's library, in the zips of its basic file; empty: the zip's root."""
    row = device.basic_file.file_set.filter(file_path=config.CONFIG).first()
    if row is None:
        return ""
    with row.open("rb") as file:
        found, _ = config.config_read({config.CONFIG: file.read()}, limits())
    return posixpath.dirname(found.out_path(found.safuncs, device.name)) if found else ""


def df_type_load(df_type: models.DfType) -> tree.DfType:
    """Its direction and parameter types."""
    direction: tree.Direction = "idf" if df_type.df_type == models.DfType.Kind.IDF else "odf"
    return tree.DfType(direction, tuple(df_type.params))


def library_function_load(function: models.LibraryFunction) -> tree.LibraryFunction:
    """An example function with all its sections."""
    return tree.LibraryFunction(
        library=function.library.name,
        name=function.name,
        fields={name: getattr(function, name) for name in settings.LIBRARYFUNCTION_FIELDS},
    )


def function_load(function: models.SaFunction) -> tree.SaFunction:
    """An SA function."""
    ref = function.library_ref
    return tree.SaFunction(
        name=function.name,
        df_type=df_type_load(function.function_type),
        code=tuple(function.code),
        readonly_lines=tuple(function.readonly_lines),
        var_setup=tuple(function.var_setup),
        library_ref=(ref.library.name, ref.name) if ref else None,
        updated_at=function.updated_at,
    )


def _functions(pool: models.Device | models.DeviceLibrary) -> tuple[tree.SaFunction, ...]:
    rows = pool.functions.select_related("function_type", "library_ref__library")
    return tuple(function_load(row) for row in rows.order_by("name", "pk"))


def library_load(library: models.Library) -> tree.Library:
    """A library: its code as it lies below ``lib.root``, its example functions."""
    prefix = f"{library.name}/"
    code = library.file_set.filter(file_path__startswith=f"{prefix}{prefix}")
    functions = library.functions.select_related("library").order_by("name")
    return tree.Library(
        name=library.name,
        files={path.removeprefix(prefix): content for path, content in files_read(code).items()},
        global_variables=_globals(library),
        library_functions=tuple(library_function_load(row) for row in functions),
    )


def device_library_load(library: models.DeviceLibrary) -> tree.Library:
    """A device library: no files of its own, but functions, features and dependencies."""
    names = library.dependency_library.order_by("name").values_list("name", flat=True)
    return tree.Library(
        name=library.name,
        is_device_library=True,
        global_variables=_globals(library),
        functions=_functions(library),
        features=tuple(
            _feature(row, row.devicelibrarydfhassafunction_set.all())
            for row in library.devicelibrarydf_set.select_related("df_type")
            .prefetch_related("devicelibrarydfhassafunction_set__function")
            .order_by("pk")
        ),
        depends_on=tuple(names),
    )


def libraries_load(device: models.Device) -> tuple[tree.Library, ...]:
    """The libraries of a device in the order of choice; those that they depend on come first."""
    found: dict[tuple[str, int], tree.Library] = {}
    for row in device.devicehaslibrary_set.order_by("order"):
        if row.library is not None:
            found.setdefault(("library", row.library.pk), library_load(row.library))
        elif row.device_library is not None:
            for library in row.device_library.dependency_library.order_by("name"):
                found.setdefault(("library", library.pk), library_load(library))
            key = ("device_library", row.device_library.pk)
            found[key] = device_library_load(row.device_library)
    return tuple(found.values())


def device_load(device: models.Device) -> tree.Device:
    """A device with all its features and functions."""
    return tree.Device(
        name=device.name,
        device_model=device.dm_name,
        features=tuple(
            _feature(row, row.devicedfhassafunction_set.all(), in_use=row.in_use)
            for row in device.devicedf_set.select_related("df_type")
            .prefetch_related("devicedfhassafunction_set__function")
            .order_by("pk")
        ),
        functions=_functions(device),
        global_variables=_globals(device),
        server_url=device.server_url,
        device_address=device.device_address,
        push_interval_s=device.push_interval,
    )


def project_load(device: models.Device) -> device_file.Project:
    """A stored device with all that its code is made from."""
    return device_file.Project(
        device=device_load(device),
        basic_file=basic_file_load(device.basic_file),
        libraries=libraries_load(device),
        notes=(),
    )


def device_render(device: models.Device) -> tree.Rendered:
    """The device's files, made from what is stored; :class:`InvalidTree` as the pure engine."""
    return project_load(device).render()


def globals_only(
    library: models.Library | models.DeviceLibrary, *, made_with: Iterable[str] = ()
) -> tree.Library:
    """A library with nothing but its global variables, for merging these.

    ``made_with`` names the libraries whose variables a device library has in its own.
    """
    return tree.Library(
        name=library.name,
        is_device_library=isinstance(library, models.DeviceLibrary),
        global_variables=_globals(library),
        depends_on=tuple(made_with),
    )


def _globals(
    holder: models.Device | models.DeviceLibrary | models.Library,
) -> tree.GlobalVariables:
    return tree.GlobalVariables(holder.global_var_setup, tuple(holder.gvs_readonly_lines))


def _feature(
    row: models.DeviceDf | models.DeviceLibraryDf,
    relations: Iterable[models.DeviceDfHasSaFunction]
    | Iterable[models.DeviceLibraryDfHasSaFunction],
    *,
    in_use: bool = True,
) -> tree.Feature:
    chosen = next((relation for relation in relations if relation.selected), None)
    return tree.Feature(
        name=row.name,
        df_type=df_type_load(row.df_type),
        function=chosen.function.name if chosen else None,
        var_setup=chosen.var_setup if chosen else "",
        in_use=in_use,
    )
