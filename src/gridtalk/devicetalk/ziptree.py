"""A tree as a zip, the same bytes for the same tree; and trees from and into folders. Pure.

Entries are stored, not deflated: what a deflater makes depends on its version.
"""

import io
import stat
import zipfile
from collections.abc import Iterable
from pathlib import Path

from gridtalk.devicetalk.tree import LIMITS, InvalidTree, Limits, Problem, Tree
from gridtalk.devicetalk.tree_paths import clash_problems, path_fault

#: The earliest time that a zip can hold.
_TIME = (1980, 1, 1, 0, 0, 0)
_FILE = (stat.S_IFREG | 0o644) << 16
_PROGRAM = (stat.S_IFREG | 0o755) << 16
_UNIX = 3
#: Longer than in an upload: the folder of the device and of the libraries come before.
_ZIP_LIMITS = Limits(path_characters=1000)


def zip_make(files: Tree, folder: str = "") -> bytes:
    """The zip of a tree, its paths below ``folder``; scripts (``#!``) may be executed.

    Raises :class:`InvalidTree` with every path that could leave the folder when it is unpacked, or
    that two systems would unpack differently.
    """
    prefix = f"{folder}/" if folder else ""
    entries = {prefix + path: content for path, content in files.items()}
    if problems := _path_problems(entries):
        raise InvalidTree("These files cannot be packed:", tuple(problems))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(entries):
            entry = zipfile.ZipInfo(path, _TIME)
            entry.create_system = _UNIX
            entry.external_attr = _PROGRAM if entries[path].startswith(b"#!") else _FILE
            archive.writestr(entry, entries[path])
    return out.getvalue()


def folder_read(folder: Path, limits: Limits = LIMITS, *, ignore: Iterable[str] = ()) -> Tree:
    """The files of a folder as a tree; ``ignore`` are names of files and folders to pass over.

    Raises :class:`InvalidTree` naming links, special files and what is beyond the limits. A file
    that is too large is not read.
    """
    if not folder.is_dir():
        raise InvalidTree("The folder cannot be read:", (Problem(str(folder), "no such folder"),))
    tree: dict[str, bytes] = {}
    problems: list[Problem] = []
    waiting = [folder]
    skipped = frozenset(ignore)
    while waiting and len(tree) <= limits.files:
        for item in sorted(waiting.pop().iterdir()):
            path = item.relative_to(folder).as_posix()
            if item.name in skipped:
                continue
            mode = item.lstat().st_mode
            if stat.S_ISLNK(mode):
                problems.append(Problem(path, "it is a link; only files are taken"))
            elif stat.S_ISDIR(mode):
                waiting.append(item)
            elif not stat.S_ISREG(mode):
                problems.append(Problem(path, "it is neither a file nor a folder"))
            elif item.lstat().st_size > limits.file_bytes:
                problems.append(Problem(path, f"it is larger than {limits.file_bytes} bytes"))
            else:
                tree[path] = item.read_bytes()
    if len(tree) > limits.files:
        problems.append(Problem("", f"it holds more than {limits.files} files"))
    if problems:
        raise InvalidTree(f"The folder {folder.name!r} is refused:", tuple(problems))
    return dict(sorted(tree.items()))


def folder_write(files: Tree, folder: Path) -> None:
    """Write a tree into a folder, which must be new or empty; scripts may be executed.

    Raises :class:`InvalidTree` where it is not empty, cannot be written, or a path could leave it.
    """
    problems = _path_problems(files)
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        problems.append(Problem(str(folder), "it is there already, and is no folder"))
    elif folder.exists() and any(folder.iterdir()):
        problems.append(Problem(str(folder), "the folder is not empty; name a new one"))
    _write(files, folder, problems)


def files_write(files: Tree, folder: Path) -> None:
    """Write a tree over what lies in a folder of our own, of which the rest stays.

    As :func:`folder_write`, but links that lie there are followed. Raises :class:`InvalidTree`
    where a path could leave the folder.
    """
    _write(files, folder, _path_problems(files))


def _path_problems(files: Tree) -> list[Problem]:
    faults = ((path, path_fault(path, _ZIP_LIMITS)) for path in files)
    return [Problem(path, fault) for path, fault in faults if fault] + clash_problems(files)


def _write(files: Tree, folder: Path, problems: list[Problem]) -> None:
    if problems:
        raise InvalidTree("The files cannot be written:", tuple(problems))
    for path in sorted(files):
        target = folder.joinpath(*path.split("/"))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(files[path])
            if files[path].startswith(b"#!"):
                target.chmod(0o755)
        except OSError as error:
            problem = Problem(str(target), error.strerror or "it cannot be written")
            raise InvalidTree("The files cannot be written:", (problem,)) from error


def file_replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: beside its place first, then under its name.

    Raises :class:`InvalidTree` where its folder cannot be written.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        problem = Problem(str(path), error.strerror or "it cannot be written")
        raise InvalidTree("The zip cannot be written:", (problem,)) from error
