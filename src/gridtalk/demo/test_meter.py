"""The simulated meter: what it counts, says and obeys."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from gridtalk.demo.curves import CURVES, SHOP
from gridtalk.demo.meter import Meter, MeterCircuit, Said
from gridtalk.gateway.meter import wire
from gridtalk.gateway.meter.wire_encode import encode_job

MIDNIGHT = datetime(2026, 11, 22)  # noqa: DTZ001  a meter's local time
FLAT = (100,) * 24
ONE, TWO = "192.168.1.201", "192.168.1.202"


def meter(*, credit: str = "100", low: str = "0", knows: bool = True, start=MIDNIGHT) -> Meter:
    circuits = {ONE: MeterCircuit(ONE, curve=FLAT), TWO: MeterCircuit(TWO, curve=SHOP)}
    made = Meter("kolo", start, circuits, low_credit=Decimal(low), knows_job_ids=knows)
    for circuit in circuits.values():
        circuit.credit_set(Decimal(credit))
    return made


def steady(made: Meter) -> Meter:
    """No hour differs from the curve."""
    made._draw_factors = lambda: [setattr(c, "factor", 100) for c in made.circuits.values()]
    made._draw_factors()
    return made


def messages(said: list[Said]) -> list[wire.MeterMessage]:
    found = [wire.parse(one.text) for one in said]
    assert not [m for m in found if isinstance(m, wire.MeterError)]
    return found


def reports(said: list[Said]) -> list[wire.PrimaryLogs]:
    return [m for m in messages(said) if isinstance(m, wire.PrimaryLogs)]


def test_an_hour_costs_its_energy_exactly() -> None:
    made = steady(meter())
    said = made.advance(MIDNIGHT + timedelta(hours=3))
    # 100 W for 3 h at 100.00 a kWh.
    assert made.circuits[ONE].credit == Decimal("70.00")
    assert [log.entries[1].credit for log in reports(said)] == [90, 80, 70]
    assert [log.entries[1].watthours for log in reports(said)] == [100, 200, 300]
    assert [one.at for one in said if one.text.startswith("(l")] == [
        MIDNIGHT + timedelta(hours=n) for n in (1, 2, 3)
    ]


def test_small_steps_and_large_ones_tell_the_same() -> None:
    large, small = meter(low="50"), meter(low="50")
    told = large.advance(MIDNIGHT + timedelta(hours=30))
    piece: list[Said] = []
    for n in range(1, 30 * 60 // 7 + 2):
        piece += small.advance(
            min(MIDNIGHT + timedelta(minutes=7 * n), MIDNIGHT + timedelta(hours=30))
        )
    assert [one.text for one in piece if "alert" not in one.text] == [
        one.text for one in told if "alert" not in one.text
    ]
    assert [one.at for one in piece] == [one.at for one in told]
    assert large.circuits == small.circuits


def test_credit_runs_low_then_out() -> None:
    made = steady(meter(credit="20", low="5"))
    said = made.advance(MIDNIGHT + timedelta(hours=3))
    alerts = [
        (one.at, m)
        for one, m in zip(said, messages(said), strict=True)
        if isinstance(m, wire.Alert) and m.cid == ONE
    ]
    assert [(at - MIDNIGHT, m.code) for at, m in alerts] == [
        (timedelta(minutes=90), "lcw"),
        (timedelta(minutes=120), "nocw"),
    ]
    last = reports(said)[-1].entries[1]
    off = next(e for e in reports(said)[-1].entries if e.cid == ONE)
    assert (off.status, off.credit, off.watthours) == (0, 0, 200)
    assert last.cid == TWO, "circuits that are off come second"


def test_a_credit_lights_it_again_and_a_low_alert_comes_again() -> None:
    made = steady(meter(credit="10", low="5"))
    made.advance(MIDNIGHT + timedelta(hours=2))
    assert made.circuits[ONE].status == 0
    answers = made.hear(encode_job(kind="add_credit", job_id=7, cid=ONE, amount=Decimal("10.00")))
    ack = wire.parse(answers[0])
    assert ack == wire.JobAck(7, 1, Decimal("10.00"), MIDNIGHT + timedelta(hours=2))
    said = made.advance(MIDNIGHT + timedelta(hours=3))
    codes = [m.code for m in messages(said) if isinstance(m, wire.Alert) and m.cid == ONE]
    assert codes == ["lcw", "nocw"]


@pytest.mark.parametrize(("knows", "times"), [(True, 1), (False, 2)])
def test_the_same_job_twice(knows: bool, times: int) -> None:
    made = meter(knows=knows)
    job = encode_job(kind="add_credit", job_id=7, cid=ONE, amount=Decimal("2.50"))
    first = made.hear(job)
    made.power_off()
    assert made.hear(job) == [], "without power it hears nothing"
    assert made.power_on() == "kolo online"
    second = made.hear(job)
    assert len(made.applied) == times
    assert made.circuits[ONE].credit == 100 + times * Decimal("2.50")
    assert (first == second) is knows


@pytest.mark.parametrize(
    ("label", "kind", "credit", "status"),
    [
        ("off", "turn_off", "5", 0),
        ("on", "turn_on", "5", 1),
        ("on without credit", "turn_on", "0", 0),
        ("asked", "cping", "5", 1),
    ],
)
def test_switching(label: str, kind: str, credit: str, status: int) -> None:
    made = meter(credit=credit)
    made.circuits[ONE].status = 0 if kind == "turn_on" else 1
    ack = wire.parse(made.hear(encode_job(kind=kind, job_id=3, cid=ONE))[0])
    assert ack == wire.JobAck(3, status, Decimal(credit), MIDNIGHT), label


def test_mping_and_nonsense() -> None:
    made = meter()
    ping = wire.parse(made.hear(encode_job(kind="mping", job_id=9))[0])
    assert ping == wire.JobAck(9, 1, None, MIDNIGHT)
    assert made.hear("hello") == []
    assert made.hear(encode_job(kind="turn_off", job_id=1, cid="192.168.1.250")) == []
    assert len(made.not_understood) == 2


def test_limits_of_power_and_energy() -> None:
    made = steady(meter())
    made.circuits[ONE].appliance_w = 400
    codes = [
        m.code
        for m in messages(made.advance(MIDNIGHT + timedelta(minutes=1)))
        if isinstance(m, wire.Alert)
    ]
    assert codes == ["pmax"]
    made = steady(meter())
    made.circuits[ONE].energy_max_wh = 150
    said = made.advance(MIDNIGHT + timedelta(hours=2))
    found = [
        (one.at, m.code)
        for one, m in zip(said, messages(said), strict=True)
        if isinstance(m, wire.Alert)
    ]
    assert found == [(MIDNIGHT + timedelta(minutes=90), "emax")]
    made.advance(MIDNIGHT + timedelta(days=1))
    assert made.circuits[ONE].status == 1, "a new day, a new allowance"


def test_power_cut_stops_everything() -> None:
    made = steady(meter())
    made.power_off()
    assert made.advance(MIDNIGHT + timedelta(hours=5)) == []
    assert made.circuits[ONE].credit == 100
    assert made.now == MIDNIGHT + timedelta(hours=5)


def test_reports_fit_sms_and_the_pcu_speaks() -> None:
    circuits = {
        (address := f"192.168.1.2{n:02d}"): MeterCircuit(address, curve=CURVES[n % 5])
        for n in range(1, 61)
    }
    made = Meter("big", MIDNIGHT, circuits, seed=3)
    for circuit in circuits.values():
        circuit.credit_set(Decimal(146418))
    said = made.advance(MIDNIGHT + timedelta(hours=6))
    assert max(len(one.text) for one in said) <= 160
    last = [log for log in reports(said) if log.entries[0].meter_time.hour == 6]
    assert sum(len(log.entries) for log in last) == 61
    assert [type(m) for m in messages(said)].count(wire.PcuLog) == 6 // made.pcu_hours == 2
