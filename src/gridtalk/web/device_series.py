"""What the charts of a registered device draw: one for each number that its inputs say."""

from datetime import timedelta
from typing import Any

from django.utils.translation import gettext_lazy

from gridtalk.core import clock
from gridtalk.iottalk.models import RegisteredDevice, RegisteredFeature
from gridtalk.iottalk.selectors import sample_list
from gridtalk.messaging.interfaces.iottalk.wire import SPOKEN
from gridtalk.web.series import Chart, Span, chart, span_of

#: A device may have hundreds of features; a page draws so many charts.
MOST_CHARTS = 24
MOST_LARGE = 6
MOST_POINTS = 600
NUMBERS = {"int", "float"}

DEVICE_SPANS = {
    span.name: span
    for span in (
        Span("10m", gettext_lazy("10 minutes"), timedelta(minutes=10)),
        Span("24h", gettext_lazy("24 hours"), timedelta(hours=24)),
        Span("7d", gettext_lazy("7 days"), timedelta(days=7)),
    )
}
DEFAULT_SPAN = "10m"


def device_span_get(name: str) -> Span:
    """The span of that name, ten minutes for none; :class:`UserError` where there is no such."""
    return span_of(DEVICE_SPANS, name or DEFAULT_SPAN)


def device_charts(*, device: RegisteredDevice, span: Span) -> list[Chart]:
    """A chart for each number of the device's inputs, in the order of its features; small ones
    where they are many."""
    wanted = [(feature, place) for feature in charted(device) for place in number_places(feature)][
        :MOST_CHARTS
    ]
    end = clock.now()
    found = sample_list(
        features=list({feature.pk: feature for feature, _place in wanted}.values()),
        start=end - span.length,
        end=end,
        points=MOST_POINTS,
    )
    charts = []
    for feature, place in wanted:
        points = [(at, _number(value, place)) for at, value in found.get(feature.pk, [])]
        charts.append(chart(_title(feature, place), "", "line", points))
    return [one | {"small": True} for one in charts] if len(charts) > MOST_LARGE else charts


def charted(device: RegisteredDevice) -> list[RegisteredFeature]:
    """The inputs whose numbers are drawn: not a meter's reports, which tell of many circuits in
    turn; the meter's page draws these."""
    found = device.features.filter(present=True, kind=RegisteredFeature.Kind.IDF)
    if device.meter_id is not None:
        found = found.exclude(name__in=SPOKEN)
    return list(found.order_by("number"))


def number_places(feature: RegisteredFeature) -> list[int]:
    """Which of a feature's values are numbers, by its types, or by its last value without them."""
    types = feature.params or []
    if any(isinstance(one, str) for one in types):
        return [place for place, one in enumerate(types) if one in NUMBERS]
    return [place for place, one in enumerate(feature.last_value or []) if _is_number(one)]


def _title(feature: RegisteredFeature, place: int) -> str:
    return feature.name if len(number_places(feature)) == 1 else f"{feature.name} {place + 1}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: list[Any], place: int) -> float | None:
    return value[place] if place < len(value) and _is_number(value[place]) else None
