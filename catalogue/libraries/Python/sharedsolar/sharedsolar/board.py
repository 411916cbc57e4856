"""What measures and switches a meter's circuits: real lines, or simulated households.

A board has ``circuits`` (addresses), ``switch(cid, on)``, ``measure(cid)`` → (power in W, energy in
Wh since the last call), and ``pcu()`` → the nine values of a PCU report, or None where there is no
power conditioning unit: kWh from the sun, into the battery and out of it, battery V, charge and
discharge, solar A and V, battery °C; None for a value that it does not measure.
"""

import math
import time


class SimulatedBoard:
    """Households that use more in the evening, and the sun by day.

    ``loads_w`` fixes the load of some circuits; ``solar_peak_w`` is the sun's power at noon, 0 for
    no power conditioning unit.
    """

    def __init__(self, circuits, now=time.time, solar_peak_w=0):
        self.circuits = list(circuits)
        self.loads_w = {}
        self.solar_peak_w = solar_peak_w
        self._now = now
        self._on = dict.fromkeys(self.circuits, False)
        self._measured_at = dict.fromkeys(self.circuits, now())
        self._energy_wh = dict.fromkeys(self.circuits, 0.0)
        print(f"meter: no hardware is set, {len(self.circuits)} circuits are simulated", flush=True)

    def switch(self, cid, on):
        """Switch a circuit."""
        self._count(cid)  # what was used until now
        self._on[cid] = on

    def measure(self, cid):
        """Power, and energy since the last call."""
        power_w = self._count(cid)
        energy_wh, self._energy_wh[cid] = self._energy_wh[cid], 0.0
        return power_w, energy_wh

    def pcu(self):
        """The sun's report. All of it follows from the time: energies go on after a restart."""
        if self.solar_peak_w <= 0:
            return None
        days, second = divmod(self._now(), 86400)
        part = (second / 3600 - 6) / 12  # of the day, from 6 to 18 o'clock
        sun = max(math.sin(part * math.pi), 0.0)
        power_w = self.solar_peak_w * sun
        today = (1 - math.cos(min(max(part, 0.0), 1.0) * math.pi)) / 2
        solar_kwh = self.solar_peak_w * 24 / math.pi / 1000 * (days + today)
        values = [
            solar_kwh,
            solar_kwh * 0.6,
            solar_kwh * 0.5,
            48 + 4 * sun,
            power_w * 0.6 / 48,
            0.0 if power_w else 1.5,
            power_w / 60,
            60.0 if power_w else 0.0,
            25 + 5 * sun,
        ]
        return [round(value, 2) for value in values]

    def _count(self, cid):
        """Count the energy until now; gives the present power."""
        now = self._now()
        power_w = self._load_w(cid, now) if self._on[cid] else 0.0
        self._energy_wh[cid] += power_w * max(now - self._measured_at[cid], 0.0) / 3600
        self._measured_at[cid] = now
        return power_w

    def _load_w(self, cid, now):
        if cid in self.loads_w:
            return self.loads_w[cid]
        hour = now % 86400 / 3600
        return round(5 + 30 * math.exp(-((hour - 20) ** 2) / 6), 1)


class Lines:
    """Circuits with an energy meter and a relay each: ``{cid: (pzem, relay)}``.

    The energy meters are read by ``read()`` with ``power_w`` and ``energy_wh`` (the library pzem),
    the relays switched by ``switch(on)`` (the library relay).
    """

    def __init__(self, lines):
        self.circuits = list(lines)
        self._lines = lines
        self._last_wh = {}

    def switch(self, cid, on):
        """Switch a circuit."""
        self._lines[cid][1].switch(on)

    def measure(self, cid):
        """Power, and energy since the last call; OSError where the energy meter is silent.

        The first reading after a start counts nothing; a register that went back was reset.
        """
        reading = self._lines[cid][0].read()
        last = self._last_wh.get(cid, reading.energy_wh)
        self._last_wh[cid] = reading.energy_wh
        return reading.power_w, float(max(reading.energy_wh - last, 0))

    def pcu(self):
        """There is no power conditioning unit."""
        return
