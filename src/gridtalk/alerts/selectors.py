"""Finding alerts."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Count, prefetch_related_objects

from gridtalk.alerts.families import ALERTS
from gridtalk.alerts.models import Alert
from gridtalk.core.errors import NotFound
from gridtalk.grid.models import Circuit, Meter

#: What a page of alerts shows of others: fetched with them, one query each.
_SHOWN = ("meter", "circuit__account", "acknowledged_by")


def alert_list(
    *,
    meter: Meter | None = None,
    circuit: Circuit | None = None,
    kind: str | None = None,
    open_only: bool = False,
    limit: int = 100,
    offset: int = 0,
) -> list[Any]:
    """Alerts as their children, newest first, with meter, circuit and account at hand.

    The number of queries depends on the kinds met, never on the number of alerts.
    """
    found = Alert.objects.order_by("-raised_at", "-pk")
    if meter is not None:
        found = found.filter(meter=meter)
    if circuit is not None:
        found = found.filter(circuit=circuit)
    if kind is not None:
        found = found.filter(kind=ALERTS.model(kind).KIND)
    if open_only:
        found = found.filter(cleared_at__isnull=True)
    children = ALERTS.children(found[offset : offset + limit])
    prefetch_related_objects(children, *_SHOWN)
    return children


def alert_get(*, alert_id: int) -> Any:
    """One alert as its child; :class:`NotFound` where there is none."""
    base = Alert.objects.filter(pk=alert_id).first()
    if base is None:
        raise NotFound("there is no alert %(alert)s", alert=alert_id)
    children = ALERTS.children([base])
    prefetch_related_objects(children, *_SHOWN)
    return children[0]


def alert_open_counts(*, meters: Iterable[Meter] | None = None) -> dict[int, int]:
    """How many alerts are open, by meter id; a meter without any is absent."""
    found = Alert.objects.filter(cleared_at__isnull=True)
    if meters is not None:
        found = found.filter(meter__in=list(meters))
    return dict(found.order_by().values_list("meter_id").annotate(number=Count("pk")))
