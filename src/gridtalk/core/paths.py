"""Which paths a file may have within its folder, on every system that unpacks our zips. Pure."""

import re
import unicodedata
from collections.abc import Iterable

#: Names that Windows keeps for its devices, whatever comes after a dot.
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?")
_FORBIDDEN = frozenset(':*?"<>|')
_DRIVE = re.compile(r"[A-Za-z]:")
# Nearly all paths are of such parts, which need no closer look. The lookahead keeps out whatever
# may be a device of Windows.
_PART = r"(?!(?i:con|prn|aux|nul|com|lpt))[A-Za-z0-9_{}-](?:[A-Za-z0-9_.{} -]*[A-Za-z0-9_{}-])?"
_PLAIN = re.compile(f"{_PART}(?:/{_PART})*")


def path_fault(path: str, *, longest: int) -> str | None:
    """Why that path is refused, as a clause that says how to mend it; None where it is good.

    A path is relative, of names with ``/`` between them, at most ``longest`` characters, and means
    the same on every system: no ``..``, no drive, no backslash, no control character.
    """
    if not path:
        return "a file has no name"
    if len(path) > longest:
        return f"it is longer than {longest} characters; shorten its folders' names"
    if _PLAIN.fullmatch(path):
        return None
    if path.startswith("/") or _DRIVE.match(path):
        return "it is an absolute path; give it within its folder"
    return _character_fault(path) or next(filter(None, map(_part_fault, path.split("/"))), None)


def _character_fault(path: str) -> str | None:
    for character in path:
        if character == "\\":
            return "it has a backslash; write folders with /"
        if character in _FORBIDDEN:
            return f"it has {character!r}, which not every system can store; rename the file"
        if unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}:
            return f"it has {character!a}, which cannot be printed; rename the file"
    return None


def _part_fault(part: str) -> str | None:
    if part in {"", "."}:
        return "it has an empty folder name; write it without //, ./ or a / at the end"
    if part == "..":
        return "it leads out of its folder; write it without .."
    if part != part.strip() or part.endswith("."):
        return "it has a name that begins or ends with a space, or ends with a dot; rename it"
    if RESERVED.fullmatch(part):
        return "it has a name that Windows keeps for a device; rename it"
    return None


def paths_clashes(paths: Iterable[str]) -> list[tuple[str, str]]:
    """The paths of one folder that could not be unpacked together, each with the reason.

    Two paths that differ in case alone are one file on some systems, and no file is a folder too.
    """
    found = []
    files: dict[str, str] = {}
    for path in sorted(paths):
        key = path.lower() if path.isascii() else unicodedata.normalize("NFC", path).casefold()
        if key in files:
            found.append((path, f"is the same file as {files[key]} on systems which ignore case"))
        files.setdefault(key, path)
    folders: set[str] = set()
    for key, path in files.items():
        folder = key.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            if folder in files:
                found.append((path, f"lies in {files[folder]}, which is itself a file"))
            folder = folder.rpartition("/")[0]
    return found
