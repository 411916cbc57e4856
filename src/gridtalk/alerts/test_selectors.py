"""Finding alerts."""

from datetime import timedelta

import pytest
import time_machine
from pytest_django import DjangoAssertNumQueries

from gridtalk.alerts.conftest import Village, village_make
from gridtalk.alerts.models import EnergyMax, MeterFault, PowerMax
from gridtalk.alerts.selectors import alert_get, alert_list, alert_open_counts
from gridtalk.alerts.services import alert_clear, alert_from_meter
from gridtalk.core.errors import NotFound

pytestmark = pytest.mark.django_db


@pytest.fixture
def other(village: Village) -> Village:
    """Two meters: on the first pmax and emax (cleared) of one circuit, then md; on the other md."""
    second = village_make("ml02", phone="+22370000002")
    circuit = village.circuits[0]
    with time_machine.travel("2026-03-01T12:00Z", tick=False) as traveller:
        for code in ("pmax", "emax"):
            alert_from_meter(code=code, meter=village.meter, circuit=circuit)
            traveller.shift(timedelta(minutes=1))
        alert_clear(kind="energy_max", meter=village.meter, circuit=circuit)
        alert_from_meter(code="md", meter=village.meter)
        traveller.shift(timedelta(minutes=1))
        alert_from_meter(code="md", meter=second.meter)
    return second


def test_alerts_are_found_as_children_newest_first(village: Village, other: Village) -> None:
    found = alert_list()
    assert [type(alert) for alert in found] == [MeterFault, MeterFault, EnergyMax, PowerMax]
    assert [alert.meter for alert in found] == [other.meter, *[village.meter] * 3]
    assert alert_list(limit=2, offset=1) == found[1:3]


def test_alerts_are_filtered(village: Village, other: Village) -> None:
    circuit = village.circuits[0]
    cases = [
        ({"meter": village.meter}, ["meter_fault", "energy_max", "power_max"]),
        ({"circuit": circuit}, ["energy_max", "power_max"]),
        ({"circuit": circuit, "open_only": True}, ["power_max"]),
        ({"kind": "meter_fault"}, ["meter_fault", "meter_fault"]),
        ({"kind": "meter_fault", "meter": other.meter}, ["meter_fault"]),
        ({"kind": "low_credit"}, []),
    ]
    for wanted, kinds in cases:
        assert [alert.kind for alert in alert_list(**wanted)] == kinds, wanted


def test_a_page_costs_the_same_for_many(
    village: Village, other: Village, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(5):
        alert_from_meter(code="pmax", meter=village.meter, circuit=village.circuit_add())
    with django_assert_num_queries(7):  # alerts, three kinds, meters, circuits, accounts
        for alert in alert_list():
            assert alert.meter.name
            assert alert.circuit is None or alert.circuit.account.phone
            assert alert.acknowledged_by is None


def test_open_alerts_are_counted_by_meter(village: Village, other: Village) -> None:
    third = village_make("ml03", phone="+22370000003")
    assert alert_open_counts() == {village.meter.pk: 2, other.meter.pk: 1}
    assert alert_open_counts(meters=[other.meter, third.meter]) == {other.meter.pk: 1}


def test_one_alert_is_found_or_not(village: Village, other: Village) -> None:
    (alert,) = alert_list(kind="power_max")
    assert alert_get(alert_id=alert.pk) == alert
    with pytest.raises(NotFound, match="there is no alert 0"):
        alert_get(alert_id=0)
