"""The device document: what the API takes and gives, and ``gridtalk generate`` reads. Pure.

Names are those of the page; every field says what it is, and unknown fields are refused.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

#: No name holds a NUL, which databases and file systems refuse.
Name = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
Line = Annotated[str, StringConstraints(pattern=r"^[^\n]*$")]
LineNumber = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Folder(_Part):
    """A basic file or library that lies beside the device file."""

    folder: Annotated[str, StringConstraints(min_length=1)]


class DeviceLibraryName(_Part):
    """A library that saving a device made. A server has those; a catalogue has none.

    The user's own of that name is meant, where they have one, unless ``everybodys`` is set.
    """

    device_library: Name
    everybodys: bool = False


class GlobalVariablesPart(_Part):
    """Global variables; where the part is absent, the libraries' blocks are taken."""

    text: str = ""
    readonly_lines: list[LineNumber] = []


class LibraryRef(_Part):
    """The function of a library that an SA function was made from."""

    library: Name
    function: Name


class FunctionPart(_Part):
    """An SA function. Without ``code`` it is made by the basic file's template.

    ``readonly_lines`` are 0-based; where they are left out, a server looks for those that the
    template made.
    """

    name: Name
    type: Literal["idf", "odf"]
    params: list[Name] = []
    library_ref: LibraryRef | None = None
    code: list[Line] | None = None
    readonly_lines: list[LineNumber] | None = None
    var_setup: list[Line] | None = None


class UsePart(_Part):
    """A function that a DF can use besides the selected one, and its variables there."""

    function: Name
    var_setup: str = ""


class FeaturePart(_Part):
    """A DF. ``type`` and ``params`` may be left out where the device model knows the DF.

    ``function`` is the selected one. Without ``var_setup`` the function's own default is taken.
    ``others`` are kept by a server, and do not reach the code.
    """

    name: Name
    type: Literal["idf", "odf"] | None = None
    params: list[Name] | None = None
    in_use: bool = True
    function: Name | None = None
    var_setup: str | None = None
    others: list[UsePart] = []


class DaPart(_Part):
    """Where the device application connects to, as which device, and how often it sends.

    Without ``device_address`` the device takes a new one at each start.
    """

    server_url: Annotated[str, StringConstraints(max_length=255)] = ""
    device_address: Annotated[str, StringConstraints(max_length=50)] = ""
    push_interval_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0


class SourcePart(_Part):
    """Where the device's features in use were imported from: an IoTtalk server's device object."""

    server: Annotated[str, StringConstraints(max_length=255)] = ""
    project: Annotated[str, StringConstraints(max_length=100)] = ""
    device_object: Annotated[str, StringConstraints(max_length=100)] = ""


class DeviceDocument(_Part):
    """One device, whole: what ``gridtalk generate`` reads, and the API gives and takes."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=92)]
    device_model: Name
    language: Name
    basic_file: Name | Folder
    libraries: list[Name | Folder | DeviceLibraryName] = []
    global_variables: GlobalVariablesPart | None = None
    functions: list[FunctionPart] = []
    features: list[FeaturePart] = []
    da: DaPart = DaPart()
    source: SourcePart = SourcePart()


class ModelFeature(_Part):
    """A DF of a device model."""

    name: Name
    type: Literal["idf", "odf"]
    params: list[Name]


class DeviceModelDocument(_Part):
    """A device model of the catalogue: ``device-models/<name>.json``."""

    name: Name
    features: list[ModelFeature]
