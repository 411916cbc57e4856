"""A meter as in the field: a pure, seeded state machine whose clock is handed in.

It counts energy in watt-seconds and credit in whole fractions of a hundredth, so that nothing is
ever rounded away: what the meter says it has spent is what it has spent. Power is constant within
an hour, which makes a step cost one multiplication per circuit and hour, and lets the instant of a
crossed limit be computed instead of searched.
"""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from gridtalk.demo.curves import HOUSEHOLD, Curve
from gridtalk.demo.power_unit import PowerUnit
from gridtalk.gateway.meter import wire_encode
from gridtalk.gateway.meter.wire import MeterError, Reading

MAINS_ADDRESS = "192.168.1.200"
HOUR = timedelta(hours=1)
#: A day without midnight, because the clock was set back, is not longer.
DAY_S = 86_400
_J_PER_KWH = 3_600_000
#: The meter's own electronics, in watts.
_OWN_POWER_W = 3


@dataclass(frozen=True, slots=True)
class Said:
    """A text that the meter sends, and when by its own clock."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Applied:
    """A credit which the meter has added: the truth that a gateway's books are held against."""

    job_id: int
    address: str
    amount: Decimal
    at: datetime


@dataclass(slots=True)
class MeterCircuit:
    """One line: its load, its limits, its counters of today, its credit.

    ``tariff`` is the price of a kWh in hundredths of the currency; ``credit_fine`` is the credit in
    hundredths / 3,600,000, so that a watt-second costs exactly ``tariff`` of it. ``appliance_w`` is
    drawn on top of the curve. ``off_for`` says why the meter itself switched it off.
    """

    address: str
    curve: Curve = HOUSEHOLD
    tariff: int = 100_00
    power_max_w: int = 400
    energy_max_wh: int = 5000
    status: int = 1
    credit_fine: int = 0
    appliance_w: int = 0
    energy_today_j: int = 0
    use_time_today_s: int = 0
    off_for: str = ""
    low_told: bool = False
    factor: int = 100

    @property
    def credit(self) -> Decimal:
        """The credit as the meter shows it: whole hundredths, rounded down."""
        return Decimal(self.credit_fine // _J_PER_KWH).scaleb(-2)

    def credit_set(self, amount: Decimal) -> None:
        """Give it this credit, as a technician does who sets a meter up."""
        self.credit_fine = int(amount * 100) * _J_PER_KWH


@dataclass
class Meter:
    """The box: feed it time with :meth:`advance` and texts with :meth:`hear`; it answers texts.

    ``now`` is its own clock, naive local time. ``knows_job_ids`` makes it remember, over a power
    cut, which jobs it has applied. ``low_credit`` is the threshold of its low-credit alert.
    ``pcu_hours`` is how many hours lie between two reports of its power unit; 0: it has none.
    ``applied`` records every credit that was added.
    """

    name: str
    now: datetime
    circuits: dict[str, MeterCircuit]
    low_credit: Decimal = Decimal(0)
    knows_job_ids: bool = True
    seed: int = 0
    powered: bool = True
    pcu_hours: int = 3
    applied: list[Applied] = field(default_factory=list)
    not_understood: list[str] = field(default_factory=list)
    mains_today_j: int = 0
    power_unit: PowerUnit = field(default_factory=PowerUnit)
    _mains_hour_j: int = 0
    _known_jobs: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._random = random.Random(f"{self.name} {self.seed}")  # noqa: S311  a simulation
        self._low_fine = int(self.low_credit * 100) * _J_PER_KWH
        self._draw_factors()

    # --- time ------------------------------------------------------------------------------------

    def advance(self, until: datetime) -> list[Said]:
        """Let time pass; what the meter says meanwhile, in order of time.

        Reports go out at each full hour. A meter without power says nothing and spends nothing.
        """
        said: list[Said] = []
        until = until.replace(microsecond=0)
        while self.now < until:
            hour_end = self.now.replace(minute=0, second=0, microsecond=0) + HOUR
            end = min(hour_end, until)
            if self.powered:
                said += self._spend(int((end - self.now).total_seconds()))
            self.now = end
            if end == hour_end:
                said += self._hour_ended()
        return said

    def _spend(self, seconds: int) -> list[Said]:
        if seconds <= 0:
            return []
        said: list[Said] = []
        total_j = _OWN_POWER_W * seconds
        hour = self.now.hour
        for circuit in self.circuits.values():
            if circuit.status:
                total_j += self._circuit_spend(circuit, hour, seconds, said)
        self.mains_today_j += total_j
        self._mains_hour_j += total_j
        said.sort(key=lambda one: one.at)
        return said

    def _circuit_spend(
        self, circuit: MeterCircuit, hour: int, seconds: int, said: list[Said]
    ) -> int:
        """The joules that a circuit takes in this time; a crossed limit switches it off."""
        if not circuit.credit_fine:
            # Switched on without credit: a meter gives nothing, and says so.
            self._cut(circuit, "nocw", self.now, said)
            return 0
        watts = circuit.curve[hour] * circuit.factor // 100 + circuit.appliance_w
        if watts > circuit.power_max_w:
            self._cut(circuit, "pmax", self.now, said)
            return 0
        if not watts:
            return 0
        allowed_j = circuit.energy_max_wh * 3600 - circuit.energy_today_j
        payable_j = circuit.credit_fine // circuit.tariff
        wanted_j = watts * seconds
        limit_j = max(0, min(allowed_j, payable_j))
        taken_j = min(wanted_j, limit_j)
        before = circuit.credit_fine
        circuit.energy_today_j += taken_j
        circuit.use_time_today_s += min(seconds, -(-taken_j // watts))
        circuit.credit_fine -= taken_j * circuit.tariff
        if circuit.credit_fine < self._low_fine <= before and not circuit.low_told:
            after_s = (before - self._low_fine) // circuit.tariff // watts
            circuit.low_told = True
            said.append(self._alert(circuit, "lcw", self.now + timedelta(seconds=after_s)))
        if taken_j == limit_j:
            at = self.now + timedelta(seconds=taken_j // watts)
            if payable_j <= allowed_j:
                circuit.credit_fine = 0
            self._cut(circuit, "nocw" if payable_j <= allowed_j else "emax", at, said)
        return taken_j

    def _cut(self, circuit: MeterCircuit, code: str, at: datetime, said: list[Said]) -> None:
        circuit.status = 0
        circuit.off_for = code
        said.append(self._alert(circuit, code, at))

    def _alert(self, circuit: MeterCircuit, code: str, at: datetime) -> Said:
        text = wire_encode.encode_alert(
            code=code, cid=circuit.address, meter=self.name, credit=circuit.credit
        )
        return Said(at, text)

    def _hour_ended(self) -> list[Said]:
        self._draw_factors()
        self.power_unit.hour(self.now.hour, self._mains_hour_j // 3600)
        self._mains_hour_j = 0
        if self.now.hour == 0:
            self._new_day()
        if not self.powered:
            return []
        said = [Said(self.now, text) for text in wire_encode.encode_compressed(self.readings())]
        if self.pcu_hours and self.now.hour % self.pcu_hours == 0:
            said.append(Said(self.now, self.pcu()))
        return said

    def _new_day(self) -> None:
        self.mains_today_j = 0
        for circuit in self.circuits.values():
            circuit.energy_today_j = circuit.use_time_today_s = 0
            if circuit.off_for == "emax":
                circuit.status, circuit.off_for = 1, ""

    def _draw_factors(self) -> None:
        """How far this hour differs from the curve: 60 to 140 % per circuit."""
        for circuit in self.circuits.values():
            circuit.factor = self._random.randrange(60, 141)

    # --- what it says ----------------------------------------------------------------------------

    def readings(self) -> list[Reading]:
        """The report of this full hour, mains first."""
        seconds = self.now.hour * 3600
        mains = Reading(
            MAINS_ADDRESS,
            self.now,
            1,
            Decimal(seconds),
            _tenths(self.mains_today_j),
            None,
            mains=True,
        )
        return [mains] + [
            Reading(
                circuit.address,
                self.now,
                circuit.status,
                Decimal(min(circuit.use_time_today_s, DAY_S)),
                _tenths(circuit.energy_today_j),
                circuit.credit,
                mains=False,
            )
            for circuit in self.circuits.values()
        ]

    def pcu(self) -> str:
        """The power unit's report of this full hour."""
        return self.power_unit.report(self.now.replace(minute=0, second=0, microsecond=0))

    # --- what it hears ---------------------------------------------------------------------------

    def hear(self, text: str) -> list[str]:
        """A text has arrived; the answers. A meter without power hears nothing."""
        if not self.powered:
            return []
        job = wire_encode.parse_job(text)
        if isinstance(job, MeterError):
            self.not_understood.append(text)
            return []
        if job.kind == "mping":
            return [self._ack(job.job_id, None)]
        circuit = self.circuits.get(job.cid or "")
        if circuit is None:
            self.not_understood.append(text)
            return []
        if job.kind == "add_credit" and not (self.knows_job_ids and job.job_id in self._known_jobs):
            self._credit_add(circuit, job.job_id, job.amount or Decimal(0))
        elif job.kind in {"turn_on", "turn_off"}:
            self._switch(circuit, on=job.kind == "turn_on")
        return [self._ack(job.job_id, circuit)]

    def _credit_add(self, circuit: MeterCircuit, job_id: int, amount: Decimal) -> None:
        circuit.credit_fine += int(amount * 100) * _J_PER_KWH
        self._known_jobs.add(job_id)
        self.applied.append(Applied(job_id, circuit.address, amount, self.now))
        if circuit.credit_fine >= self._low_fine:
            circuit.low_told = False
        if circuit.off_for == "nocw":
            circuit.status, circuit.off_for = 1, ""

    def _switch(self, circuit: MeterCircuit, *, on: bool) -> None:
        if not on:
            circuit.status, circuit.off_for = 0, ""
        elif circuit.credit_fine > 0:
            circuit.status, circuit.off_for = 1, ""

    def _ack(self, job_id: int, circuit: MeterCircuit | None) -> str:
        return wire_encode.encode_ack(
            job_id=job_id,
            status=1 if circuit is None else circuit.status,
            credit=None if circuit is None else circuit.credit,
            meter_time=self.now.replace(microsecond=0),
        )

    # --- power -----------------------------------------------------------------------------------

    def power_off(self) -> None:
        """The power is cut: nothing is counted, said or heard until :meth:`power_on`."""
        self.powered = False

    def power_on(self) -> str:
        """The power is back; what the meter says of it. Credit and counters were kept."""
        self.powered = True
        return wire_encode.encode_online(self.name)


def _tenths(energy_j: int) -> Decimal:
    """Joules as watt-hours with one decimal, rounded down."""
    return Decimal(energy_j // 360).scaleb(-1)
