"""What is wrong with the paths of an upload, as sentences that name them. Pure."""

from collections.abc import Iterable

from gridtalk.core.paths import path_fault, paths_clashes

_SHOWN = 60


def path_problem(path: str, *, longest: int) -> str:
    """What is wrong with a path, as a sentence that names it; empty where nothing is."""
    fault = path_fault(path, longest=longest)
    if fault is None or not path:
        return fault or ""
    return f"{_shown(path)}: {fault}"


def paths_problems(paths: Iterable[str], *, longest: int) -> list[str]:
    """All that is wrong with the paths of one folder: each for itself, and all together."""
    given = list(paths)
    found = [problem for path in given if (problem := path_problem(path, longest=longest))]
    return found + [f"{_shown(path)} {cause}" for path, cause in paths_clashes(given)]


def _shown(path: str) -> str:
    return repr(path[:_SHOWN] + ("…" if len(path) > _SHOWN else ""))
