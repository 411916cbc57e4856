"""Checks before the download, and device models from an IoTtalk server: work for elsewhere."""

from typing import Any

from django.http import HttpRequest
from ninja import Router, Status

from gridtalk.api.schemas_devicetalk import CheckOut
from gridtalk.api.schemas_types import IdPath
from gridtalk.api.schemas_workshop import ImportedOut, ModelImport
from gridtalk.core.errors import NotFound
from gridtalk.devicetalk import selectors
from gridtalk.devicetalk.models import DeviceCheck
from gridtalk.devicetalk.rights import administrator_check
from gridtalk.devicetalk.services import checking, importing
from gridtalk.users.models import Permission
from gridtalk.users.permissions import requires, signed_in

router = Router(tags=["workshop: checks and imports"])


@router.post("device/{device_id}/check", response={202: CheckOut}, summary="Check a device's code")
@requires(Permission.DEVICES)
def check_start(
    request: HttpRequest, device_id: IdPath, again: bool = False
) -> Status[DeviceCheck]:
    """Have the present version compiled and linted by a worker; ask for the result by ``GET``.

    A version that was checked is not checked once more, unless ``again``.
    """
    user = signed_in(request)
    device = selectors.device_get(user=user, device_id=device_id)
    return Status(202, checking.device_check_start(user=user, device=device, again=again))


@router.get("device/{device_id}/check", response=CheckOut, summary="What a check found")
@requires(Permission.VIEW)
def check_get(request: HttpRequest, device_id: IdPath) -> DeviceCheck:
    """The check of the device's present version; 404 where nobody asked for it."""
    device = selectors.device_get(user=signed_in(request), device_id=device_id)
    found = checking.device_check_current(device=device)
    if found is None:
        raise NotFound(f"this version of {device.name} was not checked; ask for it by POST")
    return found


@router.post("devicemodels/import", response=ImportedOut, summary="Fetch a device model")
@requires(Permission.DEVICES)
def device_model_import(request: HttpRequest, body: ModelImport) -> dict[str, Any]:
    """The device model of a device object on an IoTtalk server, and its features in use.

    Servers in this server's own network are refused unless the operator allows them.
    """
    user = signed_in(request)
    if body.keep:
        administrator_check(user, "keep a device model")
    found = importing.device_model_import(
        user=user,
        server_url=body.server_url,
        project=body.project,
        device_object=body.device_object,
    )
    if body.keep:
        importing.device_model_import_keep(user=user, imported=found)
    return {
        "device_model": found.dm_name,
        "features": [
            {"name": name, "type": df_type.direction, "params": df_type.params}
            for name, df_type in found.features
        ],
        "in_use": sorted(found.in_use),
        "source": {
            "server": found.source_server,
            "project": found.source_project,
            "device_object": found.source_device_object,
        },
    }
