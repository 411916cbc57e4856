"""Libraries: what may be chosen, and uploads that become one."""

from typing import Any

from django.http import HttpRequest
from ninja import Router, Status

from gridtalk.api.devicetalk_rows import function_out, library_function_out
from gridtalk.api.schemas_devicetalk import LibraryChoiceOut, LibraryOut, LibraryTakenOut
from gridtalk.api.schemas_types import KeyPath, TextPath
from gridtalk.api.schemas_workshop import UploadEnd
from gridtalk.devicetalk import selectors
from gridtalk.devicetalk.models import DeviceLibrary, Library
from gridtalk.devicetalk.services import libraries
from gridtalk.devicetalk.services.device_spec import Chosen
from gridtalk.files.services import upload_batch_discard
from gridtalk.users.models import Permission, User
from gridtalk.users.permissions import requires, signed_in

router = Router(tags=["workshop: libraries"])


def chosen_of(keys: list[str]) -> list[Chosen]:
    """Keys such as L5 and D3, as the services take them."""
    return [Chosen("L" if key[0] == "L" else "D", int(key[1:])) for key in keys]


def _library(user: User, key: str) -> Library | DeviceLibrary:
    (found,) = selectors.pools_get(user=user, chosen=chosen_of([key]))
    return found


def _out(row: Library | DeviceLibrary) -> dict[str, Any]:
    plain = isinstance(row, Library)
    owner = row.uploaded_by if isinstance(row, Library) else row.user
    functions = [] if isinstance(row, Library) else list(
        row.functions.select_related("function_type", "library_ref__library").order_by("name")
    )  # fmt: skip
    examples = row.functions.order_by("name") if isinstance(row, Library) else ()
    depends_on = () if isinstance(row, Library) else row.dependency_library.order_by("name")
    files = row.file_set.order_by("file_path") if isinstance(row, Library) else ()
    return {
        "key": f"{'L' if plain else 'D'}{row.pk}",
        "name": row.name,
        "language": row.basic_file.language.name,
        "basic_file": row.basic_file.name,
        "is_device_library": not plain,
        "owner": owner.name if owner else None,
        "updated_at": row.updated_at,
        "global_variables": {
            "text": row.global_var_setup, "readonly_lines": row.gvs_readonly_lines
        },
        "library_functions": [library_function_out(one) for one in examples],
        "functions": [function_out(one) for one in functions],
        "depends_on": [one.name for one in depends_on],
        "files": files,
    }  # fmt: skip


@router.get(
    "library/{language}/{basic_file}",
    response=list[LibraryChoiceOut],
    summary="Libraries to choose from",
)
@requires(Permission.VIEW)
def library_list(
    request: HttpRequest, language: TextPath, basic_file: TextPath
) -> list[dict[str, Any]]:
    """Your device libraries, then everybody's whose name none of yours has, then libraries."""
    found = selectors.basic_file_get(language=language, name=basic_file)
    return [
        {
            "key": f"{row.chosen.kind}{row.chosen.id}",
            "name": row.name,
            "is_device_library": row.chosen.kind == "D",
            "everybodys": row.is_global,
            "brings": row.brings,
        }
        for row in selectors.library_choice_list(user=signed_in(request), basic_file=found)
    ]


@router.put(
    "library/{language}/{basic_file}",
    response={200: LibraryTakenOut, 204: None},
    summary="Take an upload as a library",
)
@requires(Permission.DEVICES)
def library_put(
    request: HttpRequest, language: TextPath, basic_file: TextPath, body: UploadEnd
) -> Status[Any]:
    """In place of its present version, whole. All that is wrong is said at once (400,
    ``problems``); then nothing changes. ``failed`` removes the upload's files.
    """
    user = signed_in(request)
    if body.status == "failed":
        upload_batch_discard(user=user, batch_id=body.upload_batch)
        return Status(204, None)
    found = selectors.basic_file_get(language=language, name=basic_file)
    taken = libraries.library_put(user=user, basic_file=found, batch_id=body.upload_batch)
    return Status(200, {"library": _out(taken.library), "notes": taken.notes})


@router.get("library/{key}", response=LibraryOut, summary="One library or device library")
@requires(Permission.VIEW)
def library_get(request: HttpRequest, key: KeyPath) -> dict[str, Any]:
    """A library (``L5``) or device library (``D3``) with its functions and files."""
    return _out(_library(signed_in(request), key))


@router.delete("library/{key}", response={204: None}, summary="Delete a library or device library")
@requires(Permission.DEVICES)
def library_delete(request: HttpRequest, key: KeyPath) -> Status[None]:
    """Refused (409) while devices use it. Functions that were made from it stay."""
    user = signed_in(request)
    found = _library(user, key)
    if isinstance(found, Library):
        libraries.library_delete(user=user, library=found)
    else:
        libraries.device_library_delete(user=user, device_library=found)
    return Status(204, None)
