"""Meters and circuits, to read."""

from typing import Any

from django.db.models import Max
from django.http import HttpRequest
from ninja import Router

from gridtalk.api.paging import page_after
from gridtalk.api.schemas import CircuitOut, CircuitsOut, Limit, MeterOut, MetersOut
from gridtalk.core.errors import NotFound
from gridtalk.grid.models import Circuit, Meter
from gridtalk.users.models import Permission
from gridtalk.users.permissions import requires

router = Router(tags=["grid"])


def _meters() -> Any:
    return Meter.objects.filter(retired_at__isnull=True).annotate(
        last_reported_at=Max("circuits__last_reported_at")
    )


def _circuits() -> Any:
    return Circuit.objects.filter(retired_at__isnull=True).select_related("account")


@router.get("meters", response=MetersOut, summary="Meters, by id")
@requires(Permission.VIEW)
def meter_list(request: HttpRequest, after: int = 0, limit: Limit = 100) -> dict[str, Any]:
    """All meters that are not retired."""
    return page_after(_meters(), after=after, limit=limit)


@router.get("meters/{meter_id}", response=MeterOut, summary="One meter")
@requires(Permission.VIEW)
def meter_get(request: HttpRequest, meter_id: int) -> Meter:
    """A meter by its id."""
    meter: Meter | None = _meters().filter(pk=meter_id).first()
    if meter is None:
        raise NotFound(f"there is no meter {meter_id}")
    return meter


@router.get("circuits", response=CircuitsOut, summary="Circuits, by id")
@requires(Permission.VIEW)
def circuit_list(
    request: HttpRequest,
    meter: int | None = None,
    pin: str | None = None,
    after: int = 0,
    limit: Limit = 100,
) -> dict[str, Any]:
    """Circuits that are not retired; of one meter, or with one account number."""
    found = _circuits()
    if meter is not None:
        found = found.filter(meter_id=meter)
    if pin is not None:
        found = found.filter(pin__iexact=pin)
    return page_after(found, after=after, limit=limit)


@router.get("circuits/{circuit_id}", response=CircuitOut, summary="One circuit")
@requires(Permission.VIEW)
def circuit_get(request: HttpRequest, circuit_id: int) -> Circuit:
    """A circuit by its id."""
    circuit: Circuit | None = _circuits().filter(pk=circuit_id).first()
    if circuit is None:
        raise NotFound(f"there is no circuit {circuit_id}")
    return circuit
