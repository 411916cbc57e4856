"""What the charts draw: bounded series of a meter or a circuit, as JSON-ready dictionaries.

A chart is ``{"title", "unit", "kind", "x", "series": [{"label", "y"}]}``; ``x`` are seconds since
1970, ``y`` numbers or null. ``unfinished``: the last bar's hour or day is not over. Never more than
:data:`MOST_POINTS` a series, however often a meter reports; what is left out is never the newest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gridtalk.core import clock
from gridtalk.core.errors import UserError
from gridtalk.grid.models import Circuit, Meter
from gridtalk.telemetry.selectors import (
    Rise,
    credit_point_list,
    power_point_list,
    rise_list,
)

#: More than the hours of a month, so that each report of a meter that reports by the hour is drawn.
MOST_POINTS = 1000
MOST_SMALL = 100
#: A meter's clock may be ahead by so much before its reports are flagged.
AHEAD = timedelta(hours=1)


@dataclass(frozen=True)
class Span:
    """How far back the charts look; ``daily``: energy by day, not by hour."""

    name: str
    label: str | Promise
    length: timedelta
    daily: bool = False


SPANS = {
    span.name: span
    for span in (
        Span("24h", gettext_lazy("24 hours"), timedelta(hours=24)),
        Span("7d", gettext_lazy("7 days"), timedelta(days=7)),
        Span("30d", gettext_lazy("30 days"), timedelta(days=30), daily=True),
    )
}
DEFAULT_SPAN = "7d"


def span_get(name: str) -> Span:
    """The span of that name, the default for none; :class:`UserError` where there is no such."""
    return span_of(SPANS, name or DEFAULT_SPAN)


def span_of(spans: Mapping[str, Span], name: str) -> Span:
    """One of these spans; :class:`UserError` names them where it is none."""
    try:
        return spans[name]
    except KeyError:
        raise UserError(
            _("“%(name)s” is no span; choose %(names)s.")
            % {"name": name[:20], "names": ", ".join(spans)}
        ) from None


Chart = dict[str, Any]
Point = tuple[datetime, Decimal | float | None]


def meter_charts(*, meter: Meter, span: Span) -> list[Chart]:
    """Energy of the mains, the power unit, and a small chart for each circuit."""
    circuits = list(
        meter.circuits.filter(retired_at__isnull=True)
        .select_related("account")
        .order_by("-is_main", "ip_address")[: MOST_SMALL + 1]
    )
    rises = _rises(circuits, meter, span)
    title = _("Energy a day") if span.daily else _("Energy an hour")
    charts = []
    for circuit in circuits:
        found = rises.get(circuit.pk, [])
        if circuit.is_main:
            charts.append(_energy(_("Mains: %(what)s") % {"what": title}, found, meter, span))
        else:
            owner = circuit.account.name if circuit.account else ""
            small = _energy(owner or circuit.pin, found, meter, span)
            charts.append(small | {"small": True, "href": f"/circuits/{circuit.pk}"})
    charts[1:1] = _power_unit(meter, span)
    return charts


def circuit_charts(*, circuit: Circuit, span: Span) -> list[Chart]:
    """Energy, credit and time in use of one circuit."""
    meter = circuit.meter
    found = _rises([circuit], meter, span).get(circuit.pk, [])
    title = _("Energy a day") if span.daily else _("Energy an hour")
    used: list[Point] = [(rise.at, rise.use_time_s / 60) for rise in found]
    charts = [
        _energy(title, found, meter, span),
        _bars(_("Time in use"), "min", used, meter, span),
    ]
    if not circuit.is_main:
        now = clock.now()
        credit = credit_point_list(
            circuit_id=circuit.pk, start=now - span.length, end=now + AHEAD, points=MOST_POINTS
        )
        charts.insert(1, chart(_("Credit"), "", "steps", credit))
    return charts


def _rises(circuits: Sequence[Circuit], meter: Meter, span: Span) -> dict[int, list[Rise]]:
    """By circuit id; whole hours or days of the meter, and the one that is not over."""
    now = clock.now().astimezone(clock.zone(meter.time_zone))
    if span.daily:
        first = (now - span.length).date()
        start = datetime.combine(first, time(), now.tzinfo)
    else:
        start = now.replace(minute=0, second=0, microsecond=0) - span.length
    found: dict[int, list[Rise]] = {}
    for rise in rise_list(
        circuit_ids=[circuit.pk for circuit in circuits],
        zone=meter.time_zone,
        start=start,
        end=now + AHEAD,
        by="day" if span.daily else "hour",
    ):
        found.setdefault(rise.circuit_id, []).append(rise)
    return found


def _energy(title: str, rises: Sequence[Rise], meter: Meter, span: Span) -> Chart:
    return _bars(title, "Wh", [(rise.at, rise.energy_wh) for rise in rises], meter, span)


def _bars(title: str, unit: str, points: Sequence[Point], meter: Meter, span: Span) -> Chart:
    made = chart(title, unit, "bars", points)
    if not points:
        return made
    now, last = clock.now(), points[-1][0]
    if span.daily:
        zone = clock.zone(meter.time_zone)
        unfinished = last.astimezone(zone).date() >= now.astimezone(zone).date()
    else:
        unfinished = last > now
    return made | {"unfinished": True} if unfinished else made


def _power_unit(meter: Meter, span: Span) -> list[Chart]:
    now = clock.now()
    found = power_point_list(
        meter_id=meter.pk, start=now - span.length, end=now + AHEAD, points=MOST_POINTS
    )
    if not found:
        return []
    solar: list[Point] = [(one.at, _product(one.solar_volts, one.solar_amps)) for one in found]
    battery: list[Point] = [(one.at, one.battery_volts) for one in found]
    return [
        chart(_("Solar power"), "W", "line", solar),
        chart(_("Battery"), "V", "level", battery),
    ]


def _product(volts: float | None, amps: float | None) -> float | None:
    return None if volts is None or amps is None else volts * amps


def chart(title: str, unit: str, kind: str, points: Sequence[Point]) -> Chart:
    """A chart of one series; ``kind`` is ``bars``, ``line``, ``steps`` or ``level``."""
    return {
        "title": title,
        "unit": unit,
        "kind": kind,
        "x": [int(at.timestamp()) for at, _value in points],
        "series": [
            {
                "label": title,
                "y": [None if value is None else round(float(value), 2) for _at, value in points],
            }
        ],
    }
