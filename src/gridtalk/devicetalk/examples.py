"""Libraries as they are uploaded: their code, example functions and global variables. Pure.

Source: ``spec/devicetalk.md``, section 4. Layout, with the library's own name on both levels::

    <lib>/<lib>/…           the code; kept as <lib>/… under lib.root in the zip
    <lib>/<example-dir>/…   one file for each example function; gvs.* for global variables
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from gridtalk.devicetalk.tree import (
    LIMITS,
    SECTIONS,
    GlobalVariables,
    InvalidTree,
    Library,
    LibraryFunction,
    Limits,
    Problem,
    Tree,
)
from gridtalk.devicetalk.tree_paths import tree_problems

_MARKER = re.compile(r"(?:#|//) \*\*\*\[([^\]]*)\]\*\*\*")
GLOBALS = "gvs"
GLOBALS_SECTIONS = ("gvs", "gvsro")
#: The columns that hold these names.
FUNCTION_NAME_CHARACTERS = 100
LIBRARY_NAME_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class ParsedLibrary:
    """A library that is taken, and notes on what was in it but is not used."""

    library: Library
    notes: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """The text between two markers, without its last line breaks; ``line`` (from 1) opens it."""

    text: str
    line: int


def sections_parse(
    path: str, text: str, known: tuple[str, ...]
) -> tuple[dict[str, Section], list[Problem]]:
    """Split an example into its sections; unknown and repeated ones are reported, and not taken.

    A line that starts ``# ***[section]***`` or ``// ***[section]***`` opens a section; what comes
    before the first is ignored. Lines end in ``\\n`` in the result, however they ended.
    """
    found: dict[str, Section] = {}
    notes: list[Problem] = []
    name, start, lines = "", 0, list[str]()

    def close() -> None:
        if not start:
            return
        if name not in known:
            cause = f"the section {name!r} is not known; known are {', '.join(known)}"
            notes.append(Problem(path, cause, start))
        elif name in found:
            cause = (
                f"the section {name!r} is there twice (line {found[name].line}); the first counts"
            )
            notes.append(Problem(path, cause, start))
        else:
            found[name] = Section("\n".join(lines).rstrip("\n"), start)

    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if marker := _MARKER.match(line):
            close()
            name, start, lines = marker[1].strip(), number, []
        else:
            lines.append(line)
    close()
    return found, notes


def library_read(
    *,
    tree: Tree,
    example_dir: str,
    limits: Limits = LIMITS,
    sections: tuple[str, ...] = SECTIONS,
) -> ParsedLibrary:
    """Read an uploaded library folder, whose name is the first part of every path.

    Raises :class:`InvalidTree` with everything that is wrong. Files that are not UTF-8 are kept but
    not parsed; those among the examples, and unknown sections, are in the notes.
    """
    problems = tree_problems(tree, limits)
    names = sorted({path.partition("/")[0] for path in tree})
    if len(names) != 1:
        cause = f"one folder is awaited, there are {len(names)}: {', '.join(names) or 'none'}"
        raise InvalidTree("The library is refused:", (*problems, Problem("", cause)))
    [name] = names
    if len(name) > LIBRARY_NAME_CHARACTERS:
        cause = f"its name is longer than {LIBRARY_NAME_CHARACTERS} characters"
        problems.append(Problem(name[:40], cause))
    if name == example_dir:
        problems.append(Problem(name, "a library cannot be called as its folder of examples is"))
    code = f"{name}/{name}/"
    examples = f"{name}/{example_dir}/"
    files = {path.removeprefix(f"{name}/"): tree[path] for path in tree if path.startswith(code)}
    for path in tree:
        if not path.startswith((code, examples)):
            cause = f"it lies neither in {code} (code) nor in {examples} (examples)"
            problems.append(Problem(path, cause))
    reader = _Examples(name, sections)
    for path in sorted(path for path in tree if path.startswith(examples)):
        reader.read(path, tree[path])
    if not files and not reader.functions:
        problems.append(
            Problem(name, f"it holds neither code in {code} nor functions in {examples}")
        )
    problems += reader.problems
    if problems:
        raise InvalidTree(f"The library {name!r} is refused:", tuple(problems))
    library = Library(
        name=name,
        files=files,
        global_variables=reader.global_variables,
        library_functions=tuple(function for _, function in reader.functions.values()),
    )
    return ParsedLibrary(library, tuple(reader.notes))


class _Examples:
    """Collects a library's examples file by file."""

    def __init__(self, library: str, sections: tuple[str, ...]) -> None:
        self.library = library
        self.sections = sections
        self.functions: dict[str, tuple[str, LibraryFunction]] = {}
        self.global_variables = GlobalVariables()
        self.globals_path = ""
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []

    def read(self, path: str, content: bytes) -> None:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = "\0"
        if "\0" in text:
            self.notes.append(Problem(path, "it is not UTF-8 text, so no function is made from it"))
            return
        name = path.rpartition("/")[2].partition(".")[0]
        if name == GLOBALS:
            self._globals(path, text)
        elif not name or len(name) > FUNCTION_NAME_CHARACTERS:
            cause = (
                f"its name up to the first dot must have 1 to {FUNCTION_NAME_CHARACTERS} characters"
            )
            self.problems.append(Problem(path, cause))
        elif name in self.functions:
            cause = f"it makes the same function {name!r} as {self.functions[name][0]}"
            self.problems.append(Problem(path, cause))
        else:
            found, notes = sections_parse(path, text, self.sections)
            self.notes += notes
            if not found:
                self.notes.append(Problem(path, "it has no section, so its function is empty"))
            fields = {section: _text(found, section) for section in self.sections}
            self.functions[name] = (path, LibraryFunction(self.library, name, fields))

    def _globals(self, path: str, text: str) -> None:
        if self.globals_path:
            cause = f"global variables are in {self.globals_path} already"
            self.problems.append(Problem(path, cause))
            return
        self.globals_path = path
        found, notes = sections_parse(path, text, GLOBALS_SECTIONS)
        self.notes += notes
        content = _text(found, "gvs")
        lines: tuple[int, ...] = ()
        if "gvsro" in found:
            last = content.count("\n") if content else -1
            try:
                lines = readonly_parse(found["gvsro"].text, last)
            except ValueError as error:
                self.problems.append(Problem(path, f"section gvsro: {error}", found["gvsro"].line))
        self.global_variables = GlobalVariables(content, lines)


def _text(found: Mapping[str, Section], section: str) -> str:
    return found[section].text if section in found else ""


def readonly_parse(text: str, last: int) -> tuple[int, ...]:
    """A ``gvsro`` section: a JSON list of 0-based line numbers up to ``last``, sorted.

    Raises ValueError, saying what is awaited. In a ``#`` or ``//`` comment it may stand as well.
    """
    plain = re.sub(r"(?m)^(?:#|//)\s*", "", text).strip()
    try:
        numbers = json.loads(plain or "[]")
    except (ValueError, RecursionError):
        numbers = None
    if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
        raise ValueError("a JSON list of line numbers counted from 0 is awaited, e.g. [0, 1]")
    if outside := sorted({n for n in numbers if not 0 <= n <= last}):
        raise ValueError(f"no such lines: {outside}; the text has lines 0 to {last}")
    return tuple(sorted(set(numbers)))
