"""Whether a function can be in a device: of its basic file, and made from a library that it has.

Code of another language, or code that needs a library which is not there, makes a device whose zip
does not run (``spec/devicetalk.md``, section 5).
"""

from gridtalk.core.errors import UserError
from gridtalk.devicetalk.models import (
    BasicFile,
    Device,
    DeviceLibrary,
    LibraryFunction,
    SaFunction,
)
from gridtalk.devicetalk.services.joining import libraries_needed


def _called(basic_file: BasicFile) -> str:
    """Its language and name, as addresses write them."""
    return f"{basic_file.language.name}/{basic_file.name}"


def library_function_check(*, basic_file: BasicFile, library_function: LibraryFunction) -> None:
    """Raise :class:`UserError` where the library is for another basic file."""
    library = library_function.library
    if library.basic_file_id != basic_file.pk:
        theirs = _called(library.basic_file)
        raise UserError(
            f"{library_function.name} is of the library {library.name} for {theirs}; this is for "
            f"{_called(basic_file)}"
        )


def device_check(
    *, device: Device, basic_file: BasicFile, library_function: LibraryFunction | None
) -> None:
    """Raise :class:`UserError` where a function like that is for another basic file than the
    device, or its library is not among those that the device has chosen."""
    if device.basic_file_id != basic_file.pk:
        raise UserError(
            f"the function is for {_called(basic_file)}; "
            f"{device.name} is for {_called(device.basic_file)}"
        )
    if library_function is None:
        return
    library_function_check(basic_file=device.basic_file, library_function=library_function)
    rows = device.devicehaslibrary_set.select_related("device_library")
    plain = [row.library_id for row in rows if row.library_id is not None]
    pools = [row.device_library for row in rows if row.device_library is not None]
    if library_function.library_id not in libraries_needed(plain, pools):
        name = library_function.library.name
        raise UserError(
            f"{library_function.name} needs the library {name}; choose it for {device.name} first"
        )


def joining_check(*, device: Device, function: SaFunction) -> None:
    """Raise as :func:`device_check` where a stored function cannot come into the device.

    One that is made from no library is judged by the devices and device libraries that have it.
    """
    if function.library_ref is not None:
        basic_file = function.library_ref.library.basic_file
        device_check(device=device, basic_file=basic_file, library_function=function.library_ref)
        return
    having = [
        set(pools.filter(functions=function).values_list("basic_file", flat=True))
        for pools in (Device.objects.all(), DeviceLibrary.objects.all())
    ]
    known = set.union(*having)
    if known and device.basic_file_id not in known:
        other = BasicFile.objects.select_related("language").get(pk=min(known))
        device_check(device=device, basic_file=other, library_function=None)
