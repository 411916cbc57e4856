"""A meter's power unit: sun on the panels, a battery between them and the houses. Pure.

The houses take what they take (the meter counted it); the sun gives what the hour of day gives;
the battery holds the difference, as far as it has room.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from gridtalk.gateway.meter import wire_encode

#: Watt-hours out of the panels for each of their watts of peak: a parabola from 6 to 18 o'clock.
_NOON, _HALF_DAY = 12, 6
#: Of each watt-hour into the battery so much comes out again, in hundredths.
_EFFICIENCY = 90
#: The voltage of the panels by day, in tenths of a volt; the battery's is about 48 V.
_PANEL_DECIVOLTS = 660
BATTERY_V = 48
#: Of the battery's capacity so much is never used, in hundredths: it would wear out.
_RESERVE = 20


@dataclass(slots=True)
class PowerUnit:
    """Panels of ``panel_w`` watts of peak and a battery of ``capacity_wh``; energies in Wh.

    ``stored_wh`` is what is in the battery; the three sums only ever grow, as in the reports.
    """

    panel_w: int = 500
    capacity_wh: int = 100 * BATTERY_V
    stored_wh: int = 60 * BATTERY_V
    solar_wh: int = 0
    charged_wh: int = 0
    discharged_wh: int = 0
    _in_wh: int = 0
    _out_wh: int = 0
    _sun_w: int = 0

    def hour(self, hour: int, load_wh: int) -> None:
        """The hour of day that ended now at ``hour`` o'clock: the houses used ``load_wh`` in it."""
        self._sun_w = self.panel_w * max(0, _HALF_DAY**2 - (hour - _NOON) ** 2) // _HALF_DAY**2
        direct = min(self._sun_w, load_wh)
        room = self.capacity_wh - self.stored_wh
        self._in_wh = max(0, min(self._sun_w - direct, room * 100 // _EFFICIENCY))
        reserve = self.capacity_wh * _RESERVE // 100
        self._out_wh = max(0, min(load_wh - direct, self.stored_wh - reserve))
        # What the battery has no room for, the panels are not asked for.
        self._sun_w = direct + self._in_wh
        self.solar_wh += self._sun_w
        self.charged_wh += self._in_wh
        self.discharged_wh += self._out_wh
        self.stored_wh += self._in_wh * _EFFICIENCY // 100 - self._out_wh

    def values(self) -> list[Decimal]:
        """The nine values of a report, in the order of ``meter-protocol.md``."""
        sun = self._sun_w
        filled = self.stored_wh * 100 // self.capacity_wh
        return [
            Decimal(self.solar_wh).scaleb(-3),
            Decimal(self.charged_wh).scaleb(-3),
            Decimal(self.discharged_wh).scaleb(-3),
            # 46 V where nothing is left, 52 V full, a little more while it is charged.
            Decimal(4600 + 6 * filled + (60 if self._in_wh else 0)).scaleb(-2),
            Decimal(self._in_wh * 10 // BATTERY_V).scaleb(-1),
            Decimal(self._out_wh * 10 // BATTERY_V).scaleb(-1),
            Decimal(sun * 100 // _PANEL_DECIVOLTS).scaleb(-1),
            Decimal(_PANEL_DECIVOLTS if sun else 0).scaleb(-1),
            Decimal(230 + sun // 20).scaleb(-1),
        ]

    def report(self, at: datetime) -> str:
        """Its text of the full hour ``at``, the meter's local time."""
        return wire_encode.encode_pcu(meter_time=at, values=self.values())
