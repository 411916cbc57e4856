"""A stored device as a document: what the API gives."""

from gridtalk.devicetalk.device_file_schema import (
    DaPart,
    DeviceDocument,
    DeviceLibraryName,
    FeaturePart,
    Folder,
    FunctionPart,
    GlobalVariablesPart,
    LibraryRef,
    SourcePart,
    UsePart,
)
from gridtalk.devicetalk.models import Device, DeviceDf, SaFunction
from gridtalk.devicetalk.services.device_spec import plain_type


def device_document(*, device: Device, flat: bool = False) -> DeviceDocument:
    """The device as a document.

    :func:`~gridtalk.devicetalk.services.documents.device_document_save` makes the same one of it.

    ``flat`` names the libraries that device libraries depend on in the place of these, so that
    ``gridtalk generate``, which has no device libraries, makes the device's code too.

    With the device's address, which not everybody may know: what is handed to somebody comes from
    :func:`~gridtalk.devicetalk.services.addresses.device_document_take`.
    """
    functions = device.functions.select_related("function_type", "library_ref__library")
    dfs = device.devicedf_set.select_related("df_type").prefetch_related(
        "devicedfhassafunction_set__function"
    )
    return DeviceDocument(
        name=device.name,
        device_model=device.dm_name,
        language=device.basic_file.language.name,
        basic_file=device.basic_file.name,
        libraries=_libraries_named(device, flat=flat),
        global_variables=GlobalVariablesPart(
            text=device.global_var_setup, readonly_lines=device.gvs_readonly_lines
        ),
        functions=[_function_part(row) for row in functions.order_by("name", "pk")],
        features=[_feature_part(df) for df in dfs.order_by("pk")],
        da=DaPart(
            server_url=device.server_url,
            device_address=device.device_address,
            push_interval_s=device.push_interval,
        ),
        source=SourcePart(
            server=device.source_server,
            project=device.source_project,
            device_object=device.source_device_object,
        ),
    )


def _libraries_named(device: Device, *, flat: bool) -> list[str | Folder | DeviceLibraryName]:
    found: dict[str | DeviceLibraryName, None] = {}
    rows = device.devicehaslibrary_set.select_related("library", "device_library").order_by("order")
    for row in rows:
        if row.library is not None:
            found[row.library.name] = None
        elif row.device_library is not None and flat:
            names = row.device_library.dependency_library.order_by("name")
            found.update(dict.fromkeys(names.values_list("name", flat=True)))
        elif row.device_library is not None:
            pool = row.device_library
            found[DeviceLibraryName(device_library=pool.name, everybodys=pool.user_id is None)] = (
                None
            )
    return list(found)


def _function_part(row: SaFunction) -> FunctionPart:
    df_type = plain_type(row.function_type)
    ref = row.library_ref
    return FunctionPart(
        name=row.name,
        type=df_type.direction,
        params=list(df_type.params),
        library_ref=LibraryRef(library=ref.library.name, function=ref.name) if ref else None,
        code=row.code,
        readonly_lines=row.readonly_lines,
        var_setup=row.var_setup,
    )


def _feature_part(df: DeviceDf) -> FeaturePart:
    df_type = plain_type(df.df_type)
    uses = sorted(df.devicedfhassafunction_set.all(), key=lambda use: use.pk)
    chosen = next((use for use in uses if use.selected), None)
    return FeaturePart(
        name=df.name,
        type=df_type.direction,
        params=list(df_type.params),
        in_use=df.in_use,
        function=chosen.function.name if chosen else None,
        var_setup=chosen.var_setup if chosen else "",
        others=[
            UsePart(function=use.function.name, var_setup=use.var_setup)
            for use in uses
            if not use.selected
        ],
    )
