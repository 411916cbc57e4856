"""Versions of functions and devices: kept at each saving, compared, and taken up again."""

import difflib
import json
from typing import Any

from gridtalk.devicetalk.models import (
    Device,
    DeviceVersion,
    SaFunction,
    SaFunctionVersion,
    VersionBase,
)
from gridtalk.users.models import User


def function_snapshot(function: SaFunction) -> dict[str, Any]:
    """All of a function that a version keeps."""
    ref = function.library_ref
    return {
        "name": function.name,
        "type": {
            "df_type": function.function_type.df_type,
            "params": function.function_type.params,
        },
        "code": function.code,
        "readonly_lines": function.readonly_lines,
        "var_setup": function.var_setup,
        "library_ref": {"library": ref.library.name, "function": ref.name} if ref else None,
    }


def device_snapshot(device: Device) -> dict[str, Any]:
    """All of a device, its functions' code too, so that nothing else is needed to restore it."""
    functions = device.functions.select_related("function_type", "library_ref__library")
    return {
        "name": device.name,
        "dm_name": device.dm_name,
        "basic_file": {
            "id": device.basic_file_id,
            "language": device.basic_file.language.name,
            "name": device.basic_file.name,
        },
        "server_url": device.server_url,
        "device_address": device.device_address,
        "push_interval": device.push_interval,
        "source": [device.source_server, device.source_project, device.source_device_object],
        "global_var_setup": device.global_var_setup,
        "gvs_readonly_lines": device.gvs_readonly_lines,
        "libraries": [
            {"kind": "L", "id": row.library.pk, "name": row.library.name}
            if row.library is not None
            else {"kind": "D", "id": row.device_library_id, "name": str(row.device_library)}
            for row in device.devicehaslibrary_set.select_related("library", "device_library")
        ],
        "functions": [
            {"id": row.pk, **function_snapshot(row)} for row in functions.order_by("name", "pk")
        ],
        "dfs": [
            {
                "name": df.name,
                "type": {"df_type": df.df_type.df_type, "params": df.df_type.params},
                "in_use": df.in_use,
                "functions": [
                    {"id": row.function_id, "name": row.function.name, "var_setup": row.var_setup,
                     "selected": row.selected}
                    for row in sorted(
                        df.devicedfhassafunction_set.all(),
                        key=lambda row: (row.function.name, row.function_id),
                    )
                ],
            }
            for df in device.devicedf_set.select_related("df_type")
            .prefetch_related("devicedfhassafunction_set__function").order_by("name", "pk")
        ],
    }  # fmt: skip


def function_version_add(*, function: SaFunction, user: User | None) -> SaFunctionVersion:
    """Keep what the function is now; nothing new where it is as it was. The caller holds its row.

    A copy counts on where the function that it was copied from stopped.
    """
    last = function_version_list(function=function)[:1]
    snapshot = function_snapshot(function)
    if last and last[0].function_id == function.pk and last[0].snapshot == snapshot:
        return last[0]
    number = last[0].number + 1 if last else 1
    return SaFunctionVersion.objects.create(
        function=function, number=number, snapshot=snapshot, user=user
    )


def function_version_list(*, function: SaFunction) -> list[SaFunctionVersion]:
    """The versions of a function, newest first; before them those of what it was copied from."""
    found: list[SaFunctionVersion] = []
    current: SaFunction | None = function
    before: int | None = None
    while current is not None:
        rows = current.versions.select_related("user").order_by("-number")
        found += rows if before is None else rows.filter(number__lt=before)
        before = found[-1].number if found else None
        current = current.copied_from
    return found


def device_version_add(*, device: Device, user: User | None) -> DeviceVersion:
    """Keep what the device is now, numbered by its revision. The caller holds its row."""
    version = DeviceVersion.objects.create(
        device=device,
        number=device.revision,
        snapshot=device_snapshot(device),
        user=user,
    )
    version.functions.set(device.functions.all())
    return version


def device_version_list(*, device: Device) -> list[DeviceVersion]:
    """The versions of a device, newest first."""
    return list(device.versions.select_related("user").order_by("-number"))


def version_diff(*, old: VersionBase, new: VersionBase) -> list[str]:
    """The lines that differ, as a unified diff without file names; empty where nothing does.

    Of a function its code is compared as code; of a device each function likewise.
    """
    before, after = _lines(old.snapshot), _lines(new.snapshot)
    names = (f"version {old.number}", f"version {new.number}")
    return list(difflib.unified_diff(before, after, *names, lineterm=""))


def _lines(snapshot: dict[str, Any]) -> list[str]:
    """A snapshot as lines to read: first what is set, then each function's code."""
    rest = {key: value for key, value in snapshot.items() if key not in {"code", "functions"}}
    shown = json.dumps(_shown(rest), indent=1, ensure_ascii=False, sort_keys=True).split("\n")
    if "code" in snapshot:
        shown += ["code", *(f"  {line}" for line in snapshot["code"])]
    for function in snapshot.get("functions", ()):
        shown.append(f"function {function['name']}")
        shown += [f"  {line}" for line in _lines(function)]
    return shown


def _shown(value: Any) -> Any:
    """The value without ids, which are ours and say nothing to who reads."""
    if isinstance(value, dict):
        return {key: _shown(part) for key, part in value.items() if key != "id"}
    return [_shown(part) for part in value] if isinstance(value, list) else value
