"""Which paths a file may have within its owner. Pure."""

import re
import unicodedata
from collections.abc import Iterable

#: Names that Windows keeps for devices; a zip with one could not be unpacked there.
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
_FORBIDDEN = '<>:"|?*'
_SHOWN = 60


def path_problem(path: str, *, longest: int) -> str:
    """What is wrong with a path, as a sentence that names it; empty where nothing is.

    A path is relative, of names with ``/`` between them, at most ``longest`` characters, and means
    the same on every system: no ``..``, no drive, no backslash, no control character.
    """
    shown = repr(path[:_SHOWN] + ("…" if len(path) > _SHOWN else ""))
    if not path:
        return "a file has no name"
    if len(path) > longest:
        return f"{shown} is longer than {longest} characters; shorten its folders' names"
    if "\\" in path:
        return f"{shown} has a backslash; write folders with /"
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in path):
        return f"{shown} has a character that cannot be printed; rename the file"
    if path.startswith("/") or re.match(r"[A-Za-z]:", path):
        return f"{shown} is an absolute path; give it within the uploaded folder"
    return next(filter(None, (_part_problem(part, shown) for part in path.split("/"))), "")


def _part_problem(part: str, shown: str) -> str:
    if part in {"", "."}:
        return f"{shown} has an empty folder name; write it without //, ./ or a / at the end"
    if part == "..":
        return f"{shown} leads out of the uploaded folder; write it without .."
    if any(character in _FORBIDDEN for character in part):
        return f"{shown} has one of {_FORBIDDEN}; rename the file"
    if part != part.strip() or part.endswith("."):
        return f"{shown} has a name that begins or ends with a space or ends with a dot; rename it"
    if _DEVICES.fullmatch(part):
        return f"{shown} has a name that Windows keeps for a device; rename it"
    return ""


def paths_problems(paths: Iterable[str], *, longest: int) -> list[str]:
    """All that is wrong with the paths of one folder: each for itself, and all together.

    Two paths that differ in case alone, or a file in the place of a folder, could not be unpacked.
    """
    given = list(paths)
    found = [problem for path in given if (problem := path_problem(path, longest=longest))]
    seen: dict[str, str] = {}
    for path in given:
        folded = unicodedata.normalize("NFC", path).casefold()
        if folded in seen:
            found.append(f"{path!r} and {seen[folded]!r} are the same file")
        seen[folded] = path
    for folded, path in seen.items():
        parts = folded.split("/")
        for end in range(1, len(parts)):
            folder = "/".join(parts[:end])
            if folder in seen:
                found.append(f"{seen[folder]!r} is a file and the folder of {path!r}")
                break
    return found
