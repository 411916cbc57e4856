"""What several chosen libraries bring together. Pure.

Source: ``spec/devicetalk.md``, sections 5 and 7. Libraries are given in the order of choice; the
later chosen is the larger.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gridtalk.devicetalk.tree import (
    Feature,
    GlobalVariables,
    InvalidTree,
    Library,
    Problem,
    SaFunction,
    Tree,
)

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Merged:
    """Functions that count, and those left out because a library that they need is not chosen."""

    functions: tuple[SaFunction, ...]
    left_out: tuple[SaFunction, ...]


def globals_merge(present: GlobalVariables, libraries: Sequence[Library]) -> GlobalVariables:
    """Add the libraries' global variables, one block each, in the order of choice.

    Blocks with read-only lines come before the others, and before what the user wrote; a block that
    is there already, line for line, is not repeated. (Blocks, because to drop single repeated lines
    breaks C++: its second ``}`` would vanish.)
    """
    new: list[GlobalVariables] = []
    seen: set[str] = set()
    have = present.text.split("\n") if present.text else []
    for library in libraries:
        block = library.global_variables
        if block.text and block.text not in seen and not _holds(have, block.text.split("\n")):
            new.append(block)
        seen.add(block.text)
    first = [block for block in new if block.readonly_lines]
    rest = [block for block in new if not block.readonly_lines]
    # What is there keeps its place behind the read-only lines that begin it, if any.
    return _joined([*first, present, *rest])


def _holds(lines: Sequence[str], block: Sequence[str]) -> bool:
    """Whether the block stands in the lines, whole and in one piece."""
    size = len(block)
    return any(lines[i : i + size] == block for i in range(len(lines) - size + 1))


def _joined(blocks: Iterable[GlobalVariables]) -> GlobalVariables:
    lines: list[str] = []
    readonly: list[int] = []
    for block in blocks:
        if not block.text:
            continue
        readonly += [len(lines) + number for number in block.readonly_lines]
        lines += block.text.split("\n")
    return GlobalVariables("\n".join(lines), tuple(readonly))


def functions_merge(*groups: Iterable[SaFunction]) -> tuple[SaFunction, ...]:
    """The union; of two with the same DF type and name the newer counts, else the later given."""
    chosen: dict[tuple[object, str], SaFunction] = {}
    for group in groups:
        for function in group:
            key = (function.df_type, function.name)
            other = chosen.get(key)
            if other is None or _time(function) >= _time(other):
                chosen[key] = function
    return tuple(chosen.values())


def _time(function: SaFunction) -> datetime:
    return function.updated_at or _NEVER


def functions_choose(
    own: Iterable[SaFunction], libraries: Sequence[Library], library_names: Iterable[str]
) -> Merged:
    """The functions of a device: its own, and those of its chosen device libraries, flattened.

    ``library_names`` are the chosen plain libraries with those that chosen device libraries bring;
    a function that refers to another library is left out.
    """
    known = set(library_names)
    merged = functions_merge(own, *(library.functions for library in libraries))
    good: list[SaFunction] = []
    left_out: list[SaFunction] = []
    for function in merged:
        missing = function.library_ref is not None and function.library_ref[0] not in known
        (left_out if missing else good).append(function)
    return Merged(tuple(good), tuple(left_out))


def presets_merge(*groups: Iterable[Feature]) -> tuple[Feature, ...]:
    """DF presets stacked up: per DF (name and type) the later given wins, in the first's place."""
    chosen: dict[tuple[object, str], Feature] = {}
    for group in groups:
        for feature in group:
            chosen[feature.df_type, feature.name] = feature
    return tuple(chosen.values())


def dependencies(libraries: Iterable[Library]) -> tuple[str, ...]:
    """The plain libraries that these bring: themselves, and what device libraries depend on."""
    names: dict[str, None] = {}
    for library in libraries:
        names.update(dict.fromkeys(library.depends_on if library.is_device_library else ()))
        if not library.is_device_library:
            names[library.name] = None
    return tuple(names)


def files_merge(libraries: Iterable[Library]) -> Tree:
    """The files of all libraries, by their paths under ``lib.root``.

    Raises :class:`InvalidTree` where two libraries hold the same path with another content.
    """
    files: dict[str, bytes] = {}
    owners: dict[str, str] = {}
    problems = []
    for library in libraries:
        for path, content in library.files.items():
            if files.get(path, content) != content:
                cause = (
                    f"the libraries {owners[path]!r} and {library.name!r} both bring it, and differ"
                )
                problems.append(Problem(path, cause))
            files[path] = content
            owners[path] = library.name
    if problems:
        raise InvalidTree("The libraries do not fit together:", tuple(problems))
    return files
