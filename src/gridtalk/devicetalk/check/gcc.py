"""What g++ and avr-g++ print, read. Pure.

Source: GCC's manual, “Options to Control Diagnostic Messages Formatting” and ``-H``. Read line by
line: Debian's avr-gcc is version 5, which knows no JSON. Source lines must be off
(``-fno-diagnostics-show-caret``), or a user's text would stand among them.
"""

import posixpath
import re
from collections.abc import Collection

from gridtalk.devicetalk.check.messages import Diagnostic, Severity

_DIAGNOSTIC = re.compile(
    r"(?P<path>[^:\s][^:]*):(?P<line>\d+):(?:(?P<column>\d+):)? "
    r"(?P<kind>fatal error|error|sorry, unimplemented|internal compiler error|warning|note): "
    r"(?P<text>.*)"
)
#: A template of a library that was used in the user's line: “a.cpp:3:5:   required from here”.
_REQUIRED = re.compile(r"(?P<path>[^:]+):(?P<line>\d+):(?:(?P<column>\d+):)?\s+required (from|by)")
_INCLUDED = re.compile(r"(?:In file included|\s+) from (?P<path>[^:]+):(?P<line>\d+)")
#: -H: a file that was opened, a dot for each level.
_OPENED = re.compile(r"\.+ (?P<path>.+)")
_DRIVER = re.compile(r"[\w+.-]+: (?:fatal error|internal compiler error|error): (?P<text>.+)")
_SEVERITY: dict[str, Severity] = {"warning": "warning", "note": "note"}
#: How GCC and its driver tell that a limit of ours was reached.
_NO_MEMORY = re.compile(r"out of memory allocating|virtual memory exhausted|Cannot allocate memory")
_NO_TIME = re.compile(r"CPU time limit exceeded")


def diagnostics_read(output: str, files: Collection[str]) -> list[Diagnostic]:
    """The diagnostics in a compiler's output; those about other files are told of the line in
    ``files`` (paths of the project) from which they came, or of no line.
    """
    found: list[Diagnostic] = []
    required: Diagnostic | None = None
    included: Diagnostic | None = None
    for line in output.splitlines():
        if match := _DIAGNOSTIC.fullmatch(line):
            place = _place(match)
            severity = _SEVERITY.get(match["kind"], "error")
            if place.path not in files:
                # Remarks about files that nobody here can change, and notes to an error there.
                if severity != "error":
                    continue
                place = required or included or Diagnostic("error", "")
            found.append(Diagnostic(severity, match["text"], place.path, place.line, place.column))
            required = None if severity == "error" else required
        elif match := _REQUIRED.match(line):
            place = _place(match)
            required = place if place.path in files else required
        elif match := _INCLUDED.match(line):
            # From the inside out; said again only when it changes.
            place = _place(match)
            included = None if line.startswith("In file") else included
            included = included or (place if place.path in files else None)
        elif match := _DRIVER.fullmatch(line):
            found.append(Diagnostic("error", match["text"]))
    return found


def opened_read(output: str) -> tuple[str, ...]:
    """The files that the compiler opened, as ``-H`` lists them."""
    matches = (_OPENED.fullmatch(line) for line in output.splitlines())
    return tuple(posixpath.normpath(match["path"]) for match in matches if match)


def limit_reached(output: str) -> str:
    """``memory`` or ``time`` where the compiler stopped for want of it, else an empty text."""
    if _NO_TIME.search(output):
        return "time"
    return "memory" if _NO_MEMORY.search(output) else ""


def _place(match: re.Match[str]) -> Diagnostic:
    groups = match.groupdict()
    return Diagnostic(
        "error", "", posixpath.normpath(match["path"]), int(match["line"]),
        int(groups.get("column") or 0),
    )  # fmt: skip
