"""Who learns a device's address, which is the whole key of a meter that runs under it.

Whoever has the uuid of a bound v2 device is the meter. It is told to those who may change the
device, and to nobody else. What others take of a device that they see (everybody's) has an address
that nobody had before: two people who take it have two devices.
"""

import uuid
from dataclasses import replace

from gridtalk.devicetalk.device_file import Project
from gridtalk.devicetalk.device_file_schema import DeviceDocument
from gridtalk.devicetalk.engine import project_load
from gridtalk.devicetalk.models import Device, DeviceVersion
from gridtalk.devicetalk.rights import may_know_address
from gridtalk.devicetalk.services.documents_read import device_document
from gridtalk.devicetalk.services.history import device_version_list
from gridtalk.users.models import User


def device_address_get(*, user: User | None, device: Device) -> str:
    """The device's address; empty for who may not change the device."""
    return device.device_address if may_know_address(user, device) else ""


def device_document_take(
    *, user: User | None, device: Device, flat: bool = False
) -> DeviceDocument:
    """The device's document (:func:`~gridtalk.devicetalk.services.documents_read.device_document`).

    For who may not change the device it has an address of its own, each time another.
    """
    document = device_document(device=device, flat=flat)
    part = document.da.model_copy(update={"device_address": _address(user, device)})
    return document.model_copy(update={"da": part})


def device_project_take(*, user: User | None, device: Device) -> Project:
    """What the device's code is made from; the address as in :func:`device_document_take`.

    The version tells code of one address from that of another. Raises as
    :func:`~gridtalk.devicetalk.engine.project_load`.
    """
    project = project_load(device)
    return replace(project, device=replace(project.device, device_address=_address(user, device)))


def device_version_show(*, user: User | None, device: Device) -> list[DeviceVersion]:
    """The device's versions, newest first, to be looked at; without the addresses that it had for
    who may not change it. To restore one, take those of ``device_version_list``.
    """
    rows = device_version_list(device=device)
    if not may_know_address(user, device):
        for row in rows:
            row.snapshot = {**row.snapshot, "device_address": ""}
    return rows


def _address(user: User | None, device: Device) -> str:
    # Not an empty one: such code takes another address at each start, which no meter may do.
    return device_address_get(user=user, device=device) or str(uuid.uuid4())
