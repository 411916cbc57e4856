"""Functions: what chosen libraries bring, new ones, changes, history."""

from typing import Any

from django.http import HttpRequest
from ninja import Query, Router, Status

from gridtalk.api.devicetalk_libraries import chosen_of
from gridtalk.api.devicetalk_rows import (
    function_out,
    library_function_out,
    new_function_out,
    version_of,
)
from gridtalk.api.schemas_devicetalk import (
    DiffOut,
    FunctionBegin,
    FunctionImport,
    FunctionNew,
    FunctionOut,
    FunctionRestore,
    FunctionSave,
    FunctionSavedOut,
    LibraryFunctionOut,
    NewFunctionOut,
    SelectionOut,
    SelectionQuery,
    VersionOut,
    VersionWholeOut,
)
from gridtalk.api.schemas_types import (
    IdPath,
    IdQuery,
    LongIdPath,
    Number,
    NumberPath,
    Text,
    TextPath,
)
from gridtalk.core.errors import NotFound
from gridtalk.devicetalk import selectors
from gridtalk.devicetalk.models import (
    Device,
    DeviceDf,
    LibraryFunction,
    SaFunction,
    SaFunctionVersion,
)
from gridtalk.devicetalk.services import functions, history
from gridtalk.devicetalk.services.catalogue import df_type_get, df_type_new
from gridtalk.devicetalk.services.device_spec import libraries_of
from gridtalk.devicetalk.services.functions_draft import Draft
from gridtalk.users.models import Permission, User
from gridtalk.users.permissions import requires, signed_in

router = Router(tags=["workshop: functions"])


def _library_function(function_id: int | None) -> LibraryFunction | None:
    if function_id is None:
        return None
    return selectors.library_function_get(function_id=function_id)


def _device(user: User, device_id: int | None) -> Device | None:
    return None if device_id is None else selectors.device_get(user=user, device_id=device_id)


def _df_id(device: Device | None, function: SaFunction, name: str | None) -> int | None:
    """The feature of that name in the device, of the function's type."""
    if name is None:
        return None
    found = DeviceDf.objects.filter(
        device=device, name=name, df_type=function.function_type_id
    ).first()
    if found is None:
        raise NotFound(f"the device has no feature {name[:100]} of the type of {function.name}")
    return found.pk


def _saved(row: SaFunction, device: Device | None) -> dict[str, Any]:
    """A function after saving, and the revision that its device has now."""
    return {**function_out(row), "device_revision": device.revision if device else None}


@router.get("function", response=SelectionOut, summary="What chosen libraries bring")
@requires(Permission.VIEW)
def selection_get(request: HttpRequest, query: Query[SelectionQuery]) -> dict[str, Any]:
    """Functions, presets and global variables of the libraries ``?libs=L1&libs=D3``, in the order
    of choice; added to what ``device`` has, where one is named.
    """
    user = signed_in(request)
    own = _device(user, query.device)
    rows = own.functions.select_related("function_type", "library_ref") if own else ()
    found = selectors.selection_get(
        user=user,
        chosen=chosen_of(query.libs),
        own=rows,
        present=selectors.globals_get(device=own) if own else None,
        had=libraries_of(own) if own else (),
    )
    variables = found.global_variables
    return {
        "brought": [row.name for row in found.brought],
        "library_functions": [library_function_out(row) for row in found.library_functions],
        "functions": [function_out(row) for row in found.functions],
        "left_out": [function_out(row) for row in found.left_out],
        "presets": [
            {
                "name": df.name,
                "type": df.df_type.direction,
                "params": df.df_type.params,
                "uses": [
                    {"function": use.function_id, "var_setup": use.var_setup,
                     "selected": use.selected}
                    for use in df.uses
                ],
            }
            for df in found.presets
        ],
        "global_variables": {
            "text": variables.text, "readonly_lines": list(variables.readonly_lines)
        },
    }  # fmt: skip


@router.get(
    "function/new/{language}/{basic_file}",
    response=NewFunctionOut,
    summary="What a new function begins as",
)
@requires(Permission.VIEW)
def function_begin(
    request: HttpRequest,
    language: TextPath,
    basic_file: TextPath,
    query: Query[FunctionBegin],
) -> dict[str, Any]:
    """The template's lines for ``?dftype=odf&dfparam=float&dfparam=int``; nothing is stored."""
    found = selectors.basic_file_get(language=language, name=basic_file)
    ref = _library_function(query.library_function)
    df_type = df_type_new(direction=query.dftype, params=query.dfparam)
    made = functions.function_new(basic_file=found, df_type=df_type, library_function=ref)
    return new_function_out(made)


@router.put("function/new", response={201: FunctionSavedOut}, summary="Store a new function")
@requires(Permission.DEVICES)
def function_create(request: HttpRequest, body: FunctionNew) -> Status[dict[str, Any]]:
    """The template's lines, which are read-only, must be in it as they were."""
    user = signed_in(request)
    ref = _library_function(body.library_function)
    device = _device(user, body.device)
    made = functions.function_create(
        user=user,
        basic_file=selectors.basic_file_get(language=body.language, name=body.basic_file),
        df_type=df_type_get(direction=body.type, params=body.params),
        draft=_draft(body),
        library_function=ref,
        device=device,
        revision=body.revision,
    )
    return Status(201, _saved(made, device))


def _draft(body: FunctionNew | FunctionSave) -> Draft:
    numbers = None if body.readonly_lines is None else tuple(body.readonly_lines)
    return Draft(body.name, tuple(body.code), tuple(body.var_setup), numbers)


@router.get("function/L/{function_id}", response=LibraryFunctionOut, summary="A library's function")
@requires(Permission.VIEW)
def library_function_get(request: HttpRequest, function_id: IdPath) -> dict[str, Any]:
    """An example function with its sections."""
    return library_function_out(selectors.library_function_get(function_id=function_id))


@router.post(
    "function/L/{function_id}",
    response={201: FunctionSavedOut},
    summary="Make a library's function your own",
)
@requires(Permission.DEVICES)
def library_function_import(
    request: HttpRequest, function_id: IdPath, body: FunctionImport
) -> Status[dict[str, Any]]:
    """A function of that type, called ``<function>_<library>`` unless a name is given."""
    user = signed_in(request)
    ref = selectors.library_function_get(function_id=function_id)
    basic_file = ref.library.basic_file
    df_type = df_type_get(direction=body.type, params=body.params)
    device = _device(user, body.device)
    begun = functions.function_new(
        basic_file=basic_file, df_type=df_type, name=body.name.strip(), library_function=ref
    )
    made = functions.function_create(
        user=user,
        basic_file=basic_file,
        df_type=df_type,
        draft=Draft(begun.name, begun.code, begun.var_setup, begun.readonly_lines),
        library_function=ref,
        device=device,
        revision=body.revision,
    )
    return Status(201, _saved(made, device))


@router.get("function/S/{function_id}", response=FunctionOut, summary="A function")
@requires(Permission.VIEW)
def function_get(request: HttpRequest, function_id: LongIdPath) -> dict[str, Any]:
    """A function of yours, or of a device or device library that you see."""
    return function_out(functions.function_get(user=signed_in(request), function_id=function_id))


@router.post("function/S/{function_id}", response=FunctionSavedOut, summary="Save a function")
@requires(Permission.DEVICES)
def function_save(
    request: HttpRequest, function_id: LongIdPath, body: FunctionSave
) -> dict[str, Any]:
    """The function that holds the change: this one, or a copy where others use this one. It saves
    the device, its library and a version too; ``device`` may be left out for a function that no
    device has.
    """
    user = signed_in(request)
    function = functions.function_get(user=user, function_id=function_id)
    device = _device(user, body.device)
    saved = functions.function_save(
        user=user,
        function=function,
        draft=_draft(body),
        device=device,
        revision=body.revision,
        df_id=_df_id(device, function, body.df),
        shared=body.shared,
    )
    return _saved(saved, device)


@router.delete(
    "function/S/{function_id}", response={204: None}, summary="Take a function out of a device"
)
@requires(Permission.DEVICES)
def function_delete(
    request: HttpRequest,
    function_id: LongIdPath,
    device: IdQuery,
    df: Text | None = None,
    revision: Number | None = None,
) -> Status[None]:
    """The feature ``df`` gives it up, and is not in use any more where it had selected it. Refused
    (409) while other features use it, or where somebody saved the device since ``revision``, which
    goes up by one.
    """
    user = signed_in(request)
    function = functions.function_get(user=user, function_id=function_id)
    chosen = selectors.device_get(user=user, device_id=device)
    functions.function_delete(
        user=user,
        function=function,
        device=chosen,
        revision=revision,
        df_id=_df_id(chosen, function, df),
    )
    return Status(204, None)


def _versions(request: HttpRequest, function_id: int) -> dict[int, SaFunctionVersion]:
    function = functions.function_get(user=signed_in(request), function_id=function_id)
    return {row.number: row for row in history.function_version_list(function=function)}


@router.get(
    "function/S/{function_id}/history", response=list[VersionOut], summary="A function's versions"
)
@requires(Permission.VIEW)
def function_versions(request: HttpRequest, function_id: LongIdPath) -> Any:
    """Newest first, with those of the function that it was copied from."""
    return list(_versions(request, function_id).values())


@router.get(
    "function/S/{function_id}/history/{number}",
    response=VersionWholeOut,
    summary="One version of a function",
)
@requires(Permission.VIEW)
def function_version(
    request: HttpRequest, function_id: LongIdPath, number: NumberPath
) -> SaFunctionVersion:
    """What the function was then."""
    return version_of(_versions(request, function_id), number)


@router.get("function/S/{function_id}/diff", response=DiffOut, summary="Compare two versions")
@requires(Permission.VIEW)
def function_diff(
    request: HttpRequest, function_id: LongIdPath, old: Number, new: Number
) -> dict[str, list[str]]:
    """What changed from version ``old`` to ``new``."""
    rows = _versions(request, function_id)
    return {"lines": history.version_diff(old=version_of(rows, old), new=version_of(rows, new))}


@router.post(
    "function/S/{function_id}/restore",
    response=FunctionSavedOut,
    summary="Take up an earlier version",
)
@requires(Permission.DEVICES)
def function_restore(
    request: HttpRequest, function_id: LongIdPath, body: FunctionRestore
) -> dict[str, Any]:
    """The earlier version, saved as the newest one."""
    user = signed_in(request)
    device = _device(user, body.device)
    restored = functions.function_restore(
        user=user,
        function=functions.function_get(user=user, function_id=function_id),
        version=version_of(_versions(request, function_id), body.number),
        device=device,
        revision=body.revision,
    )
    return _saved(restored, device)
