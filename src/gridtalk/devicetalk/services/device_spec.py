"""A device as it is handed in to be saved, and all that can be wrong with it."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
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
from gridtalk.devicetalk.tree import DfType as PlainType
from gridtalk.devicetalk.tree import Direction

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
        libraries=tuple(
            Chosen("L", row.library_id)
            if row.library_id is not None
            else Chosen("D", row.device_library_id or 0)
            for row in device.devicehaslibrary_set.order_by("order")
        ),
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


def readonly_problems(spec: DeviceSpec, libraries: Sequence[Library | DeviceLibrary]) -> list[str]:
    """The libraries' read-only global variables that the device changed or lacks."""
    lines = spec.global_var_setup.split("\n")
    numbers = sorted(set(spec.gvs_readonly_lines))
    # Those beyond the end are a problem of their own (plain_problems).
    given = [lines[number] for number in numbers if 0 <= number < len(lines)]
    found = []
    for library in libraries:
        theirs = library.global_var_setup.split("\n")
        rest = iter(given)
        for number in library.gvs_readonly_lines:
            if theirs[number] not in rest:
                found.append(
                    f"the global variables lack the read-only line “{theirs[number].strip()[:80]}” "
                    f"of {library.name}; put it back, or choose the library anew"
                )
                break
    return found
