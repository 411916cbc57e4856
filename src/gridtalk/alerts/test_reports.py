"""What batches of reports raise and clear."""

from decimal import Decimal
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from gridtalk.alerts.conftest import Village, texts
from gridtalk.alerts.models import Alert, LowCredit, NoCredit
from gridtalk.alerts.services import (
    CircuitChange,
    alert_from_meter,
    alert_raise,
    alerts_after_reports,
)
from gridtalk.core import clock
from gridtalk.grid.models import Circuit, Meter
from gridtalk.messaging.texts import render

pytestmark = pytest.mark.django_db


def report(
    village: Village, circuit: Circuit, credit: str | None, *, before: str = "100", **facts: Any
) -> None:
    amount = None if credit is None else Decimal(credit)
    alerts_after_reports(
        changes=[
            CircuitChange(circuit.pk, credit_before=Decimal(before), credit=amount, **facts),
        ]
    )


def threshold_set(village: Village, amount: int) -> None:
    Meter.objects.filter(pk=village.meter.pk).update(low_credit_threshold=amount)


def open_kinds(circuit: Circuit) -> set[str]:
    return set(
        Alert.objects.filter(circuit=circuit, cleared_at=None).values_list("kind", flat=True)
    )


@pytest.mark.parametrize(
    ("label", "threshold", "kind", "steps"),
    [
        # steps: (credit reported, credit before, whether an alert of the kind is open afterwards)
        (
            "low credit by threshold",
            50,
            "low_credit",
            [
                ("60", "61", False),
                ("49", "60", True),
                ("40", "49", True),
                ("50", "40", True),
                ("50.01", "50", False),
            ],
        ),
        (
            "low credit stays while none is left",
            50,
            "low_credit",
            [("10", "60", True), ("0", "10", True), ("20", "0", True), ("500", "20", False)],
        ),
        ("no threshold, none raised", 0, "low_credit", [("1", "2", False)]),
        (
            "no credit",
            0,
            "no_credit",
            [("0.01", "1", False), ("0", "0.01", True), ("-3", "0", True), ("0.5", "-3", False)],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_credit_of_reports(
    village: Village, label: str, threshold: int, kind: str, steps: list[tuple[str, str, bool]]
) -> None:
    threshold_set(village, threshold)
    circuit = village.circuits[0]
    for credit, before, is_open in steps:
        report(village, circuit, credit, before=before)
        assert (kind in open_kinds(circuit)) == is_open, credit


def test_a_raised_alert_tells_the_consumer_what_the_report_said(village: Village) -> None:
    threshold_set(village, 50)
    circuit = village.circuits[0]
    origin = village.incoming("(lxyz##)")
    report(village, circuit, "12.34", origin_id=origin.pk)
    alert = LowCredit.objects.get()
    assert (alert.origin_message, alert.meter, alert.repeats) == (origin, village.meter, 0)
    assert texts() == [
        (circuit.account.phone, render("en", "low_credit", account=circuit.pin, credit="12.34"))
    ]


def test_reports_that_stay_low_are_counted_and_tell_nobody(village: Village) -> None:
    threshold_set(village, 50)
    circuit = village.circuits[0]
    for credit in ("12", "11", "10"):
        report(village, circuit, credit)
    alert = LowCredit.objects.get()
    assert alert.repeats == 2
    assert alert.last_raised_at > alert.raised_at
    assert len(texts()) == 1


@pytest.mark.parametrize(
    ("credit", "before", "cleared"), [("10", "10", False), ("9", "10", False), ("510", "10", True)]
)
def test_without_a_threshold_the_meters_alert_is_cleared_by_any_rise(
    village: Village, credit: str, before: str, cleared: bool
) -> None:
    circuit = village.circuits[0]
    alert_from_meter(code="lcw", meter=village.meter, circuit=circuit)
    report(village, circuit, credit, before=before)
    assert (open_kinds(circuit) == set()) == cleared


def test_an_acknowledged_credit_clears_but_breaks_no_silence(village: Village) -> None:
    circuit = village.circuits[0]
    alert_from_meter(code="nocw", meter=village.meter, circuit=circuit)
    alert_raise(
        kind="unresponsive_circuit",
        meter=village.meter,
        circuit=circuit,
        last_heard_from=clock.now(),
    )
    report(village, circuit, "500", before="0", reported=False)
    assert open_kinds(circuit) == {"unresponsive_circuit"}


@pytest.mark.parametrize("kind", ["power_max", "energy_max"])
@pytest.mark.parametrize(("status", "cleared"), [(1, True), (0, False), (None, False)])
def test_a_limit_is_cleared_by_a_report_with_the_circuit_on(
    village: Village, kind: str, status: int | None, cleared: bool
) -> None:
    circuit = village.circuits[0]
    alert_raise(kind=kind, meter=village.meter, circuit=circuit)
    report(village, circuit, "60", status=status)
    assert (kind not in open_kinds(circuit)) == cleared


def test_any_report_breaks_the_silence(village: Village) -> None:
    alert_raise(
        kind="unresponsive_circuit",
        meter=village.meter,
        circuit=village.mains,
        last_heard_from=clock.now(),
    )
    alerts_after_reports(changes=[CircuitChange(village.mains.pk)])
    assert open_kinds(village.mains) == set()


def test_an_older_report_raises_nothing(village: Village) -> None:
    threshold_set(village, 50)
    alerts_after_reports(changes=[CircuitChange(village.circuits[0].pk)])
    assert not Alert.objects.exists()


def test_a_retired_circuit_raises_nothing_but_clears(village: Village) -> None:
    circuit = village.circuit_add(retired_at=clock.now())
    alert_raise(kind="power_max", meter=village.meter, circuit=circuit)
    report(village, circuit, "0", status=1)
    assert open_kinds(circuit) == set()


def test_a_mains_has_no_credit_to_run_out_of(village: Village) -> None:
    threshold_set(village, 50)
    for credit in ("0", "10"):
        report(village, village.mains, credit)
    assert not Alert.objects.exists()


def test_a_batch_does_all_of_it_at_once(village: Village) -> None:
    threshold_set(village, 50)
    low, none, fine, back = (village.circuit_add() for _ in range(4))
    alert_from_meter(code="nocw", meter=village.meter, circuit=back)
    before = len(texts())
    alerts_after_reports(
        changes=[
            CircuitChange(back.pk, Decimal(0), Decimal(500), 1),
            CircuitChange(low.pk, Decimal(60), Decimal(40), 1),
            CircuitChange(none.pk, Decimal(1), Decimal(0), 0),
            CircuitChange(fine.pk, Decimal(81), Decimal(80), 1),
            CircuitChange(village.mains.pk, None, None, 1),
        ]
    )
    assert open_kinds(low) == {"low_credit"}
    assert open_kinds(none) == {"no_credit"}
    assert open_kinds(fine) == open_kinds(back) == open_kinds(village.mains) == set()
    assert NoCredit.objects.count() == 2
    assert len(texts()) == before + 2


@pytest.mark.parametrize("circuits", [1, 60])
def test_where_nothing_changes_it_is_one_query(
    village: Village, circuits: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    threshold_set(village, 50)
    changes = [
        CircuitChange(village.circuit_add().pk, Decimal(81), Decimal(80), 1)
        for _ in range(circuits)
    ]
    with django_assert_num_queries(1):
        alerts_after_reports(changes=changes)
    with django_assert_num_queries(0):
        alerts_after_reports(changes=[])
    assert not Alert.objects.exists()


def test_the_number_of_queries_does_not_grow_with_what_stays_low(
    village: Village, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    threshold_set(village, 50)
    changes = [
        CircuitChange(village.circuit_add(phone="").pk, Decimal(41), Decimal(40), 1)
        for _ in range(20)
    ]
    alerts_after_reports(changes=changes)
    with django_assert_num_queries(2):
        alerts_after_reports(changes=changes)
    assert set(LowCredit.objects.values_list("repeats", flat=True)) == {1}
