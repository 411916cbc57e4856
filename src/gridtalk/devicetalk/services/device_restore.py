"""Taking up an earlier version of a device, as a new version."""

from typing import Any

from django.db import transaction
from django.db.models import F

from gridtalk.core.errors import NotFound, UserError
from gridtalk.devicetalk.models import (
    BasicFile,
    Device,
    DeviceLibrary,
    DeviceVersion,
    Library,
    LibraryFunction,
    SaFunction,
)
from gridtalk.devicetalk.models_base import LIBRARY_SUFFIX
from gridtalk.devicetalk.rights import visible
from gridtalk.devicetalk.services.catalogue import df_type_get
from gridtalk.devicetalk.services.device_spec import Chosen, DeviceSpec, Df, Use
from gridtalk.devicetalk.services.devices import DeviceSaved, device_save
from gridtalk.devicetalk.services.devices_lock import device_lock
from gridtalk.devicetalk.services.functions import functions_hold
from gridtalk.devicetalk.services.history import function_snapshot, function_version_add
from gridtalk.devicetalk.tree import DfType as PlainType
from gridtalk.users.models import User


@transaction.atomic
def device_restore(
    *, user: User | None, device: Device, version: DeviceVersion, revision: int | None = None
) -> DeviceSaved:
    """Save what the device was at that version; its name and address too.

    Everybody's device keeps its present address: before it was shared it had that of its owner's,
    which may be a meter.

    A function that the device no longer has as it was is written anew, as the newest version of its
    history, so that it counts in the device library too. Raises :class:`UserError` naming the
    libraries that are gone, as :func:`~gridtalk.devicetalk.services.devices_lock.device_lock` and
    as :func:`device_save`.
    """
    device = device_lock(user=user, device=device, revision=revision)
    if version.device_id != device.pk:
        raise NotFound(f"version {version.number} is not one of {device.name}")
    then = version.snapshot
    basic_file = _basic_file(then["basic_file"])
    functions_hold(function_ids=[row["id"] for row in then["functions"]])
    functions = {row["id"]: _function(user, device, basic_file, row) for row in then["functions"]}
    source_server, source_project, source_device_object = then["source"]
    spec = DeviceSpec(
        name=then["name"],
        dm_name=then["dm_name"],
        basic_file=basic_file,
        server_url=then["server_url"],
        device_address=then["device_address"] if device.user_id is not None else "",
        push_interval_s=then["push_interval"],
        global_var_setup=then["global_var_setup"],
        gvs_readonly_lines=tuple(then["gvs_readonly_lines"]),
        libraries=_libraries(device, basic_file, then["libraries"]),
        functions=tuple(functions.values()),
        dfs=tuple(_df(row, functions) for row in then["dfs"]),
        source_server=source_server,
        source_project=source_project,
        source_device_object=source_device_object,
    )
    return device_save(user=user, spec=spec, device=device, restoring=True)


def _basic_file(then: dict[str, Any]) -> BasicFile:
    named = BasicFile.objects.filter(language__name=then["language"], name=then["name"])
    found = BasicFile.objects.filter(pk=then["id"]).first() or named.first()
    if found is None:
        raise UserError(
            f"the basic file {then['language']}/{then['name']} is gone; upload it again"
        )
    return found


def _libraries(
    device: Device, basic_file: BasicFile, then: list[dict[str, Any]]
) -> tuple[Chosen, ...]:
    """The libraries by their id, else those that have their names now.

    Device libraries are those of the device's owner and everybody's, whoever restores it; by their
    names the owner's come first, as in documents.
    """
    plain = Library.objects.filter(basic_file=basic_file)
    pools = DeviceLibrary.objects.filter(visible(device.user), basic_file=basic_file)
    pools = pools.order_by(F("user_id").asc(nulls_last=True))
    found, cures = [], []
    for row in then:
        rows = plain if row["kind"] == "L" else pools
        same = rows.filter(pk=row["id"]).first() or rows.filter(name=row["name"]).first()
        if same is None:
            cures.append(_cure(row["kind"], row["name"]))
        else:
            found.append(Chosen(row["kind"], same.pk))
    if cures:
        raise UserError(f"what {device.name} used then is gone: {'; '.join(cures)}")
    return tuple(found)


def _cure(kind: str, name: str) -> str:
    """What brings back a library, or a device library, which nobody can upload."""
    if kind == "L":
        return f"library {name}, upload it again"
    maker = name.removesuffix(LIBRARY_SUFFIX)
    return f"device library {name}, save a device {maker} again, which makes it"


def _function(
    user: User | None, device: Device, basic_file: BasicFile, then: dict[str, Any]
) -> int:
    """The id of the function, where the device still has it as it was, else of a new one.

    The new one carries on the history of its present namesake in the device.
    """
    row = (
        SaFunction.objects.select_related("function_type", "library_ref__library")
        .filter(pk=then["id"])
        .first()
    )
    same = row is not None and {"id": row.pk, **function_snapshot(row)} == then
    if row is not None and same and device.functions.filter(pk=row.pk).exists():
        return row.pk
    df_type = df_type_get(direction=then["type"]["df_type"], params=then["type"]["params"])
    present = device.functions.filter(name=then["name"], function_type=df_type).first()
    ref = then["library_ref"]
    made = SaFunction.objects.create(
        name=then["name"],
        code=then["code"],
        readonly_lines=then["readonly_lines"],
        var_setup=then["var_setup"],
        function_type=df_type,
        library_ref=ref and LibraryFunction.objects.filter(
            library__basic_file=basic_file, library__name=ref["library"], name=ref["function"]
        ).first(),
        user=user,
        copied_from=present or row,
    )  # fmt: skip
    function_version_add(function=made, user=user)
    return made.pk


def _df(then: dict[str, Any], functions: dict[int, int]) -> Df:
    return Df(
        name=then["name"],
        df_type=PlainType(then["type"]["df_type"], tuple(then["type"]["params"])),
        in_use=then["in_use"],
        uses=tuple(
            Use(functions[use["id"]], use["var_setup"], use["selected"])
            for use in then["functions"]
        ),
    )
