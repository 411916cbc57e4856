"""Pages of long tables: by key, never by counting.

``?before=ID`` shows what is older than a row, ``?after=ID`` what is newer. It costs the same on the
first page and on the ten-thousandth, and a row that arrives meanwhile shifts nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

from gridtalk.core.errors import UserError

PAGE_SIZE = 50
_LARGEST_ID = 2**63 - 1

T = TypeVar("T")
M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Page(Generic[T]):
    """Rows of one page, and the query strings of its neighbours (empty where there is none)."""

    rows: Sequence[T]
    older: str
    newer: str


def _key(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text) <= _LARGEST_ID):
        raise UserError(
            _("“%(text)s” in the address is no place in the list; take “%(name)s” away.")
            % {"text": text[:40], "name": name}
        )
    return int(text)


def _query(request: HttpRequest, name: str, value: int) -> str:
    query = request.GET.copy()
    query.pop("before", None)
    query.pop("after", None)
    query[name] = str(value)
    return f"?{query.urlencode()}"


def page_of(
    request: HttpRequest,
    rows: QuerySet[M],
    *,
    size: int = PAGE_SIZE,
    finish: Callable[[list[M]], Sequence[Any]] = lambda found: found,
) -> Page[Any]:
    """One page of the rows, newest id first.

    ``finish`` may turn the page's rows into what the template shows. :class:`UserError` where the
    address names a place that is no number.
    """
    before, after = _key(request, "before"), _key(request, "after")
    if after is not None and before is None:
        found = list(rows.filter(pk__gt=after).order_by("pk")[: size + 1])
        more_newer, more_older = len(found) > size, True
        found = found[:size][::-1]
    else:
        if before is not None:
            rows = rows.filter(pk__lt=before)
        found = list(rows.order_by("-pk")[: size + 1])
        more_newer, more_older = before is not None, len(found) > size
        found = found[:size]
    return Page(
        rows=finish(found),
        older=_query(request, "before", found[-1].pk) if found and more_older else "",
        newer=_query(request, "after", found[0].pk) if found and more_newer else "",
    )
