"""Joining functions: of two with the same type and name the newer counts (the seed)."""

from collections.abc import Iterable

from gridtalk.devicetalk.models import DeviceLibrary, SaFunction

#: What two functions must have in common for one of them to count alone: type and name.
Key = tuple[int, str]


def key(function: SaFunction) -> Key:
    """The function's type and name."""
    return function.function_type_id, function.name


def functions_join(*groups: Iterable[SaFunction]) -> dict[Key, SaFunction]:
    """The union of the groups; of two with one key the newer, else the one given later."""
    joined: dict[Key, SaFunction] = {}
    for group in groups:
        for function in group:
            other = joined.get(key(function))
            if other is None or function.updated_at >= other.updated_at:
                joined[key(function)] = function
    return joined


def libraries_needed(libraries: Iterable[int], pools: Iterable[DeviceLibrary]) -> set[int]:
    """The libraries chosen and those that the chosen device libraries depend on, by id."""
    found = set(libraries)
    for pool in pools:
        found.update(pool.dependency_library.values_list("pk", flat=True))
    return found
