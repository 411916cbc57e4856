"""A device model, and which of its features are in use, from an IoTtalk server."""

from dataclasses import dataclass, replace

from django.conf import settings

from gridtalk.core.errors import UserError
from gridtalk.devicetalk import fetch
from gridtalk.devicetalk.models import DeviceModel
from gridtalk.devicetalk.models_base import LONGEST_NAME
from gridtalk.devicetalk.services.catalogue import device_model_put, name_check
from gridtalk.devicetalk.services.device_spec import DeviceSpec, Df
from gridtalk.devicetalk.tree import DfType
from gridtalk.devicetalk.wire_iottalk import answer_read, request_path
from gridtalk.users.audit import audit
from gridtalk.users.models import User


@dataclass(frozen=True)
class Imported:
    """A device object of an IoTtalk server: its model's features, those in use, where it is from.

    ``features`` are in the server's order.
    """

    dm_name: str
    features: tuple[tuple[str, DfType], ...]
    in_use: frozenset[str]
    source_server: str
    source_project: str
    source_device_object: str


def device_model_import(
    *, user: User | None, server_url: str, project: str, device_object: str
) -> Imported:
    """Ask an IoTtalk server for a device object. Nothing is stored; not for use in a transaction.

    ``project`` and ``device_object`` are their numbers or names there. Takes at most some
    :data:`~gridtalk.devicetalk.fetch.TOTAL_TIMEOUT_S` seconds for each address of the server.
    Raises :class:`UserError` for an address or name that cannot be one, :class:`NotAllowed` for a
    server in our own network, :class:`NotFound` where the server has no such device object,
    :class:`PeerError` where it cannot be reached or answers with something else.
    """
    address = fetch.address_read(server_url)
    project = name_check(project, what="the project", longest=LONGEST_NAME)
    device_object = name_check(device_object, what="the device object", longest=LONGEST_NAME)
    if {".", ".."} & {project, device_object}:
        raise UserError("a project's or device object's name is not . or ..")
    audit(
        user=user,
        action="device_model_import",
        target=f"project {project}, device object {device_object}",
        data={"server": address.geturl()},
    )
    answer = fetch.fetch(
        address,
        request_path(project, device_object),
        private_hosts=settings.IMPORT_PRIVATE_HOSTS,
    )
    found = answer_read(status=answer.status, body=answer.body, location=answer.location)
    return Imported(
        dm_name=found.dm_name,
        features=found.features,
        in_use=found.in_use,
        source_server=address.geturl(),
        source_project=project,
        source_device_object=device_object,
    )


def device_model_import_keep(*, user: User | None, imported: Imported) -> DeviceModel:
    """Keep an imported device model in the catalogue, in place of the one of that name.

    Administrators alone; raises as
    :func:`~gridtalk.devicetalk.services.catalogue.device_model_put`.
    """
    return device_model_put(
        user=user,
        name=imported.dm_name,
        features=imported.features,
        source_server=imported.source_server,
    )


def device_spec_import(*, spec: DeviceSpec, imported: Imported) -> DeviceSpec:
    """The device with the imported model: its features, those in use, and where it is from.

    A feature of the same name and type keeps its functions. Features that the model lacks go,
    unless they have functions: then they stay, not in use.
    """
    old = {(df.name, df.df_type): df for df in spec.dfs}
    dfs = [
        replace(old.pop(key, Df(*key)), in_use=key[0] in imported.in_use)
        for key in imported.features
    ]
    dfs += [replace(df, in_use=False) for df in old.values() if df.uses]
    return replace(
        spec,
        dm_name=imported.dm_name,
        dfs=tuple(dfs),
        source_server=imported.source_server,
        source_project=imported.source_project,
        source_device_object=imported.source_device_object,
    )
