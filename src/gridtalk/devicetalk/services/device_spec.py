"""A device as it is handed in to be saved, and all that can be wrong with it."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from gridtalk.core.texts import needs_care
from gridtalk.devicetalk.models import (
    BasicFile,
    Device,
    DeviceDfHasSaFunction,
    DeviceLibrary,
    DfType,
    Library,
)
from gridtalk.devicetalk.models_base import LIBRARY_SUFFIX, LONGEST_NAME
from gridtalk.devicetalk.rights import is_administrator, visible
from gridtalk.devicetalk.tree import DfType as PlainType
from gridtalk.devicetalk.tree import Direction
from gridtalk.users.models import User

#: The longest pause between two pushes, in seconds: a day.
LONGEST_PUSH_S = 86_400.0
#: The most characters of the global variables, and of a feature's variables.
LONGEST_TEXT = 200_000
LONGEST_DEVICE_NAME = LONGEST_NAME - len(LIBRARY_SUFFIX)


@dataclass(frozen=True)
class Chosen:
    """A library (``L``) or device library (``D``) by its id."""

    kind: Literal["L", "D"]
    id: int


@dataclass(frozen=True)
class Use:
    """That a feature can use a function; ``var_setup`` is its variable setup for this feature."""

    function_id: int
    var_setup: str = ""
    selected: bool = False


@dataclass(frozen=True)
class Df:
    """A feature with the functions that it can use."""

    name: str
    df_type: PlainType
    in_use: bool = True
    uses: tuple[Use, ...] = ()


@dataclass(frozen=True)
class DeviceSpec:
    """What :func:`gridtalk.devicetalk.services.devices.device_save` saves.

    ``libraries`` in the order of choice; ``functions`` are ids, those that features use included
    or not; an empty ``device_address`` keeps the present one, or makes a new UUID;
    ``push_interval_s`` in seconds.
    """

    name: str
    dm_name: str
    basic_file: BasicFile
    server_url: str
    dfs: tuple[Df, ...]
    libraries: tuple[Chosen, ...] = ()
    functions: tuple[int, ...] = ()
    global_var_setup: str = ""
    gvs_readonly_lines: tuple[int, ...] = ()
    device_address: str = ""
    push_interval_s: float = 1.0
    source_server: str = ""
    source_project: str = ""
    source_device_object: str = ""


def choice_of(row: Library | DeviceLibrary) -> Chosen:
    """A library or device library as it is chosen."""
    return Chosen("L" if isinstance(row, Library) else "D", row.pk)


def libraries_of(device: Device) -> list[Library | DeviceLibrary]:
    """The libraries that a stored device chose, in the order of choice."""
    rows = device.devicehaslibrary_set.select_related("library", "device_library")
    both = ((row.library, row.device_library) for row in rows.order_by("order"))
    return [found for pair in both for found in pair if found is not None]


def spec_of(device: Device) -> DeviceSpec:
    """A stored device as it would be handed in again."""
    rows = DeviceDfHasSaFunction.objects.filter(device_df__device=device).order_by("pk")
    uses: dict[int, list[Use]] = {}
    for row in rows:
        uses.setdefault(row.device_df_id, []).append(
            Use(row.function_id, row.var_setup, row.selected)
        )
    dfs = device.devicedf_set.select_related("df_type").order_by("pk")
    return DeviceSpec(
        name=device.name,
        dm_name=device.dm_name,
        basic_file=device.basic_file,
        server_url=device.server_url,
        dfs=tuple(
            Df(df.name, plain_type(df.df_type), df.in_use, tuple(uses.get(df.pk, ()))) for df in dfs
        ),
        libraries=tuple(choice_of(row) for row in libraries_of(device)),
        functions=tuple(device.functions.order_by("pk").values_list("pk", flat=True)),
        global_var_setup=device.global_var_setup,
        gvs_readonly_lines=tuple(device.gvs_readonly_lines),
        device_address=device.device_address,
        push_interval_s=device.push_interval,
        source_server=device.source_server,
        source_project=device.source_project,
        source_device_object=device.source_device_object,
    )


def plain_type(df_type: DfType) -> PlainType:
    """A stored type as a plain value."""
    direction: Direction = "idf" if df_type.df_type == DfType.Kind.IDF else "odf"
    return PlainType(direction, tuple(df_type.params))


def plain_problems(spec: DeviceSpec) -> list[str]:
    """All that is wrong with a device by itself, before anything is looked up."""
    found = [
        *_text_problems(spec),
        *_twice("feature", [f"{df.name} ({df.df_type.direction})" for df in spec.dfs]),
        *_twice("library", [f"{chosen.kind}{chosen.id}" for chosen in spec.libraries]),
    ]
    if not (math.isfinite(spec.push_interval_s) and 0 < spec.push_interval_s <= LONGEST_PUSH_S):
        found.append(f"the push interval is more than 0 and at most {LONGEST_PUSH_S:.0f} seconds")
    lines = spec.global_var_setup.split("\n") if spec.global_var_setup else []
    if any(not 0 <= number < len(lines) for number in spec.gvs_readonly_lines):
        found.append("the global variables have fewer lines than are said to be read-only")
    if not spec.dfs:
        found.append("it has no features; choose a device model")
    for df in spec.dfs:
        selected = [use for use in df.uses if use.selected]
        if len(selected) > 1:
            found.append(f"{df.name} has {len(selected)} selected functions; select one")
        elif df.in_use and not selected:
            found.append(f"{df.name} has no function; select one")
        found += _twice(f"function of {df.name}", [str(use.function_id) for use in df.uses])
    return found


def _text_problems(spec: DeviceSpec) -> list[str]:
    found = []
    for what, text, longest in (
        ("its name", spec.name, LONGEST_DEVICE_NAME),
        ("the device model's name", spec.dm_name, LONGEST_NAME),
        ("the server's address", spec.server_url, 255),
        ("the device's address", spec.device_address or "-", 50),
        ("the server of its import", spec.source_server or "-", 255),
        ("the project of its import", spec.source_project or "-", LONGEST_NAME),
        ("the device object of its import", spec.source_device_object or "-", LONGEST_NAME),
        *(("a feature's name", df.name, LONGEST_NAME) for df in spec.dfs),
    ):
        if not text.strip():
            found.append(f"{what} is missing")
        elif len(text) > longest:
            found.append(f"{what} has {len(text)} characters; at most {longest}")
        elif needs_care(text) or not text.isprintable():
            found.append(f"{what} has a character that cannot be printed")
    try:
        url = urlsplit(spec.server_url)
        good = url.scheme in {"http", "https"} and bool(url.hostname)
    except ValueError:
        good = False
    if spec.server_url.strip() and not good:
        found.append(f"{spec.server_url[:80]!r} is no server's address; begin it with http://")
    texts = [("the global variables have", spec.global_var_setup)]
    texts += [(f"the variables of {df.name} have", use.var_setup) for df in spec.dfs
              for use in df.uses]  # fmt: skip
    found += [f"{what} a NUL or half a character" for what, text in texts if needs_care(text)]
    found += [f"{what} more than {LONGEST_TEXT:,} characters" for what, text in texts
              if len(text) > LONGEST_TEXT]  # fmt: skip
    return found


def _twice(what: str, names: Iterable[str]) -> list[str]:
    counts = Counter(names)
    return [f"the {what} {name} is there twice" for name in sorted(counts) if counts[name] > 1]


@dataclass(frozen=True)
class Before:
    """What a device was saved with: its read-only global variables, and its libraries.

    ``libraries`` have their read-only lines as they are now: a library may change while devices
    that use it stay as they are.
    """

    readonly: tuple[str, ...]
    libraries: Mapping[Chosen, tuple[str, ...]]


def before_of(device: Device) -> Before:
    """What a stored device was saved with."""
    return Before(
        readonly=_readonly_texts(device.global_var_setup, device.gvs_readonly_lines),
        libraries={
            choice_of(row): _readonly_texts(row.global_var_setup, row.gvs_readonly_lines)
            for row in libraries_of(device)
        },
    )


def before_alike(user: User | None, spec: DeviceSpec) -> Before | None:
    """What a device which the user sees was saved with, where the new one is to have the same.

    So a copy of a device can be saved as that one is, though its libraries changed since.
    """
    if not spec.libraries or not spec.gvs_readonly_lines:
        return None
    rows = Device.objects.filter(
        basic_file=spec.basic_file,
        global_var_setup=spec.global_var_setup,
        gvs_readonly_lines=sorted(set(spec.gvs_readonly_lines)),
    )
    if not is_administrator(user):
        rows = rows.filter(visible(user))
    alike = map(before_of, rows.order_by("pk").iterator())
    return next((row for row in alike if {*row.libraries} == {*spec.libraries}), None)


def readonly_problems(
    spec: DeviceSpec,
    libraries: Sequence[Library | DeviceLibrary],
    before: Before | None = None,
) -> list[str]:
    """The libraries' read-only global variables that the device changed or lacks.

    Where a library changed since the device was saved (``before``), the lines of then may stay:
    those of now are asked for where it is chosen anew.
    """
    given = _readonly_texts(spec.global_var_setup, spec.gvs_readonly_lines)
    found = []
    for library in libraries:
        lacking = _lacking(given, library)
        if not lacking:
            continue
        how = "choose the library anew"
        if before and choice_of(library) in before.libraries and _lacking(before.readonly, library):
            lacking = _taken_out(given, before, spec.libraries)
            if not lacking:
                continue
            how = "take the library out, save, and choose it anew"
        found.append(
            f"the global variables lack the read-only line “{lacking[0].strip()[:80]}” of "
            f"{library.name}; put it back, or {how}"
        )
    return found


def _readonly_texts(text: str, numbers: Iterable[int]) -> tuple[str, ...]:
    lines = text.split("\n")
    # Those beyond the end are a problem of their own (plain_problems).
    return tuple(lines[number] for number in sorted(set(numbers)) if 0 <= number < len(lines))


def _lacking(given: Iterable[str], library: Library | DeviceLibrary) -> list[str]:
    """The library's read-only lines that are not given, from the first one that fails.

    A library's lines keep their order. In a device library's stand those of several libraries,
    which another choice brings in another order.
    """
    awaited = _readonly_texts(library.global_var_setup, library.gvs_readonly_lines)
    if isinstance(library, DeviceLibrary):
        return _missing(awaited, given)
    rest = iter(given)
    for number, line in enumerate(awaited):
        if line not in rest:
            return list(awaited[number:])
    return []


def _taken_out(given: Iterable[str], before: Before, chosen: Iterable[Chosen]) -> list[str]:
    """The read-only lines that went, though no library that brought them was taken out."""
    gone = {*before.libraries} - {*chosen}
    free = {line for one in gone for line in before.libraries[one]}
    return [line for line in _missing(before.readonly, given) if line not in free]


def _missing(awaited: Iterable[str], given: Iterable[str]) -> list[str]:
    return list((Counter(awaited) - Counter(given)).elements())
