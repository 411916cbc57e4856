"""The data of charts, as JSON; read by ``frontend/src/charts.ts``."""

from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from gridtalk.grid.models import Circuit, Meter
from gridtalk.iottalk.models import RegisteredDevice
from gridtalk.users.models import Permission
from gridtalk.users.permissions import requires
from gridtalk.web.device_series import device_charts, device_span_get
from gridtalk.web.series import Chart, circuit_charts, meter_charts, span_get


@require_safe
@requires(Permission.VIEW)
def meter_series(request: HttpRequest, meter_id: int) -> JsonResponse:
    """The charts of a meter over ``?span=``."""
    span = span_get(request.GET.get("span", ""))
    meter = get_object_or_404(Meter, pk=meter_id)
    return _answer(meter.time_zone, meter_charts(meter=meter, span=span))


@require_safe
@requires(Permission.VIEW)
def circuit_series(request: HttpRequest, circuit_id: int) -> JsonResponse:
    """The charts of a circuit over ``?span=``."""
    span = span_get(request.GET.get("span", ""))
    circuit = get_object_or_404(Circuit.objects.select_related("meter"), pk=circuit_id)
    return _answer(circuit.meter.time_zone, circuit_charts(circuit=circuit, span=span))


@require_safe
@requires(Permission.VIEW)
def device_series(request: HttpRequest, device_id: int) -> JsonResponse:
    """The charts of a registered device over ``?span=``."""
    span = device_span_get(request.GET.get("span", ""))
    device = get_object_or_404(RegisteredDevice.objects.select_related("meter"), pk=device_id)
    zone = device.meter.time_zone if device.meter else "UTC"
    return _answer(zone, device_charts(device=device, span=span))


def _answer(zone: str, charts: list[Chart]) -> JsonResponse:
    answer = JsonResponse({"zone": zone, "charts": charts})
    answer["Cache-Control"] = "private, no-store"
    return answer
