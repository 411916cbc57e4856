"""Saving a device with all that belongs to it, and its device library, in one transaction."""

import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from django.db import IntegrityError, transaction

from gridtalk.core import clock
from gridtalk.core.errors import Conflict, NotFound, UserError
from gridtalk.devicetalk.models import (
    Device,
    DeviceDf,
    DeviceDfHasSaFunction,
    DeviceHasLibrary,
    DeviceLibrary,
    DeviceModel,
    Library,
    SaFunction,
)
from gridtalk.devicetalk.rights import administrator_check, is_administrator, owned_check, visible
from gridtalk.devicetalk.services.catalogue import df_type_get
from gridtalk.devicetalk.services.device_library import device_library_make
from gridtalk.devicetalk.services.device_spec import (
    DeviceSpec,
    Df,
    before_alike,
    before_of,
    plain_problems,
    plain_type,
    readonly_problems,
    spec_of,
)
from gridtalk.devicetalk.services.devices_lock import device_lock
from gridtalk.devicetalk.services.functions import functions_usable
from gridtalk.devicetalk.services.history import device_version_add
from gridtalk.devicetalk.services.joining import key, libraries_needed
from gridtalk.devicetalk.services.losses import device_drop
from gridtalk.users.audit import audit
from gridtalk.users.models import User


@dataclass(frozen=True)
class DeviceSaved:
    """The device, its library, and the functions left out as their library was not chosen."""

    device: Device
    device_library: DeviceLibrary
    left_out: tuple[str, ...]


@transaction.atomic
def device_save(
    *,
    user: User | None,
    spec: DeviceSpec,
    device: Device | None = None,
    revision: int | None = None,
    restoring: bool = False,
) -> DeviceSaved:
    """Save a new device of that user, or a change of ``device``, and its device library.

    ``revision`` is the one which the user began with. ``restoring`` takes an earlier version's
    global variables as they were, whatever the libraries' read-only lines are now. Features of the
    device model that the spec lacks are added, not in use. Raises :class:`UserError` with all
    that is wrong in one message; :class:`Conflict` where the user has another device of that name;
    and as :func:`~gridtalk.devicetalk.services.devices_lock.device_lock`, also where somebody else
    saved the device since, or it is not the user's.
    """
    if device is not None:
        device = device_lock(user=user, device=device, revision=revision)
    spec = replace(spec, name=spec.name.strip(), dfs=(*spec.dfs, *_model_rest(spec)))
    problems = plain_problems(spec)
    libraries = _libraries(user, spec, problems)
    functions = _functions(user, spec, problems)
    left_out = _left_out(libraries, functions)
    problems += _use_problems(spec, functions, left_out)
    if not restoring:
        before = before_of(device) if device is not None else before_alike(user, spec)
        problems += readonly_problems(spec, libraries, before)
    if problems:
        raise UserError(f"{spec.name[:100] or 'the device'}: {'; '.join(problems)}")
    device = _row_save(user, spec, device)
    kept = {pk: row for pk, row in functions.items() if pk not in left_out}
    device.functions.set(kept.values())
    _libraries_save(device, libraries)
    _features_save(device, spec.dfs, kept)
    library = device_library_make(device)
    device_version_add(device=device, user=user)
    return DeviceSaved(device, library, tuple(sorted(row.name for row in left_out.values())))


def _model_rest(spec: DeviceSpec) -> list[Df]:
    """The features of the device model that the spec lacks."""
    have = {(df.name, df.df_type) for df in spec.dfs}
    model = DeviceModel.objects.filter(name=spec.dm_name).first()
    rows = model.features.select_related("df_type").order_by("order") if model else ()
    features = [(row.name, plain_type(row.df_type)) for row in rows]
    return [Df(name, df_type, in_use=False) for name, df_type in features
            if (name, df_type) not in have]  # fmt: skip


def _libraries(
    user: User | None, spec: DeviceSpec, problems: list[str]
) -> list[Library | DeviceLibrary]:
    """The chosen libraries in their order; those that the user cannot choose become problems."""
    plain = Library.objects.filter(basic_file=spec.basic_file).in_bulk(
        [chosen.id for chosen in spec.libraries if chosen.kind == "L"]
    )
    pools = DeviceLibrary.objects.filter(basic_file=spec.basic_file)
    if not is_administrator(user):
        pools = pools.filter(visible(user))
    pools_found = pools.in_bulk([chosen.id for chosen in spec.libraries if chosen.kind == "D"])
    found: list[Library | DeviceLibrary] = []
    for chosen in spec.libraries:
        row = plain.get(chosen.id) if chosen.kind == "L" else pools_found.get(chosen.id)
        if row is None:
            problems.append(f"there is no library {chosen.kind}{chosen.id} for {spec.basic_file}")
        else:
            found.append(row)
    return found


def _functions(user: User | None, spec: DeviceSpec, problems: list[str]) -> dict[int, SaFunction]:
    """The functions named, by id; those that the user may not use become problems."""
    wanted = {*spec.functions, *(use.function_id for df in spec.dfs for use in df.uses)}
    usable = SaFunction.objects.filter(functions_usable(user), pk__in=wanted).values("pk")
    # Held until the commit, so that the cleaning takes none of them away meanwhile.
    rows = SaFunction.objects.select_for_update(of=("self",), no_key=True).filter(pk__in=usable)
    rows = rows.select_related("function_type", "library_ref__library").order_by("pk")
    found = {row.pk: row for row in rows}
    problems += [
        f"there is no function {pk}, or it is not yours" for pk in sorted(wanted - {*found})
    ]
    counts = Counter(key(row) for row in found.values())
    names = {row.name for row in found.values() if counts[key(row)] > 1}
    problems += [f"two functions are called {name}; rename one" for name in sorted(names)]
    return found


def _left_out(
    libraries: Iterable[Library | DeviceLibrary], functions: dict[int, SaFunction]
) -> dict[int, SaFunction]:
    """The functions which refer to a library that is not chosen."""
    chosen = list(libraries)
    needed = libraries_needed(
        [row.pk for row in chosen if isinstance(row, Library)],
        [row for row in chosen if isinstance(row, DeviceLibrary)],
    )
    return {
        pk: row
        for pk, row in functions.items()
        if row.library_ref is not None and row.library_ref.library_id not in needed
    }


def _use_problems(
    spec: DeviceSpec, functions: dict[int, SaFunction], left_out: dict[int, SaFunction]
) -> list[str]:
    found = []
    for df in spec.dfs:
        for use in df.uses:
            row = functions.get(use.function_id)
            if row is None:
                continue
            if plain_type(row.function_type) != df.df_type:
                found.append(f"{df.name} cannot use {row.name}, which is for {row.function_type}")
            if use.selected and row.pk in left_out and row.library_ref is not None:
                library = row.library_ref.library.name
                found.append(f"{df.name} uses {row.name}, which needs the library {library}")
    return found


def _row_save(user: User | None, spec: DeviceSpec, device: Device | None) -> Device:
    if device is None:
        device = Device(user=user, device_address=str(uuid.uuid4()))
    else:
        device.revision += 1
    device.name, device.dm_name, device.basic_file = spec.name, spec.dm_name, spec.basic_file
    device.server_url, device.push_interval = spec.server_url, spec.push_interval_s
    device.device_address = spec.device_address or device.device_address
    device.global_var_setup = spec.global_var_setup
    device.gvs_readonly_lines = sorted(set(spec.gvs_readonly_lines))
    device.source_server, device.source_project = spec.source_server, spec.source_project
    device.source_device_object = spec.source_device_object
    device.updated_at = clock.now()
    name_taken_check(device)
    try:
        with transaction.atomic():
            device.save()
    except IntegrityError:
        # Somebody saved one of that name between our look and our saving.
        raise _taken(device) from None
    return device


def name_taken_check(device: Device) -> None:
    """Raise :class:`Conflict` where its owner has another device of that name and basic file."""
    others = Device.objects.filter(
        user=device.user, basic_file=device.basic_file, name=device.name
    ).exclude(pk=device.pk)
    if others.exists():
        raise _taken(device)


def _taken(device: Device) -> Conflict:
    whose = "you have" if device.user_id else "everybody has"
    return Conflict(f"{whose} a device {device.name} for {device.basic_file} already; rename this")


def _libraries_save(device: Device, libraries: Iterable[Library | DeviceLibrary]) -> None:
    device.devicehaslibrary_set.all().delete()
    DeviceHasLibrary.objects.bulk_create(
        DeviceHasLibrary(
            device=device,
            order=order,
            library=row if isinstance(row, Library) else None,
            device_library=row if isinstance(row, DeviceLibrary) else None,
        )
        for order, row in enumerate(libraries)
    )


def _features_save(device: Device, dfs: Iterable[Df], functions: dict[int, SaFunction]) -> None:
    """Bring the features in line: same name and type stays the same row; the others go."""
    given = list(dfs)
    types = {
        plain: df_type_get(direction=plain.direction, params=plain.params)
        for plain in {df.df_type for df in given}
    }
    old = {(row.name, row.df_type_id): row for row in device.devicedf_set.all()}
    rows = []
    for df in given:
        df_type = types[df.df_type]
        row = old.pop((df.name, df_type.pk), None) or DeviceDf(
            device=device, name=df.name, df_type=df_type
        )
        row.in_use = df.in_use
        rows.append(row)
    DeviceDf.objects.filter(pk__in=[row.pk for row in old.values()]).delete()
    DeviceDf.objects.bulk_create(row for row in rows if row.pk is None)
    DeviceDf.objects.bulk_update((row for row in rows if row.pk is not None), ["in_use"])
    DeviceDfHasSaFunction.objects.filter(device_df__device=device).delete()
    DeviceDfHasSaFunction.objects.bulk_create(
        DeviceDfHasSaFunction(
            device_df=row,
            function=functions[use.function_id],
            var_setup=use.var_setup,
            selected=use.selected,
        )
        for df, row in zip(given, rows, strict=True)
        for use in df.uses
        if use.function_id in functions
    )


def device_clone(*, user: User | None, device: Device, name: str) -> DeviceSaved:
    """A copy of a device that the user sees, as their own, with an address of its own.

    Functions are shared with the original until somebody changes one. Raises as
    :func:`device_save`.
    """
    if not is_administrator(user) and not Device.objects.filter(visible(user), pk=device.pk):
        raise NotFound("there is no such device, or it is not yours")
    return device_save(
        user=user, spec=replace(spec_of(device), name=name, device_address=str(uuid.uuid4()))
    )


@transaction.atomic
def device_delete(*, user: User | None, device: Device) -> None:
    """Delete a device and its history; its device library stays, for those who use it."""
    owned_check(user, device)
    audit(user=user, action="device_delete", target=f"device {device.name}",
          data={"basic_file": device.basic_file_id, "revision": device.revision})  # fmt: skip
    device_drop(device)


@transaction.atomic
def device_share(*, user: User | None, device: Device) -> Device:
    """Make a device and its device library everybody's. Administrators alone.

    It gets a new address. The one that it had stays with the device that runs under it, which may
    be a meter: everybody's device is taken by many, and its address is known to others than the
    meter's people. Counts as a saving, so that nobody brings the old address back unawares.
    Raises :class:`Conflict` where a global one of that name is there, or where the device uses
    device libraries that are not global.
    """
    administrator_check(user, "share a device with everybody")
    device = Device.objects.select_for_update().get(pk=device.pk)
    if device.user_id is None:
        return device
    own = [
        row.device_library.name
        for row in device.devicehaslibrary_set.select_related("device_library")
        if row.device_library is not None and row.device_library.user_id is not None
    ]
    if own:
        raise Conflict(f"{device.name} uses {', '.join(own)}, not everybody's; share these first")
    library = DeviceLibrary.objects.filter(
        user=device.user, basic_file=device.basic_file, name=device.library_name
    ).first()
    device.user = None
    name_taken_check(device)
    if library is not None:
        if DeviceLibrary.objects.filter(
            user=None, basic_file=device.basic_file, name=library.name
        ).exists():
            raise Conflict(f"everybody has a library {library.name} already; rename the device")
        library.user = None
        library.save(update_fields=["user"])
    device.device_address = str(uuid.uuid4())
    device.revision += 1
    device.updated_at = clock.now()
    device.save(update_fields=["user", "device_address", "revision", "updated_at"])
    device_version_add(device=device, user=user)
    audit(user=user, action="device_share", target=f"device {device.name}")
    return device
