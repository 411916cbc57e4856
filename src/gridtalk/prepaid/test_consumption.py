"""Consumption in the ledger: by day, late, overlapping, twice at once, and with mad meters."""

from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine

from gridtalk.grid.models import Circuit
from gridtalk.prepaid import ledger
from gridtalk.prepaid.consumption import OPENING, UNEXPLAINED, consumption_post
from gridtalk.prepaid.models import LedgerEntry
from gridtalk.prepaid.services import token_batch_create
from gridtalk.telemetry.testing import circuit_make, instant, log_make, meter_make

pytestmark = pytest.mark.django_db

LONG_AFTER = "2026-11-20T12:00"


@pytest.fixture
def circuit() -> Circuit:
    return circuit_make(meter_make(time_zone="Africa/Bamako"))


def delivered(circuit: Circuit, at: str, amount: int) -> None:
    """Credit on its way, and arrived; not by a job, which stands above the ledger."""
    ledger.delivery_post(
        circuit=circuit,
        amount=Decimal(amount),
        job_id=LedgerEntry.objects.count() + 1000,
        occurred_at=instant(at),
    )


def balance(circuit: Circuit) -> Decimal:
    return ledger.balance(ledger.circuit_account_id(circuit.pk))


def sold(circuit: Circuit) -> dict[str, Decimal]:
    """Consumption by day, net of corrections."""
    own = ledger.circuit_account_id(circuit.pk)
    found: dict[str, Decimal] = {}
    for row in LedgerEntry.objects.filter(cause="consumption").order_by("day"):
        sign = 1 if row.debit_account_id == own else -1
        found[str(row.day)] = found.get(str(row.day), Decimal(0)) + sign * row.amount
    return found


def post(at: str = LONG_AFTER, days: int = 30) -> int:
    with time_machine.travel(instant(at), tick=False):
        return consumption_post(days=days)


def reports(circuit: Circuit, *told: tuple[str, object]) -> None:
    for time, credit in told:
        log_make(circuit, time, credit=credit)


def test_the_first_report_brings_opening_credit_and_days_follow(circuit: Circuit) -> None:
    reports(
        circuit, ("2026-11-01T08:00", 100), ("2026-11-01T20:00", 90), ("2026-11-02T20:00", 70.5)
    )
    assert post() == 3
    assert sold(circuit) == {"2026-11-01": 10, "2026-11-02": Decimal("19.50")}
    opening = LedgerEntry.objects.get(cause="adjustment")
    assert (opening.amount, opening.reason) == (100, OPENING)
    assert balance(circuit) == Decimal("70.50")


def test_what_is_delivered_before_the_first_report_is_no_opening_credit(circuit: Circuit) -> None:
    delivered(circuit, "2026-11-01T07:00", 500)
    reports(circuit, ("2026-11-01T08:00", 520), ("2026-11-01T20:00", 500))
    post()
    assert LedgerEntry.objects.get(cause="adjustment").amount == 20
    assert balance(circuit) == 500


@pytest.mark.parametrize(
    ("label", "at", "of_first", "of_second"),
    [
        ("in the first day", "2026-11-01T12:00", 30, 15),
        ("at the very time of its last report", "2026-11-01T20:00", 30, 15),
        ("after the first day's last report", "2026-11-01T21:00", 0, 515),
        ("in the second day", "2026-11-02T12:00", 0, 515),
    ],
)
def test_delivered_credit_is_counted_in_the_day_that_has_it(
    circuit: Circuit, label: str, at: str, of_first: int, of_second: int
) -> None:
    reports(circuit, ("2026-11-01T08:00", 100), ("2026-11-01T20:00", 570))
    delivered(circuit, at, 500)
    reports(circuit, ("2026-11-02T20:00", 555))
    post()
    assert sold(circuit).get("2026-11-01", 0) == of_first
    assert sold(circuit)["2026-11-02"] == of_second
    assert balance(circuit) == 555, "whatever the time, the balance is the last report's"


def test_drops_and_rises_inside_a_day_are_netted(circuit: Circuit) -> None:
    reports(circuit, ("2026-11-01T08:00", 100), ("2026-11-01T12:00", 40), ("2026-11-01T20:00", 90))
    post()
    assert sold(circuit) == {"2026-11-01": 10}
    assert balance(circuit) == 90


def test_more_credit_than_was_given_is_an_adjustment_to_look_at(circuit: Circuit) -> None:
    reports(circuit, ("2026-11-01T20:00", 100), ("2026-11-02T20:00", 130))
    post()
    odd = LedgerEntry.objects.get(reason=UNEXPLAINED)
    assert (odd.amount, str(odd.day)) == (30, "2026-11-02")
    assert balance(circuit) == 130


def test_a_meter_that_lost_its_memory_is_followed_down_and_up(circuit: Circuit) -> None:
    reports(circuit, ("2026-11-01T20:00", 100), ("2026-11-02T20:00", 0), ("2026-11-03T20:00", 95))
    post()
    assert sold(circuit) == {"2026-11-02": 100}
    assert LedgerEntry.objects.get(reason=UNEXPLAINED).amount == 95
    assert balance(circuit) == 95


def test_a_late_report_changes_a_posted_day_by_the_difference(circuit: Circuit) -> None:
    reports(circuit, ("2026-11-01T08:00", 100), ("2026-11-01T20:00", 90), ("2026-11-02T20:00", 70))
    post()
    log_make(circuit, "2026-11-01T22:00", credit=84, latency_s=3 * 86400)
    assert post() == 2
    assert sold(circuit) == {"2026-11-01": 16, "2026-11-02": 14}
    assert balance(circuit) == 70
    assert post() == 0


def test_a_report_older_than_the_first_moves_the_opening_credit(circuit: Circuit) -> None:
    reports(circuit, ("2026-11-02T08:00", 100), ("2026-11-02T20:00", 90))
    post()
    log_make(circuit, "2026-11-01T08:00", credit=130, latency_s=3 * 86400)
    post()
    assert sold(circuit) == {"2026-11-02": 40}
    assert balance(circuit) == 90


def test_a_day_is_posted_only_when_it_is_over_everywhere(circuit: Circuit) -> None:
    reports(circuit, ("2026-11-01T08:00", 100), ("2026-11-01T20:00", 90))
    assert post("2026-11-02T14:59") == 0
    assert post("2026-11-02T15:01") == 2


def test_the_look_back_cuts_no_day_in_two(circuit: Circuit) -> None:
    """Run every hour, as the clock does: a posted day stays as it is when it leaves the window."""
    for day in range(1, 13):
        for hour in (1, 9, 17, 23):
            log_make(circuit, f"2026-11-{day:02}T{hour:02}:00", credit=1000 - day * 24 - hour)
    for hour in range(0, 24 * 10, 5):
        with time_machine.travel(instant("2026-11-05T00:31") + timedelta(hours=hour), tick=False):
            consumption_post(days=3)
    whole = {f"2026-11-{day:02}": Decimal(24) for day in range(3, 13)}
    assert {day: amount for day, amount in sold(circuit).items() if day in whole} == whole
    assert balance(circuit) == 1000 - 12 * 24 - 23
    assert not LedgerEntry.objects.filter(reason=UNEXPLAINED).exists()


def test_days_are_those_of_the_meters_zone() -> None:
    circuit = circuit_make(meter_make(time_zone="Pacific/Auckland"))
    # 10:30 UTC is 23:30 there, 11:30 UTC is half past midnight of the next day.
    reports(circuit, ("2026-11-01T09:30", 100), ("2026-11-01T10:30", 90), ("2026-11-01T11:30", 70))
    post()
    assert sold(circuit) == {"2026-11-01": 10, "2026-11-02": 20}


def test_reports_without_credit_of_the_mains_and_of_a_wrong_clock_do_not_count(
    circuit: Circuit,
) -> None:
    mains = circuit_make(circuit.meter, last=0)
    reports(circuit, ("2026-11-01T08:00", 100), ("2026-11-01T20:00", None))
    reports(mains, ("2026-11-01T08:00", 100), ("2026-11-01T20:00", 50))
    log_make(circuit, "2026-11-01T21:00", credit=3, latency_s=-7200)
    # A clock that lost its date: what it tells is of today, not of the year 2000.
    log_make(circuit, "2000-01-01T01:00", credit=7, latency_s=800_000_000)
    post()
    assert sold(circuit) == {}
    assert balance(circuit) == 100


def test_a_meter_gone_mad_stops_nobody(circuit: Circuit) -> None:
    """From the largest to the smallest number of the column is more than one row holds."""
    edge = "99999999999999.99"
    reports(circuit, ("2026-11-01T20:00", edge), ("2026-11-02T20:00", f"-{edge}"))
    reports(circuit, ("2026-11-03T20:00", edge))
    other = circuit_make(circuit.meter, last=2)
    reports(other, ("2026-11-01T20:00", 10), ("2026-11-02T20:00", 8))
    post()
    assert balance(circuit) == Decimal(edge)
    assert balance(other) == 8
    assert post() == 0


def test_the_ledgers_sum_is_zero_whatever_happened(circuit: Circuit) -> None:
    token_batch_create(count=3, value=Decimal("12.34"))
    delivered(circuit, "2026-11-01T07:00", 500)
    reports(circuit, ("2026-11-01T08:00", 520), ("2026-11-02T20:00", 500))
    post()
    assert sum(ledger.balances().values()) == 0
