"""Which paths and names may stand in a tree, on every system that unpacks our zips. Pure."""

import hashlib
import re
import unicodedata

from gridtalk.devicetalk.tree import LIMITS, InvalidTree, Limits, Problem, Tree

# Names that Windows keeps for its devices, whatever comes after a dot.
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?")
_FORBIDDEN = frozenset('\\:*?"<>|')
# Most paths have only these characters, none of which needs a closer look.
_PLAIN = re.compile(r"[A-Za-z0-9_./{} -]+")
#: A file system's limit for one name, in bytes, less what we append (``_library``, ``.ino``).
_NAME_BYTES = 200


def path_fault(path: str, limits: Limits = LIMITS) -> str | None:
    """Why that relative path is refused, or None where it is good."""
    if not path:
        return "a path is empty"
    if len(path) > limits.path_characters:
        return f"the path is longer than {limits.path_characters} characters"
    if path.startswith("/"):
        return "the path is absolute; it must be relative to its folder"
    for character in "" if _PLAIN.fullmatch(path) else path:
        if character in _FORBIDDEN:
            return f"the path holds {character!r}, which not every system can store"
        if unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}:
            return f"the path holds the unprintable character {character!a}"
    for part in path.split("/"):
        if part in {"", ".", ".."}:
            return f"the path has a part {part!r}; it must stay inside its folder"
        if part[-1] in ". ":
            return f"{part!r} ends in a dot or a space, which not every system can store"
        if _RESERVED.fullmatch(part):
            return f"{part!r} is a device's name on Windows"
    return None


def tree_problems(tree: Tree, limits: Limits = LIMITS) -> list[Problem]:
    """All that is wrong with a tree's paths, sizes and number of files."""
    problems = []
    if len(tree) > limits.files:
        problems.append(Problem("", f"{len(tree)} files; at most {limits.files} are taken"))
    total = sum(map(len, tree.values()))
    if total > limits.total_bytes:
        problems.append(
            Problem("", f"{total} bytes in all; at most {limits.total_bytes} are taken")
        )
    for path, content in tree.items():
        if fault := path_fault(path, limits):
            problems.append(Problem(path, fault))
        if len(content) > limits.file_bytes:
            cause = f"{len(content)} bytes; at most {limits.file_bytes} are taken"
            problems.append(Problem(path, cause))
    return problems + clash_problems(tree)


def clash_problems(tree: Tree) -> list[Problem]:
    """Paths that are one file on a system which ignores case, and files that are folders too."""
    problems = []
    files: dict[str, str] = {}
    for path in sorted(tree):
        key = path.lower() if path.isascii() else unicodedata.normalize("NFC", path).casefold()
        if key in files:
            cause = f"is the same file as {files[key]} on systems which ignore case"
            problems.append(Problem(path, cause))
        files.setdefault(key, path)
    folders: set[str] = set()
    for key, path in files.items():
        folder = key.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            if folder in files:
                cause = f"lies in {files[folder]}, which is itself a file"
                problems.append(Problem(path, cause))
            folder = folder.rpartition("/")[0]
    return problems


def tree_check(title: str, tree: Tree, limits: Limits = LIMITS) -> None:
    """Raise :class:`InvalidTree` with all that is wrong with a tree's paths and sizes."""
    if problems := tree_problems(tree, limits):
        raise InvalidTree(title, tuple(problems))


def safe_name(name: str) -> str:
    """A device's name as a folder and part of an identifier: letters, digits and ``_``.

    Letters of any script stay (they may stand in Python's and C++'s names), in the form NFKC, since
    Python looks modules up in it. A name too long for a file system is cut and gets a check sum.
    """
    text = unicodedata.normalize("NFKC", name)
    safe = "".join(c if f"a{c}".isidentifier() else "_" for c in text) or "_"
    if not safe.isidentifier() or _RESERVED.fullmatch(safe):
        safe = f"_{safe}"
    if len(encoded := safe.encode()) > _NAME_BYTES:
        digest = hashlib.sha256(encoded).hexdigest()[:8]
        safe = f"{encoded[: _NAME_BYTES - 9].decode(errors='ignore')}_{digest}"
    return safe
