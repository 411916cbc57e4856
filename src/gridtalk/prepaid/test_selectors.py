"""What a circuit used: credit by the formula of gateway.md 6, energy by day."""

from datetime import timedelta
from decimal import Decimal

import pytest

from gridtalk.grid.models import Circuit
from gridtalk.prepaid import ledger
from gridtalk.prepaid.selectors import Usage, circuit_usage, credit_estimate
from gridtalk.telemetry.testing import circuit_make, instant, log_make, meter_make

pytestmark = pytest.mark.django_db

END = instant("2026-11-23T12:00")
START = END - timedelta(days=30)


@pytest.fixture
def circuit() -> Circuit:
    return circuit_make(meter_make(time_zone="Africa/Kampala"))


def used(circuit: Circuit) -> Usage | None:
    return circuit_usage(circuit=circuit, start=START, end=END)


def delivered(circuit: Circuit, at: str, amount: int, job_id: int = 1) -> None:
    ledger.delivery_post(
        circuit=circuit, amount=Decimal(amount), job_id=job_id, occurred_at=instant(at)
    )


def test_without_a_report_there_is_no_usage(circuit: Circuit) -> None:
    assert used(circuit) is None
    log_make(circuit, START, credit=100)  # the span begins after it
    log_make(circuit, END + timedelta(hours=1), credit=10)
    log_make(circuit, "2026-11-20T12:00", credit=10, latency_s=-4000)
    assert used(circuit) is None


def test_credit_that_was_added_is_no_less_spent(circuit: Circuit) -> None:
    log_make(circuit, "2026-11-20T08:00", credit=100, watthours=10)
    log_make(circuit, "2026-11-20T10:00", credit=90, watthours=30)
    delivered(circuit, "2026-11-20T11:00", 500)
    log_make(circuit, "2026-11-20T12:00", credit=570, watthours=50)
    log_make(circuit, "2026-11-21T12:00", credit=565, watthours=20)
    assert used(circuit) == Usage(credit=Decimal("35.00"), energy_wh_a_day=Decimal("35.00"))


def test_the_report_before_the_span_counts_as_its_beginning(circuit: Circuit) -> None:
    log_make(circuit, START - timedelta(hours=1), credit=100)
    log_make(circuit, START + timedelta(hours=1), credit=80)
    found = used(circuit)
    assert found is not None
    assert found.credit == 20


@pytest.mark.parametrize("late_s", [7200, 86_400, 20 * 86_400])
def test_reports_that_came_late_count_all_the_same(circuit: Circuit, late_s: int) -> None:
    """A network, or a replayed day, may hold them back: their clocks are right."""
    log_make(circuit, "2026-11-20T08:00", credit=100, watthours=10, latency_s=late_s)
    log_make(circuit, "2026-11-20T10:00", credit=60, watthours=30, latency_s=late_s - 3600)
    assert used(circuit) == Usage(credit=Decimal("40.00"), energy_wh_a_day=Decimal("30.00"))


def test_another_circuits_credit_is_its_own(circuit: Circuit) -> None:
    other = circuit_make(circuit.meter, last=2)
    log_make(circuit, "2026-11-20T08:00", credit=100)
    log_make(circuit, "2026-11-20T10:00", credit=90)
    delivered(other, "2026-11-20T09:00", 500)
    log_make(other, "2026-11-20T08:00", credit=5)
    assert used(circuit) == Usage(credit=Decimal("10.00"), energy_wh_a_day=Decimal("0.00"))


def test_a_mains_has_energy_and_no_credit(circuit: Circuit) -> None:
    mains = circuit_make(circuit.meter, last=0)
    log_make(mains, "2026-11-20T10:00", watthours=700)
    log_make(mains, "2026-11-21T10:00", watthours=900)
    assert used(mains) == Usage(credit=Decimal("0.00"), energy_wh_a_day=Decimal("800.00"))


def test_an_estimate_adds_what_was_delivered_since_the_meter_said_its_credit(
    circuit: Circuit,
) -> None:
    circuit.credit = Decimal("7.50")
    assert credit_estimate(circuit=circuit) == Decimal("7.50")
    other = circuit_make(circuit.meter, last=2)
    hours = ((circuit, "09"), (circuit, "10"), (circuit, "11"), (other, "11"))
    for job_id, (place, hour) in enumerate(hours, start=1):
        delivered(place, f"2026-11-20T{hour}:00", 20, job_id)
    assert credit_estimate(circuit=circuit) == Decimal("67.50"), "it never said one"
    circuit.credit_as_of = instant("2026-11-20T10:00")
    assert credit_estimate(circuit=circuit) == Decimal("27.50"), "what came with that is in it"
    assert credit_estimate(circuit=other) == other.credit + 20
