"""The section ``[check]`` of a basic file's ``config.ini``: how its devices are checked. Pure.

All of it is optional::

    [check]
    command = cxx                     ; python, cxx, avr or none; without it: by the SA files' names
    files = sa.cpp, iottalk.cpp       ; cxx, avr: what is compiled; without it: SA files in C++
    flags = -std=c++17 -Wall -Werror  ; the compiler's, from a list of harmless kinds
    board = mega                      ; avr: uno (as without it) or mega
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gridtalk.devicetalk.tree_paths import path_fault

SECTION = "check"
Command = Literal["python", "cxx", "avr", "none"]
COMMANDS: Mapping[str, Command] = {"python": "python", "cxx": "cxx", "avr": "avr", "none": "none"}
#: By the ending of the first SA file that has one of these.
BY_ENDING: Mapping[str, Command] = {
    ".py": "python",
    ".cpp": "cxx",
    ".cc": "cxx",
    ".cxx": "cxx",
    ".ino": "avr",
}
SOURCES = (".cpp", ".cc", ".cxx", ".ino")
CXX_FLAGS = ("-std=c++17", "-Wall", "-Wextra")
BOARDS = ("uno", "mega")
#: No flag that loads a program (-fplugin), passes things on (-Wl,), or leads out of the project.
_FLAG = re.compile(
    r"-std=[a-z0-9+]+|-W[a-z][a-z0-9=+-]*|-w|-O[0-3sg]?|-pthread"
    r"|-D[A-Za-z_]\w*(=[\w.+-]*)?|-f(?!plugin|dump|profile|pch)[a-z0-9-]+"
)
_INCLUDE = re.compile(r"-I(\.|[\w./-]+)")


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """How a device of this basic file is checked.

    ``command`` is None where nothing says how; ``files`` (of C++) are paths of the tree,
    placeholders kept; empty ``flags`` are our own.
    """

    command: Command | None = None
    files: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    board: str = "uno"


def options_read(section: Mapping[str, str], sa: Sequence[str]) -> tuple[CheckOptions, list[str]]:
    """The options of that section, and all that is wrong with them."""
    problems: list[str] = []
    unknown = sorted(section.keys() - {"command", "files", "flags", "board"})
    problems += [f"the option {name!r} of section [{SECTION}] is not known" for name in unknown]
    command = _by_ending(sa)
    given = section.get("command", "")
    if given in COMMANDS:
        command = COMMANDS[given]
    elif given:
        problems.append(f"command = {given}: it is one of {', '.join(COMMANDS)}")
    flags = tuple(section.get("flags", "").split())
    problems += [f"flags: {flag} is not allowed here" for flag in flags if not _allowed(flag)]
    board = section.get("board", BOARDS[0])
    if board not in BOARDS:
        problems.append(f"board = {board}: it is {' or '.join(BOARDS)}")
    files = tuple(x.strip() for x in re.split(r"[,\n]", section.get("files", "")) if x.strip())
    files = files or tuple(path for path in sa if path.endswith(SOURCES))
    if command in {"cxx", "avr"} and not files:
        problems.append(f"command = {command}: no SA file is C++; name some in 'files'")
    return CheckOptions(command, files, flags, board), problems


def _by_ending(sa: Sequence[str]) -> Command | None:
    for path in sa:
        for ending, command in BY_ENDING.items():
            if path.endswith(ending):
                return command
    return None


def _allowed(flag: str) -> bool:
    if _FLAG.fullmatch(flag):
        return True
    include = _INCLUDE.fullmatch(flag)
    return include is not None and (include[1] == "." or path_fault(include[1].rstrip("/")) is None)
