"""SA functions: made from a template, changed, copied where others use them, deleted."""

from collections.abc import Iterable, Sequence
from typing import Literal

from django.db import transaction
from django.db.models import Q, QuerySet

from gridtalk.core import clock
from gridtalk.core.errors import Conflict, NotFound, UserError
from gridtalk.devicetalk import config, engine, render_function, tree
from gridtalk.devicetalk.models import (
    BasicFile,
    Device,
    DeviceDf,
    DeviceDfHasSaFunction,
    DeviceLibrary,
    DfType,
    LibraryFunction,
    SaFunction,
    SaFunctionVersion,
)
from gridtalk.devicetalk.rights import is_administrator, visible
from gridtalk.devicetalk.services.catalogue import name_check
from gridtalk.devicetalk.services.devices_lock import device_lock, device_revise
from gridtalk.devicetalk.services.functions_draft import Draft, lines_check, readonly_check
from gridtalk.devicetalk.services.functions_fit import (
    device_check,
    joining_check,
    library_function_check,
)
from gridtalk.devicetalk.services.history import function_version_add
from gridtalk.users.models import User

#: What to do where other features use the function: ask, change it for all, or save as a new one.
Shared = Literal["ask", "all", "new"]


class FunctionShared(Conflict):
    """Other features use the function: the user decides, for all or as a new one."""

    def __init__(self, function: SaFunction, features: Sequence[str]) -> None:
        super().__init__(
            f"{function.name} is used by {', '.join(features)}: change it for all of them, or save "
            "it as a new function"
        )
        self.features = tuple(features)


def functions_usable(user: User | None) -> Q:
    """The functions that a user may use: their own, and those of what they see."""
    if is_administrator(user):
        return Q()
    return (
        Q(user=user)
        | Q(device__in=Device.objects.filter(visible(user)))
        | Q(devicelibrary__in=DeviceLibrary.objects.filter(visible(user)))
    )


def function_get(*, user: User | None, function_id: int) -> SaFunction:
    """A function that the user may use; :class:`NotFound` where there is none."""
    found = (
        SaFunction.objects.filter(functions_usable(user), pk=function_id)
        .select_related("function_type", "library_ref__library")
        .first()
    )
    if found is None:
        raise NotFound(f"there is no function {function_id}, or it is not yours")
    return found


def functions_hold(*, function_ids: Iterable[int]) -> None:
    """Hold these functions until the commit, in the one order in which all hold them.

    Devices share functions: who held one, and then another with a smaller id, could wait for
    somebody who waits for them. The cleaning takes none of them meanwhile.
    """
    rows = SaFunction.objects.select_for_update(no_key=True).filter(pk__in=list(function_ids))
    list(rows.order_by("pk").values_list("pk", flat=True))


def function_new(
    *,
    basic_file: BasicFile,
    df_type: DfType,
    name: str = "",
    library_function: LibraryFunction | None = None,
    loaded: config.BasicFile | None = None,
) -> tree.SaFunction:
    """What a new function begins as, by the basic file's template; nothing is stored.

    Its name is the given one, else ``<function>_<library>`` where it is made from a library's.
    ``loaded`` is the basic file as the engine reads it, where the caller has it. Raises
    :class:`UserError` where the library's function is for another basic file.
    """
    if library_function is not None:
        library_function_check(basic_file=basic_file, library_function=library_function)
    ref = engine.library_function_load(library_function) if library_function else None
    return render_function.function_new(
        basic_file=loaded or engine.basic_file_load(basic_file),
        df_type=engine.df_type_load(df_type),
        name=name or (render_function.function_import_name(ref) if ref else ""),
        library_function=ref,
    )


@transaction.atomic
def function_create(
    *,
    user: User | None,
    basic_file: BasicFile,
    df_type: DfType,
    draft: Draft,
    library_function: LibraryFunction | None = None,
    device: Device | None = None,
    revision: int | None = None,
    loaded: config.BasicFile | None = None,
) -> SaFunction:
    """Store a function that began as :func:`function_new`, for the device where one is given.

    That saves the device (at the ``revision`` which the user began with): ``device.revision`` is
    the new one afterwards. Raises :class:`UserError` where a read-only line was changed, or it is
    of another basic file or of a library which the device did not choose; :class:`Conflict` where
    the device has a function of that name and type; and as
    :func:`~gridtalk.devicetalk.services.devices_lock.device_lock`.
    """
    held = device and device_lock(user=user, device=device, revision=revision)
    if held is not None:
        device_check(device=held, basic_file=basic_file, library_function=library_function)
    name = name_check(draft.name, what="a function", longest=100)
    base = function_new(
        basic_file=basic_file,
        df_type=df_type,
        name=name,
        library_function=library_function,
        loaded=loaded,
    )
    if held is not None:
        device_name_check(held, name, df_type.pk)
    function = SaFunction.objects.create(
        name=name,
        code=lines_check(draft.code, what=name),
        var_setup=lines_check(draft.var_setup, what=f"the variables of {name}"),
        readonly_lines=readonly_check(
            base=base.code, base_readonly=base.readonly_lines, draft=draft
        ),
        function_type=df_type,
        library_ref=library_function,
        user=user,
    )
    function_version_add(function=function, user=user)
    if device is not None and held is not None:
        held.functions.add(function)
        device_revise(user=user, device=held)
        device.revision = held.revision
    return function


def device_name_check(
    device: Device, name: str, df_type_id: int, *, but: SaFunction | None = None
) -> None:
    """Raise :class:`Conflict` where the device has another function of that name and type."""
    others = device.functions.filter(name=name, function_type=df_type_id)
    if but is not None:
        others = others.exclude(pk=but.pk)
    if others.exists():
        raise Conflict(f"{device.name} has a function {name} already; choose another name")


@transaction.atomic
def function_save(
    *,
    user: User | None,
    function: SaFunction,
    draft: Draft,
    device: Device | None = None,
    revision: int | None = None,
    df_id: int | None = None,
    shared: Shared = "ask",
) -> SaFunction:
    """Save a change of a function, as the user sees it in ``device``, at its feature ``df_id``.

    That saves the device (at the ``revision`` which the user began with), its library and a version
    too: ``device.revision`` is the new one afterwards. Else as :func:`function_write`. Raises
    :class:`UserError` where a device has the function and none is given: nobody would have the
    change; :class:`~gridtalk.devicetalk.services.devices_lock.DeviceChanged` where somebody else
    saved the device, or without a ``revision`` this function of it, since.
    """
    function_get(user=user, function_id=function.pk)
    if device is None:
        _device_missing_check(user, function)
        return function_write(user=user, function=function, draft=draft, shared=shared)
    held = device_lock(user=user, device=device, revision=revision, function=function)
    saved, is_changed = _write(user, function, draft, held, df_id, shared)
    if is_changed:
        device_revise(user=user, device=held)
    device.revision = held.revision
    return saved


def _device_missing_check(user: User | None, function: SaFunction) -> None:
    devices = Device.objects.filter(functions=function)
    if not is_administrator(user):
        devices = devices.filter(visible(user))
    first = devices.order_by("name", "pk").first()
    if first is not None:
        raise UserError(
            f"{function.name} is a function of {first.name}; say for which device it is saved, "
            "else none would have the change"
        )


@transaction.atomic
def function_write(
    *,
    user: User | None,
    function: SaFunction,
    draft: Draft,
    device: Device | None = None,
    df_id: int | None = None,
    shared: Shared = "ask",
) -> SaFunction:
    """Write a change of a function, in a ``device`` that the caller holds and saves.

    Changed in place where nobody but this device uses it. One that belongs to a device library, to
    another device or to another user is never changed: a copy is made, which takes its place in
    this device and carries its history on. Returned is the function that holds the change.

    Raises :class:`FunctionShared` where several features of the device use it, the code changes and
    ``shared`` is ``ask``; ``all`` changes it for all; ``new`` (with a new name) makes a function
    for ``df_id`` alone. Raises :class:`UserError` where a read-only line was changed, or where it
    cannot come into the device (:mod:`~gridtalk.devicetalk.services.functions_fit`),
    :class:`Conflict` where the device has another function of that name and type.
    """
    return _write(user, function, draft, device, df_id, shared)[0]


def _write(
    user: User | None,
    function: SaFunction,
    draft: Draft,
    device: Device | None,
    df_id: int | None,
    shared: Shared,
) -> tuple[SaFunction, bool]:
    """The function that holds the change, and whether there is any."""
    name = name_check(draft.name, what="a function", longest=100)
    # The key stays free: versions of other devices, which refer to the row, need not wait for us.
    function = SaFunction.objects.select_for_update(no_key=True).get(pk=function.pk)
    code = lines_check(draft.code, what=name)
    var_setup = lines_check(draft.var_setup, what=f"the variables of {name}")
    readonly = readonly_check(
        base=function.code, base_readonly=function.readonly_lines, draft=draft
    )
    uses = _uses(device, function)
    if code != function.code and shared == "ask" and uses.count() > 1:
        raise FunctionShared(function, list(uses.values_list("device_df__name", flat=True)))
    if device is not None:
        but = None if shared == "new" else function
        device_name_check(device, name, function.function_type_id, but=but)
    fresh = shared == "new" or _others_use(user, function, device)
    is_here = device is None or device.functions.filter(pk=function.pk).exists()
    if device is not None and not is_here:
        joining_check(device=device, function=function)
    if shared != "new" and is_here and [name, code, var_setup, readonly] == [
        function.name, function.code, function.var_setup, function.readonly_lines
    ]:  # fmt: skip
        return function, False
    saved = _copy(function, user) if fresh else function
    saved.name, saved.code, saved.var_setup = name, code, var_setup
    saved.readonly_lines, saved.updated_at = readonly, clock.now()
    saved.save()
    if fresh and device is not None:
        _replace(device, function, saved, df_id=df_id if shared == "new" else None)
    elif device is not None:
        device.functions.add(saved)
    function_version_add(function=saved, user=user)
    return saved, True


def _uses(device: Device | None, function: SaFunction) -> QuerySet[DeviceDfHasSaFunction]:
    return DeviceDfHasSaFunction.objects.filter(
        device_df__device=device, function=function
    ).order_by("device_df__name")


def _others_use(user: User | None, function: SaFunction, device: Device | None) -> bool:
    """Whether a device library, another device or another user has the function."""
    if function.user_id != (user.pk if user else None):
        return True
    devices = Device.objects.filter(
        Q(functions=function) | Q(devicedf__devicedfhassafunction__function=function)
    )
    if device is not None:
        devices = devices.exclude(pk=device.pk)
    return (
        devices.exists()
        or DeviceLibrary.objects.filter(
            Q(functions=function)
            | Q(devicelibrarydf__devicelibrarydfhassafunction__function=function)
        ).exists()
        or function.copies.exists()
    )


def _copy(function: SaFunction, user: User | None) -> SaFunction:
    return SaFunction(
        function_type=function.function_type,
        library_ref=function.library_ref,
        copied_from=function,
        user=user,
    )


def _replace(device: Device, old: SaFunction, new: SaFunction, *, df_id: int | None) -> None:
    """Put the new function into the device: at one feature, or in the old one's place."""
    device.functions.add(new)
    uses = _uses(device, old)
    if df_id is not None:
        uses.filter(device_df=df_id).update(function=new)
        return
    uses.update(function=new)
    device.functions.remove(old)


@transaction.atomic
def function_delete(
    *,
    user: User | None,
    function: SaFunction,
    device: Device,
    revision: int | None = None,
    df_id: int | None = None,
) -> None:
    """Take a function out of a device; the row goes when nobody needs it (cleanup).

    The feature ``df_id``, at which the user is, gives it up; where it had selected this one, it is
    not in use any more, for a feature in use has a function. That saves the device (at the
    ``revision`` which the user began with): ``device.revision`` is the new one afterwards. Raises
    :class:`Conflict` while other features of the device use it, by name; :class:`NotFound` where
    the device does not have it; and as
    :func:`~gridtalk.devicetalk.services.devices_lock.device_lock`.
    """
    held = device_lock(user=user, device=device, revision=revision)
    uses = _uses(held, function)
    names = list(uses.exclude(device_df=df_id).values_list("device_df__name", flat=True))
    if names:
        raise Conflict(f"{function.name} is used by {', '.join(names)}; choose another there first")
    if not held.functions.filter(pk=function.pk).exists():
        raise NotFound(f"{held.name} has no function {function.name}")
    selected = uses.filter(selected=True).values("device_df")
    DeviceDf.objects.filter(pk__in=selected).update(in_use=False)
    uses.delete()
    held.functions.remove(function)
    device_revise(user=user, device=held)
    device.revision = held.revision


def function_restore(
    *,
    user: User | None,
    function: SaFunction,
    version: SaFunctionVersion,
    device: Device | None = None,
    revision: int | None = None,
) -> SaFunction:
    """Save what the function was at that version, as a new version; read-only lines as they were.

    Raises as :func:`function_save`; :class:`NotFound` where the version is another function's.
    """
    ancestors = {function.pk}
    current = function
    while current.copied_from is not None:
        current = current.copied_from
        ancestors.add(current.pk)
    if version.function_id not in ancestors:
        raise NotFound(f"version {version.number} is not one of {function.name}")
    then = version.snapshot
    draft = Draft(
        name=then["name"],
        code=tuple(then["code"]),
        var_setup=tuple(then["var_setup"]),
        readonly_lines=tuple(then["readonly_lines"]),
    )
    return function_save(
        user=user, function=function, draft=draft, device=device, revision=revision, shared="all"
    )
