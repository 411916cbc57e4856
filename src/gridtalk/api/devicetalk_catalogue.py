"""What administrators keep for the workshop: languages, basic files, device models."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router, Status

from gridtalk.api.files import binary, download
from gridtalk.api.schemas_types import IdPath, OptionalId, Text
from gridtalk.api.schemas_workshop import (
    BasicFileIn,
    BasicFileOut,
    BasicFileWholeOut,
    DeviceModelIn,
    DeviceModelOut,
    LanguageIn,
    LanguageOut,
    LossesOut,
)
from gridtalk.devicetalk import engine, selectors, tree
from gridtalk.devicetalk.models import BasicFile, DeviceModel, Language
from gridtalk.devicetalk.services import catalogue
from gridtalk.devicetalk.services.losses import Losses
from gridtalk.devicetalk.tree_paths import safe_name
from gridtalk.devicetalk.ziptree import zip_make
from gridtalk.files.services import files_read, upload_batch_discard
from gridtalk.users.models import Permission
from gridtalk.users.permissions import requires, signed_in

router = Router(tags=["workshop: catalogue"])


@router.get("languages", response=list[LanguageOut], summary="Languages, by name")
@requires(Permission.VIEW)
def language_list(request: HttpRequest) -> Any:
    """The programming languages that there are basic files for, or are to be."""
    return selectors.language_list()


@router.put("languages", response=LanguageOut, summary="Add a language")
@requires(Permission.WORKSHOP)
def language_put(request: HttpRequest, body: LanguageIn) -> Language:
    """The language of that name, which is made where it is not there yet."""
    return catalogue.language_create(user=signed_in(request), name=body.name)


@router.delete("languages/{language_id}", response={204: None}, summary="Delete a language")
@requires(Permission.WORKSHOP)
def language_delete(request: HttpRequest, language_id: IdPath) -> Status[None]:
    """Refused (409) while it has basic files."""
    language = selectors.language_get(language_id=language_id)
    catalogue.language_delete(user=signed_in(request), language=language)
    return Status(204, None)


@router.get("basicfiles", response=list[BasicFileOut], summary="Basic files")
@requires(Permission.VIEW)
def basic_file_list(request: HttpRequest, language: OptionalId = None) -> Any:
    """The basic files of one language (its id), or of all."""
    chosen = selectors.language_get(language_id=language) if language is not None else None
    return [_row(row) for row in selectors.basic_file_list(language=chosen)]


def _row(basic_file: BasicFile) -> dict[str, Any]:
    return {
        "id": basic_file.pk,
        "language": basic_file.language.name,
        "name": basic_file.name,
        "updated_at": basic_file.updated_at,
    }


@router.put(
    "basicfiles",
    response={200: BasicFileWholeOut, 204: None},
    summary="Take an upload as a basic file",
)
@requires(Permission.WORKSHOP)
def basic_file_put(request: HttpRequest, body: BasicFileIn) -> Status[Any]:
    """In place of the present version, whole. All that is wrong is said at once (400,
    ``problems``); then the present version stays as it is. ``failed`` removes the upload's files.
    """
    user = signed_in(request)
    if body.status == "failed":
        upload_batch_discard(user=user, batch_id=body.upload_batch)
        return Status(204, None)
    found = catalogue.basic_file_put(
        user=user,
        language=selectors.language_named(name=body.language),
        name=body.name,
        batch_id=body.upload_batch,
    )
    return Status(200, _whole(found))


def _whole(basic_file: BasicFile) -> dict[str, Any]:
    config = engine.basic_file_load(basic_file).config
    return {
        **_row(basic_file),
        "manual_url": config.manual_url,
        "lib_root": config.lib_root,
        "example_dir": config.example_dir,
        "files": basic_file.file_set.order_by("file_path"),
    }


@router.get("basicfiles/{basic_file_id}", response=BasicFileWholeOut, summary="One basic file")
@requires(Permission.VIEW)
def basic_file_get(request: HttpRequest, basic_file_id: IdPath) -> dict[str, Any]:
    """A basic file with its files; their bytes are at ``file/<uuid>``."""
    return _whole(selectors.basic_file_by_id(basic_file_id=basic_file_id))


@router.get(
    "basicfiles/{basic_file_id}/zip",
    summary="All files of a basic file",
    openapi_extra=binary("application/zip"),
)
@requires(Permission.VIEW)
def basic_file_zip(request: HttpRequest, basic_file_id: IdPath) -> HttpResponse:
    """The template tree, to change and upload again."""
    found = selectors.basic_file_by_id(basic_file_id=basic_file_id)
    folder = safe_name(found.name)
    packed = zip_make(files_read(found.file_set.all()), folder)
    return download(packed, f"{folder}.zip", "application/zip")


@router.delete("basicfiles/{basic_file_id}", response=LossesOut, summary="Delete a basic file")
@requires(Permission.WORKSHOP)
def basic_file_delete(
    request: HttpRequest, basic_file_id: IdPath, with_all: bool = False
) -> Losses:
    """Refused (409), saying what would be lost, unless ``with_all`` or nothing is made for it."""
    found = selectors.basic_file_by_id(basic_file_id=basic_file_id)
    return catalogue.basic_file_delete(user=signed_in(request), basic_file=found, with_all=with_all)


@router.get("devicemodels", response=list[DeviceModelOut], summary="Device models, by name")
@requires(Permission.VIEW)
def device_model_list(request: HttpRequest, search: Text = "") -> Any:
    """The named sets of features that a device can begin with."""
    rows = selectors.device_model_list()
    return [_model(row) for row in rows if search.casefold() in row.name.casefold()]


def _model(row: DeviceModel) -> dict[str, Any]:
    features = sorted(row.features.all(), key=lambda feature: feature.order)
    return {
        "id": row.pk,
        "name": row.name,
        "description": row.description,
        "source_server": row.source_server,
        "updated_at": row.updated_at,
        "features": [
            {"name": one.name, "type": one.df_type.df_type, "params": one.df_type.params}
            for one in features
        ],
    }


@router.get("devicemodels/{device_model_id}", response=DeviceModelOut, summary="One device model")
@requires(Permission.VIEW)
def device_model_get(request: HttpRequest, device_model_id: IdPath) -> dict[str, Any]:
    """A device model with its features in their order."""
    return _model(selectors.device_model_get(device_model_id=device_model_id))


@router.put("devicemodels", response=DeviceModelOut, summary="Keep a device model")
@requires(Permission.WORKSHOP)
def device_model_put(request: HttpRequest, body: DeviceModelIn) -> dict[str, Any]:
    """In place of the one of that name; devices keep the features that they have."""
    made = catalogue.device_model_put(
        user=signed_in(request),
        name=body.name,
        description=body.description,
        features=[(one.name, tree.DfType(one.type, tuple(one.params))) for one in body.features],
    )
    return _model(selectors.device_model_get(device_model_id=made.pk))


@router.delete(
    "devicemodels/{device_model_id}", response={204: None}, summary="Forget a device model"
)
@requires(Permission.WORKSHOP)
def device_model_delete(request: HttpRequest, device_model_id: IdPath) -> Status[None]:
    """Devices that were made from it stay as they are."""
    found = selectors.device_model_get(device_model_id=device_model_id)
    catalogue.device_model_delete(user=signed_in(request), device_model=found)
    return Status(204, None)
