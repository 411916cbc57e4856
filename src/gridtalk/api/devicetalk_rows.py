"""Functions and versions as the API gives them."""

from collections.abc import Mapping
from typing import Any, TypeVar

from gridtalk.core.errors import NotFound
from gridtalk.devicetalk import engine, tree
from gridtalk.devicetalk.models import LibraryFunction, SaFunction, VersionBase

_Version = TypeVar("_Version", bound=VersionBase)


def library_function_out(row: LibraryFunction) -> dict[str, Any]:
    """An example function of a library."""
    loaded = engine.library_function_load(row)
    return {
        "id": row.pk,
        "name": row.name,
        "library": loaded.library,
        "fields": dict(loaded.fields),
    }


def new_function_out(function: tree.SaFunction) -> dict[str, Any]:
    """A function that is not stored, or what a stored one holds."""
    ref = function.library_ref
    return {
        "name": function.name,
        "type": function.df_type.direction,
        "params": function.df_type.params,
        "code": function.code,
        "readonly_lines": function.readonly_lines,
        "var_setup": function.var_setup,
        "library_ref": {"library": ref[0], "function": ref[1]} if ref else None,
    }


def function_out(row: SaFunction) -> dict[str, Any]:
    """A stored function."""
    return {
        **new_function_out(engine.function_load(row)),
        "id": row.pk,
        "updated_at": row.updated_at,
    }


def version_of(rows: Mapping[int, _Version], number: int) -> _Version:
    """The version of that number; :class:`NotFound` where there is none."""
    if number not in rows:
        raise NotFound(f"there is no version {number}; the newest is {max(rows, default=0)}")
    return rows[number]
