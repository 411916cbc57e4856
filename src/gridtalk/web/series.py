"""What the charts draw: bounded series of a meter or a circuit, as JSON-ready dictionaries.

A chart is ``{"title", "unit", "kind", "x", "series": [{"label", "y"}]}``; ``x`` are seconds since
1970, ``y`` numbers or null. Never more than :data:`MOST_POINTS` a series: longer ones are thinned.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gridtalk.core import clock
from gridtalk.core.errors import UserError
from gridtalk.grid.models import Circuit, Meter
from gridtalk.telemetry.selectors import energy_by_day, pcu_log_list, primary_log_list

MOST_POINTS = 1000
MOST_SMALL = 100
#: Beyond so many readings a chart stops: 100 circuits, a week, by the hour.
MOST_ROWS = 20_000


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
    energy = _energy(circuits, meter, span)
    title = _("Energy a day") if span.daily else _("Energy an hour")
    charts = []
    for circuit in circuits:
        points = energy.get(circuit.pk, [])
        if circuit.is_main:
            charts.append(chart(_("Mains: %(what)s") % {"what": title}, "Wh", "bars", points))
        else:
            owner = circuit.account.name if circuit.account else ""
            small = chart(owner or circuit.pin, "Wh", "bars", points)
            charts.append(small | {"small": True, "href": f"/circuits/{circuit.pk}"})
    charts[1:1] = _power_unit(meter, span)
    return charts


def circuit_charts(*, circuit: Circuit, span: Span) -> list[Chart]:
    """Energy, credit and time in use of one circuit."""
    meter = circuit.meter
    energy = _energy([circuit], meter, span).get(circuit.pk, [])
    end = clock.now() + timedelta(hours=1)
    rows = list(
        primary_log_list(
            start=end - span.length, end=end, circuit_id=circuit.pk, clock_ahead=False
        )[:MOST_ROWS]
    )
    # The seconds count up since midnight, as the energy does.
    used = hourly(
        [(row["meter_time"], row["use_time_s"] / 60) for row in rows], clock.zone(meter.time_zone)
    )
    charts = [
        chart(_("Energy a day") if span.daily else _("Energy an hour"), "Wh", "bars", energy),
        chart(_("Time in use"), "min", "bars", used),
    ]
    if not circuit.is_main:
        credit: list[Point] = [(row["meter_time"], row["credit"]) for row in rows]
        charts.insert(1, chart(_("Credit"), "", "steps", credit))
    return charts


def _energy(circuits: Sequence[Circuit], meter: Meter, span: Span) -> dict[int, list[Point]]:
    zone = clock.zone(meter.time_zone)
    ids = [circuit.pk for circuit in circuits]
    now = clock.now()
    found: dict[int, list[Point]] = {}
    if span.daily:
        today = now.astimezone(zone).date()
        days = energy_by_day(circuit_ids=ids, first_day=today - span.length, last_day=today)
        for day in days:
            noon = datetime.combine(day.day, time(12), zone)
            found.setdefault(day.circuit_id, []).append((noon, day.energy_wh))
        return {key: sorted(points, key=lambda point: point[0]) for key, points in found.items()}
    # An hour more at the beginning: an hour's energy is a difference.
    end = now + timedelta(hours=1)
    start = end - span.length - timedelta(hours=1)
    only = ids[0] if len(ids) == 1 else None
    rows = primary_log_list(
        start=start,
        end=end,
        circuit_id=only,
        meter_id=None if only else meter.pk,
        clock_ahead=False,
    )
    by_circuit: dict[int, list[tuple[datetime, Decimal]]] = {}
    for row in islice(rows.iterator(), MOST_ROWS):
        by_circuit.setdefault(row["circuit_id"], []).append((row["meter_time"], row["watthours"]))
    return {key: hourly(readings, zone) for key, readings in by_circuit.items()}


def hourly(readings: Iterable[tuple[datetime, Decimal]], zone: ZoneInfo) -> list[Point]:
    """What a counter that starts anew at local midnight rose between neighbouring readings.

    A reading of exactly midnight belongs to the day that ends. A drop inside a day is a restart of
    the counter (gateway.md 6). The first reading has no neighbour and gives no point.
    """
    points: list[Point] = []
    before: tuple[Any, Decimal] | None = None
    for at, watthours in readings:
        day = (at.astimezone(zone) - timedelta(seconds=1)).date()
        if before is not None:
            same = before[0] == day and watthours >= before[1]
            points.append((at, watthours - before[1] if same else watthours))
        before = (day, watthours)
    return points


def _power_unit(meter: Meter, span: Span) -> list[Chart]:
    end = clock.now() + timedelta(hours=1)
    rows = list(pcu_log_list(start=end - span.length, end=end, meter_id=meter.pk)[:MOST_ROWS])
    if not rows:
        return []
    solar: list[Point] = [
        (row["meter_time"], _product(row["solar_volts"], row["solar_amps"])) for row in rows
    ]
    battery: list[Point] = [(row["meter_time"], row["battery_volts"]) for row in rows]
    return [
        chart(_("Solar power"), "W", "line", solar),
        chart(_("Battery"), "V", "level", battery),
    ]


def _product(volts: float | None, amps: float | None) -> float | None:
    return None if volts is None or amps is None else volts * amps


def chart(title: str, unit: str, kind: str, points: Sequence[Point]) -> Chart:
    """A chart of one series, thinned; ``kind`` is ``bars``, ``line``, ``steps`` or ``level``."""
    thin = thinned(points)
    return {
        "title": title,
        "unit": unit,
        "kind": kind,
        "x": [int(at.timestamp()) for at, _value in thin],
        "series": [
            {
                "label": title,
                "y": [None if value is None else round(float(value), 2) for _at, value in thin],
            }
        ],
    }


def thinned(points: Sequence[Point]) -> Sequence[Point]:
    """At most :data:`MOST_POINTS` of the points, evenly, the last one always among them."""
    step = -(-len(points) // MOST_POINTS)
    return points if step <= 1 else points[::-1][::step][::-1]
