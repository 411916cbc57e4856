"""Devices: saved, cloned, shared, deleted, restored; their code."""

from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status

from gridtalk.api.devicetalk_rows import version_of
from gridtalk.api.files import binary, download
from gridtalk.api.paging import page_before
from gridtalk.api.schemas import Limit
from gridtalk.api.schemas_devicetalk import (
    DeviceClone,
    DeviceOut,
    DeviceRestore,
    DeviceSavedOut,
    DevicesOut,
    DiffOut,
    TextOut,
    TreeOut,
    VersionOut,
    VersionWholeOut,
)
from gridtalk.api.schemas_types import FilePath, IdPath, Number, NumberPath, OptionalId, Text
from gridtalk.core.errors import NotFound
from gridtalk.devicetalk import render, rights, selectors
from gridtalk.devicetalk.device_file_schema import DeviceDocument
from gridtalk.devicetalk.models import Device, DeviceVersion
from gridtalk.devicetalk.services import devices, history
from gridtalk.devicetalk.services.addresses import (
    device_address_get,
    device_document_take,
    device_project_take,
    device_version_show,
)
from gridtalk.devicetalk.services.device_restore import device_restore
from gridtalk.devicetalk.services.devices import DeviceSaved
from gridtalk.devicetalk.services.documents import device_document_save
from gridtalk.devicetalk.tree_paths import safe_name
from gridtalk.users.models import Permission, User
from gridtalk.users.permissions import requires, signed_in

router = Router(tags=["workshop: devices"])


def _device(request: HttpRequest, device_id: int) -> Device:
    return selectors.device_get(user=signed_in(request), device_id=device_id)


def _row(user: User, device: Device) -> dict[str, Any]:
    return {
        "id": device.pk,
        "name": device.name,
        "device_model": device.dm_name,
        "language": device.basic_file.language.name,
        "basic_file": device.basic_file.name,
        "owner": device.user.name if device.user else None,
        "device_address": device_address_get(user=user, device=device),
        "revision": device.revision,
        "created_at": device.created_at,
        "updated_at": device.updated_at,
    }


def _out(user: User, device: Device, *, flat: bool = False) -> dict[str, Any]:
    return {
        **_row(user, device),
        "library_name": device.library_name,
        "may_change": rights.may_change(user, device),
        "document": device_document_take(user=user, device=device, flat=flat),
    }


def _saved(user: User, saved: DeviceSaved) -> dict[str, Any]:
    device = selectors.device_get(user=user, device_id=saved.device.pk)
    return {**_out(user, device), "left_out": saved.left_out}


@router.get("device", response=DevicesOut, summary="Devices, newest first")
@requires(Permission.VIEW)
def device_list(
    request: HttpRequest, search: Text = "", before: OptionalId = None, limit: Limit = 100
) -> dict[str, Any]:
    """Your devices and everybody's; ``search`` in their names and device models."""
    user = signed_in(request)
    rows = selectors.device_list(user=user, search=search)
    page = page_before(rows, before=before, limit=limit)
    return {**page, "items": [_row(user, device) for device in page["items"]]}


@router.post("device", response={201: DeviceSavedOut}, summary="Save a new device")
@requires(Permission.DEVICES)
def device_create(request: HttpRequest, body: DeviceDocument) -> Status[dict[str, Any]]:
    """The document is a device file of ``gridtalk generate`` without folders. Saving makes the
    device's library too. All that is wrong is said in one answer.
    """
    user = signed_in(request)
    return Status(201, _saved(user, device_document_save(user=user, document=body)))


@router.get("device/{device_id}", response=DeviceOut, summary="One device")
@requires(Permission.VIEW)
def device_get(request: HttpRequest, device_id: IdPath, flat: bool = False) -> dict[str, Any]:
    """A device with its document; with ``flat`` one that ``gridtalk generate`` takes, too.

    Where you may not change the device, the document has an address of its own, each time another.
    """
    return _out(signed_in(request), _device(request, device_id), flat=flat)


@router.put("device/{device_id}", response=DeviceSavedOut, summary="Save a device")
@requires(Permission.DEVICES)
def device_put(
    request: HttpRequest, device_id: IdPath, revision: Number, body: DeviceDocument
) -> dict[str, Any]:
    """What the device is from now on. ``revision`` is the one that the change began with: where
    somebody saved the device since, this is refused (409) with their ``difference``.
    """
    user = signed_in(request)
    device = _device(request, device_id)
    saved = device_document_save(user=user, document=body, device=device, revision=revision)
    return _saved(user, saved)


@router.delete("device/{device_id}", response={204: None}, summary="Delete a device")
@requires(Permission.DEVICES)
def device_delete(request: HttpRequest, device_id: IdPath) -> Status[None]:
    """With its history. Its device library stays, for those who use it."""
    devices.device_delete(user=signed_in(request), device=_device(request, device_id))
    return Status(204, None)


@router.post("device/{device_id}/clone", response={201: DeviceSavedOut}, summary="Copy a device")
@requires(Permission.DEVICES)
def device_clone(
    request: HttpRequest, device_id: IdPath, body: DeviceClone
) -> Status[dict[str, Any]]:
    """A copy of a device that you see, yours, with an address of its own."""
    user = signed_in(request)
    device = _device(request, device_id)
    return Status(201, _saved(user, devices.device_clone(user=user, device=device, name=body.name)))


@router.post("device/{device_id}/share", response=DeviceOut, summary="Share a device")
@requires(Permission.WORKSHOP)
def device_share(request: HttpRequest, device_id: IdPath) -> dict[str, Any]:
    """Make a device and its library everybody's. It gets a new address; the old one stays with the
    device that runs under it.
    """
    user = signed_in(request)
    devices.device_share(user=user, device=_device(request, device_id))
    return _out(user, _device(request, device_id))


@router.get(
    "device/{device_id}/zip",
    summary="A device's code as a zip",
    openapi_extra=binary("application/zip"),
)
@requires(Permission.VIEW)
def device_zip(request: HttpRequest, device_id: IdPath) -> HttpResponse:
    """The same bytes for the same device, basic file and libraries; ``ETag`` is their hash.

    Where you may not change the device, each zip has an address of its own, and is a device of its
    own.
    """
    device = _device(request, device_id)
    made = device_project_take(user=signed_in(request), device=device)
    packed = render.device_zip(device_name=device.name, rendered=made.render())
    answer = download(packed, f"{safe_name(device.name)}.zip", "application/zip")
    answer["ETag"] = f'"{made.version}"'
    return answer


@router.get("device/{device_id}/tree", response=TreeOut, summary="What a device's zip holds")
@requires(Permission.VIEW)
def device_tree(request: HttpRequest, device_id: IdPath) -> dict[str, Any]:
    """The files, and where in them each feature's function stands. Where you may not change the
    device, the version is another each time, as that of each zip is.
    """
    device = _device(request, device_id)
    made = device_project_take(user=signed_in(request), device=device)
    rendered = made.render()
    return {
        "folder": safe_name(device.name),
        "version": made.version,
        "manual_url": made.basic_file.config.manual_url,
        "files": [{"path": path, "size": len(content)} for path, content in rendered.files.items()],
        "places": [
            {
                "path": place.path,
                "first_line": place.first_line,
                "lines": len(place.origins),
                "df": place.df_name,
                "type": place.direction,
                "function": place.function,
            }
            for place in rendered.places
        ],
    }


@router.get("device/{device_id}/tree/file", response=TextOut, summary="One file of the zip")
@requires(Permission.VIEW)
def device_tree_file(
    request: HttpRequest, device_id: IdPath, path: Annotated[FilePath, Query()]
) -> dict[str, Any]:
    """The text of the file at ``path``, as ``tree`` names it."""
    device = _device(request, device_id)
    files = device_project_take(user=signed_in(request), device=device).render().files
    if path not in files:
        raise NotFound(f"the device's code has no file {path[:100]}")
    try:
        text = files[path].decode()
    except UnicodeDecodeError:
        text = None
    return {"path": path, "size": len(files[path]), "text": text}


def _versions(request: HttpRequest, device_id: int) -> dict[int, DeviceVersion]:
    """Those of the device by their numbers, as who asks may see them."""
    device = _device(request, device_id)
    rows = device_version_show(user=signed_in(request), device=device)
    return {row.number: row for row in rows}


@router.get("device/{device_id}/history", response=list[VersionOut], summary="A device's versions")
@requires(Permission.VIEW)
def device_versions(request: HttpRequest, device_id: IdPath) -> Any:
    """One for each saving, newest first; the number is the revision."""
    return list(_versions(request, device_id).values())


@router.get(
    "device/{device_id}/history/{number}",
    response=VersionWholeOut,
    summary="One version of a device",
)
@requires(Permission.VIEW)
def device_version(request: HttpRequest, device_id: IdPath, number: NumberPath) -> DeviceVersion:
    """What the device was then."""
    return version_of(_versions(request, device_id), number)


@router.get("device/{device_id}/diff", response=DiffOut, summary="Compare two versions")
@requires(Permission.VIEW)
def device_diff(
    request: HttpRequest, device_id: IdPath, old: Number, new: Number
) -> dict[str, list[str]]:
    """What changed from version ``old`` to ``new``."""
    rows = _versions(request, device_id)
    return {"lines": history.version_diff(old=version_of(rows, old), new=version_of(rows, new))}


@router.post(
    "device/{device_id}/restore", response=DeviceSavedOut, summary="Take up an earlier version"
)
@requires(Permission.DEVICES)
def device_take_up(request: HttpRequest, device_id: IdPath, body: DeviceRestore) -> dict[str, Any]:
    """The earlier version, saved as the newest one. Everybody's device keeps its address."""
    user = signed_in(request)
    device = _device(request, device_id)
    rows = {row.number: row for row in history.device_version_list(device=device)}
    saved = device_restore(
        user=user,
        device=device,
        version=version_of(rows, body.number),
        revision=body.revision,
    )
    return _saved(user, saved)
