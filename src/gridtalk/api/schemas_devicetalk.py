"""What the workshop's calls take and give. Devices are the document of ``device_file_schema``."""

from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import Field

from gridtalk.api.schemas_types import Direction, Id, LibraryKey, LongText, Number, Text
from gridtalk.api.schemas_workshop import FileOut
from gridtalk.devicetalk.device_file_schema import (
    DeviceDocument,
    GlobalVariablesPart,
    Line,
    Name,
)


class LibraryChoiceOut(Schema):
    """A library that may be chosen, and the libraries that choosing it brings."""

    key: str
    name: str
    is_device_library: bool
    everybodys: bool
    brings: list[str]


class NoteOut(Schema):
    """A remark on one file: what of it is not used. ``line`` from 1; 0 = the whole file."""

    path: str
    line: int
    cause: str


class LibraryFunctionOut(Schema):
    """An example function of a library, with its sections."""

    kind: Literal["L"] = "L"
    id: int
    name: str
    library: str
    fields: dict[str, str]


class TypeIO(Schema):
    """The type of a function or feature."""

    type: Direction
    params: list[str]


class LibraryRefOut(Schema):
    """The library function that a function was made from."""

    library: str
    function: str


class NewFunctionOut(Schema):
    """A function as the template makes it; nothing is stored yet. Line numbers are 0-based."""

    name: str
    type: Direction
    params: list[str]
    code: list[str]
    readonly_lines: list[int]
    var_setup: list[str]
    library_ref: LibraryRefOut | None


class FunctionOut(NewFunctionOut):
    """A stored function."""

    kind: Literal["S"] = "S"
    id: int
    updated_at: datetime


class FunctionSavedOut(FunctionOut):
    """A function after saving. ``device_revision``: of the device that was saved with it."""

    device_revision: int | None


class LibraryOut(Schema):
    """A library or device library, whole."""

    key: str
    name: str
    language: str
    basic_file: str
    is_device_library: bool
    owner: str | None
    updated_at: datetime
    global_variables: GlobalVariablesPart
    library_functions: list[LibraryFunctionOut]
    functions: list[FunctionOut]
    depends_on: list[str]
    files: list[FileOut]


class LibraryTakenOut(Schema):
    """The library that an upload became, and what in it is not used."""

    library: LibraryOut
    notes: list[NoteOut]


class UseOut(Schema):
    """A function that a preset can use."""

    function: int
    var_setup: str
    selected: bool


class PresetOut(TypeIO):
    """A feature that the chosen device libraries know."""

    name: str
    uses: list[UseOut]


class SelectionOut(Schema):
    """What chosen libraries bring to a device.

    ``left_out`` are functions that refer to a library which is not chosen.
    """

    brought: list[str]
    library_functions: list[LibraryFunctionOut]
    functions: list[FunctionOut]
    left_out: list[FunctionOut]
    presets: list[PresetOut]
    global_variables: GlobalVariablesPart


class SelectionQuery(Schema):
    """The libraries in the order of choice, and the device that is to get what they bring."""

    libs: Annotated[list[LibraryKey], Field(max_length=200)] = []
    device: Id | None = None


class FunctionBegin(Schema):
    """The type of the new function, and the library function that it begins with, if any."""

    dftype: Direction
    dfparam: Annotated[list[LongText], Field(max_length=100)] = []
    library_function: Id | None = None


class FunctionIn(Schema):
    """A function's text. Where ``readonly_lines`` is absent, they are looked for from the top."""

    name: LongText
    code: Annotated[list[Line], Field(max_length=100_000)]
    var_setup: Annotated[list[Line], Field(max_length=100_000)] = []
    readonly_lines: Annotated[list[int], Field(max_length=100_000)] | None = None


class FunctionNew(FunctionIn):
    """A new function that began as ``GET function/new/…``; of a device where one is named, at the
    ``revision`` that the caller knows.
    """

    language: Text
    basic_file: Text
    type: Direction
    params: Annotated[list[LongText], Field(max_length=100)]
    library_function: Id | None = None
    device: Id | None = None
    revision: Number | None = None


class FunctionSave(FunctionIn):
    """A change of a function, in a device and at its feature ``df`` (its name and the type).

    ``revision`` is the device's, that the change began with: where somebody saved it since, this is
    refused (409, ``difference``). Without it, where the device no longer has this function.
    Where other features use the function, a change of its code is refused (409, ``features``
    names them) until ``shared`` says ``all`` (change it for all) or ``new`` (for ``df`` alone).
    """

    device: Id | None = None
    revision: Number | None = None
    df: Name | None = None
    shared: Literal["ask", "all", "new"] = "ask"


class FunctionImport(Schema):
    """A library's function to be made a function of one's own."""

    type: Direction
    params: Annotated[list[LongText], Field(max_length=100)]
    name: LongText = ""
    device: Id | None = None
    revision: Number | None = None


class VersionOut(Schema):
    """A version that was kept."""

    number: int
    created_at: datetime
    user: str | None

    @staticmethod
    def resolve_user(row: Any) -> str | None:
        """The name of who saved it."""
        return row.user.name if row.user else None


class VersionWholeOut(VersionOut):
    """A version with all that it holds."""

    snapshot: dict[str, Any]


class DiffOut(Schema):
    """The lines that differ, as a unified diff."""

    lines: list[str]


class FunctionRestore(Schema):
    """The version to take up again, in a device where one is named, at the ``revision`` that the
    caller knows.
    """

    number: Number
    device: Id | None = None
    revision: Number | None = None


class DeviceRow(Schema):
    """A device in a list. ``owner`` is whose it is; null: everybody's. ``device_address`` is empty
    where you may not change the device.
    """

    id: int
    name: str
    device_model: str
    language: str
    basic_file: str
    owner: str | None
    device_address: str
    revision: int
    created_at: datetime
    updated_at: datetime


class DevicesOut(Schema):
    """Devices, newest first, and the id before which the next page begins."""

    items: list[DeviceRow]
    next_before: int | None


class DeviceOut(DeviceRow):
    """A device with its document, which is what ``PUT device/<id>`` takes."""

    library_name: str
    may_change: bool
    document: DeviceDocument


class DeviceSavedOut(DeviceOut):
    """A device after saving. ``left_out``: functions whose library is not chosen."""

    left_out: list[str]


class DeviceClone(Schema):
    """The name of the copy."""

    name: LongText


class DeviceRestore(Schema):
    """The version to take up again, and the revision that the caller knows."""

    number: Number
    revision: Number | None = None


class TreeEntry(Schema):
    """A file of the zip; ``size`` in bytes."""

    path: str
    size: int


class PlaceOut(Schema):
    """Where a feature's function stands in a file; ``first_line`` from 1."""

    path: str
    first_line: int
    lines: int
    df: str
    type: Direction
    function: str


class TreeOut(Schema):
    """What the zip holds, in its folder ``folder``; ``version`` is in the generated code too."""

    folder: str
    version: str
    manual_url: str
    files: list[TreeEntry]
    places: list[PlaceOut]


class TextOut(Schema):
    """A file's text; null where it is none."""

    path: str
    size: int
    text: str | None


class CheckMessageOut(Schema):
    """What a compiler or linter said. ``path`` and ``line`` are those of the file in the zip.

    ``part`` is what the user edits (empty: none of theirs), ``function_line`` its line from 1;
    0 = none. ``df`` and ``function`` are names.
    """

    severity: Literal["error", "warning", "note"]
    text: str
    path: str
    line: int
    column: int
    function: str
    df: str
    part: Literal["code", "var_setup", "globals", ""]
    function_line: int


class CheckOut(Schema):
    """The check of one version of a device's code.

    ``state``: queued, running, passed, failed, skipped (it could not be checked on this server) or
    broken (the check itself failed).
    """

    id: int
    version: str
    state: str
    summary: str
    messages: list[CheckMessageOut]
    tool: str
    isolation: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
