"""Reading: what may be chosen, what a choice brings, and devices."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from django.db.models import Model, Prefetch, Q, QuerySet

from gridtalk.core.errors import NotFound
from gridtalk.devicetalk import engine, merge, tree
from gridtalk.devicetalk.models import (
    BasicFile,
    Device,
    DeviceLibrary,
    DeviceLibraryDfHasSaFunction,
    DeviceModel,
    Language,
    Library,
    LibraryFunction,
    SaFunction,
)
from gridtalk.devicetalk.models_base import LIBRARY_SUFFIX
from gridtalk.devicetalk.rights import is_administrator, visible
from gridtalk.devicetalk.services.device_spec import Chosen, Df, Use, libraries_of, plain_type
from gridtalk.devicetalk.services.joining import Key, functions_join, key, libraries_needed
from gridtalk.files.models import File
from gridtalk.users.models import User

_Row = TypeVar("_Row", bound=Model)
Pool = Library | DeviceLibrary


def language_list() -> QuerySet[Language]:
    """All languages, by name."""
    return Language.objects.order_by("name")


def basic_file_list(*, language: Language | None = None) -> QuerySet[BasicFile]:
    """The basic files, of one language or of all, by language and name."""
    rows = BasicFile.objects.select_related("language").order_by("language__name", "name")
    return rows.filter(language=language) if language else rows


def basic_file_get(*, language: str, name: str) -> BasicFile:
    """The basic file of that name; :class:`NotFound` names those that there are."""
    found = basic_file_list().filter(language__name=language, name=name).first()
    if found is None:
        names = ", ".join(f"{row.language.name}/{row.name}" for row in basic_file_list())
        raise NotFound(
            f"there is no basic file {language[:30]}/{name[:100]}; there are: {names or 'none'}"
        )
    return found


def language_get(*, language_id: int) -> Language:
    """A language; :class:`NotFound` where there is none of that id."""
    return _found(Language.objects.filter(pk=language_id).first(), f"language {language_id}")


def language_named(*, name: str) -> Language:
    """The language of that name; :class:`NotFound` names those that there are."""
    found = Language.objects.filter(name=name).first()
    names = ", ".join(row.name for row in language_list())
    return _found(found, f"language {name[:30]}; there are: {names or 'none'}")


def basic_file_by_id(*, basic_file_id: int) -> BasicFile:
    """A basic file; :class:`NotFound` where there is none of that id."""
    found = basic_file_list().filter(pk=basic_file_id).first()
    return _found(found, f"basic file {basic_file_id}")


def library_function_get(*, function_id: int) -> LibraryFunction:
    """A library's function (all see them all); :class:`NotFound` where there is none."""
    rows = LibraryFunction.objects.select_related("library__basic_file__language")
    return _found(rows.filter(pk=function_id).first(), f"library function {function_id}")


def device_model_get(*, device_model_id: int) -> DeviceModel:
    """A device model; :class:`NotFound` where there is none of that id."""
    found = device_model_list().filter(pk=device_model_id).first()
    return _found(found, f"device model {device_model_id}")


def _found(row: _Row | None, what: str) -> _Row:
    if row is None:
        raise NotFound(f"there is no {what}")
    return row


def file_get(*, user: User | None, uuid: UUID) -> File:
    """A file of something that the user sees, or of their own upload; else :class:`NotFound`.

    Basic files and libraries everybody sees. Of an upload that waits nobody else hears.
    """
    seen = Q(basic_file__isnull=False) | Q(library__isnull=False)
    if is_administrator(user):
        seen |= Q(device__isnull=False) | Q(device_library__isnull=False)
    else:
        seen |= Q(device__in=Device.objects.filter(visible(user)))
        seen |= Q(device_library__in=DeviceLibrary.objects.filter(visible(user)))
    if user is not None:
        seen |= Q(upload_batch__user=user)
    found = File.objects.filter(seen, uuid=uuid, is_upload=True).first()
    if found is None:
        raise NotFound("there is no such file, or it is not yours")
    return found


def device_model_list() -> QuerySet[DeviceModel]:
    """The device models with their features, by name."""
    return DeviceModel.objects.prefetch_related("features__df_type").order_by("name")


def device_list(*, user: User | None, search: str = "") -> QuerySet[Device]:
    """The devices of that user and the global ones, last saved first; ``search`` in their names."""
    rows = Device.objects.filter(visible(user)).select_related("basic_file__language", "user")
    if search:
        rows = rows.filter(Q(name__icontains=search) | Q(dm_name__icontains=search))
    return rows.order_by("-updated_at", "pk")


def device_get(*, user: User | None, device_id: int) -> Device:
    """A device that the user sees (an administrator: any); :class:`NotFound` for all others."""
    rows = Device.objects.select_related("basic_file__language", "user")
    if not is_administrator(user):
        rows = rows.filter(visible(user))
    found = rows.filter(pk=device_id).first()
    if found is None:
        raise NotFound("there is no such device, or it is not yours")
    return found


@dataclass(frozen=True)
class LibraryChoice:
    """A library or device library which may be chosen, and the libraries that it brings."""

    chosen: Chosen
    name: str
    is_global: bool
    brings: tuple[str, ...] = ()


def library_choice_list(*, user: User | None, basic_file: BasicFile) -> list[LibraryChoice]:
    """What a user may choose: their device libraries, global ones whose name none of theirs has,
    then libraries; each by name.
    """
    pools = DeviceLibrary.objects.filter(visible(user), basic_file=basic_file)
    rows = list(pools.prefetch_related("dependency_library").order_by("name"))
    own = [row for row in rows if row.user_id is not None]
    names = {row.name for row in own}
    everybodys = [row for row in rows if row.user_id is None and row.name not in names]
    found = [
        LibraryChoice(
            chosen=Chosen("D", row.pk),
            name=row.name,
            is_global=row.user_id is None,
            brings=tuple(sorted(library.name for library in row.dependency_library.all())),
        )
        for row in [*own, *everybodys]
    ]
    libraries = Library.objects.filter(basic_file=basic_file).order_by("name")
    return [*found, *(LibraryChoice(Chosen("L", row.pk), row.name, True) for row in libraries)]


def pools_get(*, user: User | None, chosen: Sequence[Chosen]) -> list[Pool]:
    """The chosen libraries and device libraries, in the order of choice.

    Raises :class:`NotFound` naming the first that is not there or that the user does not see.
    """
    pools = DeviceLibrary.objects.all()
    if not is_administrator(user):
        pools = pools.filter(visible(user))
    plain = Library.objects.in_bulk([one.id for one in chosen if one.kind == "L"])
    seen = pools.in_bulk([one.id for one in chosen if one.kind == "D"])
    found: list[Pool] = []
    for one in chosen:
        row = plain.get(one.id) if one.kind == "L" else seen.get(one.id)
        if row is None:
            raise NotFound(f"there is no library {one.kind}{one.id}, or it is not yours")
        found.append(row)
    return found


@dataclass(frozen=True)
class Selection:
    """What chosen libraries bring.

    ``brought`` are libraries that came with a device library, ``left_out`` functions that refer to
    a library which is not chosen; ``presets`` are features with their functions.
    """

    brought: tuple[Library, ...]
    library_functions: tuple[LibraryFunction, ...]
    functions: tuple[SaFunction, ...]
    left_out: tuple[SaFunction, ...]
    presets: tuple[Df, ...]
    global_variables: tree.GlobalVariables


def selection_get(
    *,
    user: User | None,
    chosen: Sequence[Chosen],
    own: Iterable[SaFunction] = (),
    present: tree.GlobalVariables | None = None,
    had: Sequence[Pool] = (),
) -> Selection:
    """What these libraries bring to a device that has ``own`` functions and ``present`` variables.

    ``had`` are the libraries that the device was saved with: their variables are not added again,
    whatever the user made of them. Raises as :func:`pools_get`.
    """
    pools = pools_get(user=user, chosen=chosen)
    plain = [row for row in pools if isinstance(row, Library)]
    device_libraries = [row for row in pools if isinstance(row, DeviceLibrary)]
    needed = libraries_needed((row.pk for row in plain), device_libraries)
    brought = Library.objects.filter(pk__in=needed).exclude(pk__in=[row.pk for row in plain])
    joined = functions_join(
        own, *(row.functions.select_related("library_ref") for row in device_libraries)
    )
    counting = joined.values()
    out = [row for row in counting if row.library_ref and row.library_ref.library_id not in needed]
    return Selection(
        brought=tuple(brought.order_by("name")),
        library_functions=tuple(
            LibraryFunction.objects.filter(library__in=needed)
            .select_related("library")
            .order_by("name", "library__name")
        ),
        functions=tuple(sorted((r for r in counting if r not in out), key=lambda row: row.name)),
        left_out=tuple(out),
        presets=presets_get(device_libraries, joined, left_out=out),
        global_variables=merge.globals_merge(
            present or tree.GlobalVariables(),
            [_globals_load(row) for row in pools],
            brought=[_globals_load(row) for row in brought.order_by("name")],
            known=[_globals_load(row) for row in _with_brought(had)],
        ),
    )


def _globals_load(pool: Pool) -> tree.Library:
    """A library's global variables, and with which libraries' these were made."""
    if isinstance(pool, Library):
        return engine.globals_only(pool)
    made_with = pool.dependency_library.order_by("name")
    device = Device.objects.filter(
        user=pool.user_id,
        basic_file=pool.basic_file_id,
        name=pool.name.removesuffix(LIBRARY_SUFFIX),
    ).first()
    if device is not None:
        # Dependencies add up, its variables are those of the last saving.
        names = {row.pk for row in _with_brought(libraries_of(device)) if isinstance(row, Library)}
        made_with = made_with.filter(pk__in=names)
    return engine.globals_only(pool, made_with=made_with.values_list("name", flat=True))


def _with_brought(pools: Sequence[Pool]) -> list[Pool]:
    """These, and before them the libraries that come with the device libraries among them."""
    plain = [row.pk for row in pools if isinstance(row, Library)]
    needed = libraries_needed(plain, (row for row in pools if isinstance(row, DeviceLibrary)))
    brought = Library.objects.filter(pk__in=needed).exclude(pk__in=plain).order_by("name")
    return [*brought, *pools]


def presets_get(
    pools: Iterable[DeviceLibrary],
    joined: Mapping[Key, SaFunction],
    *,
    left_out: Sequence[SaFunction] = (),
) -> tuple[Df, ...]:
    """The features that device libraries know, stacked up: per name and type the later one's.

    A feature that a library knows but never set up takes nothing from an earlier one's. Features
    use the functions that count (``joined``), and none that is left out.
    """
    found: dict[tuple[str, tree.DfType], Df] = {}
    for pool in pools:
        features = pool.devicelibrarydf_set.select_related("df_type").prefetch_related(
            Prefetch(
                "devicelibrarydfhassafunction_set",
                DeviceLibraryDfHasSaFunction.objects.select_related("function").order_by("pk"),
            )
        )
        for row in features.order_by("pk"):
            df_type = plain_type(row.df_type)
            uses: dict[int, Use] = {}
            for use in row.devicelibrarydfhassafunction_set.all():
                function = joined.get(key(use.function), use.function)
                same = uses.get(function.pk)
                if function in left_out:
                    continue
                # Of the namesakes' two set-ups that of the function which counts.
                if same is None or use.function_id == function.pk:
                    setup = use.var_setup
                else:
                    setup = same.var_setup
                selected = use.selected or (same is not None and same.selected)
                uses[function.pk] = Use(function.pk, setup, selected)
            if uses or (row.name, df_type) not in found:
                found[row.name, df_type] = Df(
                    name=row.name, df_type=df_type, uses=tuple(uses.values())
                )
    return tuple(found.values())


def globals_get(*, device: Device) -> tree.GlobalVariables:
    """The global variables of a device."""
    return tree.GlobalVariables(device.global_var_setup, tuple(device.gvs_readonly_lines))
