"""Which paths and names may stand in a tree, as problems of it. Pure."""

import hashlib
import unicodedata

from gridtalk.core import paths
from gridtalk.devicetalk.tree import LIMITS, InvalidTree, Limits, Problem, Tree

#: A file system's limit for one name, in bytes, less what we append (``_library``, ``.ino``).
_NAME_BYTES = 200


def path_fault(path: str, limits: Limits = LIMITS) -> str | None:
    """Why that relative path is refused, or None where it is good."""
    return paths.path_fault(path, longest=limits.path_characters)


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
    return [Problem(path, cause) for path, cause in paths.paths_clashes(tree)]


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
    if not safe.isidentifier() or paths.RESERVED.fullmatch(safe):
        safe = f"_{safe}"
    if len(encoded := safe.encode()) > _NAME_BYTES:
        digest = hashlib.sha256(encoded).hexdigest()[:8]
        safe = f"{encoded[: _NAME_BYTES - 9].decode(errors='ignore')}_{digest}"
    return safe
