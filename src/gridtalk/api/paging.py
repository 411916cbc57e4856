"""Pages of the API: by id, so that nothing is skipped or given twice while rows arrive."""

from typing import Any

from django.db.models import QuerySet


def page_after(rows: QuerySet[Any], *, after: int, limit: int) -> dict[str, Any]:
    """Rows by id, beginning behind ``after``."""
    found = list(rows.filter(pk__gt=after).order_by("pk")[: limit + 1])
    more = len(found) > limit
    items = found[:limit]
    return {"items": items, "next_after": items[-1].pk if more else None}


def page_before(rows: QuerySet[Any], *, before: int | None, limit: int) -> dict[str, Any]:
    """Rows newest first, beginning before the id ``before``."""
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-pk")[: limit + 1])
    more = len(found) > limit
    items = found[:limit]
    return {"items": items, "next_before": items[-1].pk if more else None}
