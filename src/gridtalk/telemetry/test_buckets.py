"""What charts draw: rises by hour and day on hand-made cases, as the daily sums, and bounded."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from gridtalk.grid.models import Circuit
from gridtalk.telemetry.selectors import (
    Rise,
    credit_point_list,
    energy_by_day,
    power_point_list,
    rise_list,
)
from gridtalk.telemetry.services import pcu_log_insert
from gridtalk.telemetry.testing import circuit_make, log_make, meter_make

pytestmark = pytest.mark.django_db

KAMPALA = ZoneInfo("Africa/Kampala")


def at(text: str) -> datetime:
    """``09T13:20``, a day and a time of March in Kampala."""
    return datetime.fromisoformat(f"2026-03-{text}").replace(tzinfo=KAMPALA).astimezone(UTC)


START, END = at("01T00:00"), at("05T00:00")


def circuit_with(readings: list[tuple[str, float]]) -> Circuit:
    """A circuit of Kampala which reported these watt-hours."""
    circuit = circuit_make(meter_make(time_zone=KAMPALA.key))
    for time, watthours in readings:
        log_make(circuit, at(time), watthours=watthours)
    return circuit


def hours_of(circuit: Circuit, most: int = 1000) -> list[Rise]:
    return rise_list(
        circuit_ids=[circuit.pk], zone=KAMPALA.key, start=START, end=END, by="hour", most=most
    )


#: Readings of a counter, what each hour has of them, and each day.
CASES: list[tuple[str, list[tuple[str, float]], dict[str, float], dict[str, float]]] = [
    ("it counts up", [("01T01:00", 5), ("01T02:00", 7), ("01T03:00", 7)],
     {"01T02:00": 2, "01T03:00": 0}, {"01": 7}),
    ("midnight ends the day", [("01T23:00", 5), ("02T00:00", 9), ("02T01:00", 2)],
     {"02T00:00": 4, "02T01:00": 2}, {"01": 9, "02": 2}),
    ("anew at midnight itself", [("01T23:00", 5), ("02T00:00", 1), ("02T01:00", 3)],
     {"02T00:00": 1, "02T01:00": 2}, {"01": 5, "02": 3}),
    ("a new day begins at nothing", [("01T22:00", 50), ("02T02:00", 60)],
     {"02T02:00": 60}, {"01": 50, "02": 60}),
    ("a restart inside a day", [("01T01:00", 50), ("01T02:00", 3)], {"01T02:00": 3}, {"01": 53}),
    ("a restart inside an hour", [("01T01:00", 50), ("01T01:20", 58), ("01T01:40", 3),
     ("01T02:00", 9)], {"01T02:00": 17}, {"01": 67}),
    ("several in an hour are summed", [("01T01:00", 1), ("01T01:10", 2), ("01T01:59:59", 6),
     ("01T02:00", 7), ("01T02:00:01", 9)], {"01T02:00": 6, "01T03:00": 2}, {"01": 9}),
    ("one reading has no neighbour", [("01T01:00", 50)], {}, {"01": 50}),
    ("none", [], {}, {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("label", "readings", "hours", "days"), CASES, ids=[case[0] for case in CASES]
)
def test_a_counter_becomes_hours_and_days(
    label: str,
    readings: list[tuple[str, float]],
    hours: dict[str, float],
    days: dict[str, float],
) -> None:
    circuit = circuit_with(readings)
    log_make(circuit, at("03T12:00"), watthours=9, latency_s=-4000)  # flagged: its clock is ahead
    found = hours_of(circuit)
    assert {rise.at: rise.energy_wh for rise in found} == {
        at(time): Decimal(value) for time, value in hours.items()
    }, label
    by_day = rise_list(circuit_ids=[circuit.pk], zone=KAMPALA.key, start=START, end=END, by="day")
    assert {rise.at: rise.energy_wh for rise in by_day} == {
        at(f"{day}T12:00"): Decimal(value) for day, value in days.items()
    }, label
    sums = energy_by_day(
        circuit_ids=[circuit.pk], first_day=at("01T12:00").date(), last_day=at("04T12:00").date()
    )
    assert [day.energy_wh for day in sums] == [rise.energy_wh for rise in by_day], label


def test_of_many_reports_the_older_are_taken_by_the_hour() -> None:
    readings = [
        (f"{day:02}T{hour:02}:{minute:02}", hour * 60 + minute)
        for day in (1, 2)
        for hour in range(24)
        for minute in range(0, 60, 10)
    ]
    circuit = circuit_with(readings)
    every = {rise.at: rise.energy_wh for rise in hours_of(circuit)}
    # What follows midnight is not that day's last report, but 23:50 is.
    assert set(every.values()) == {50, 60}
    for most in (1, 20, 150):
        found = {rise.at: rise.energy_wh for rise in hours_of(circuit, most=most)}
        # The first has no neighbour; each other is right to one report.
        assert list(found) == list(every)[1:]
        for instant, energy in found.items():
            assert abs(energy - every[instant]) <= 10, (most, instant)


def test_the_hour_before_the_span_is_a_neighbour() -> None:
    circuit = circuit_with([("01T01:00", 1), ("01T01:30", 3), ("01T02:00", 4), ("01T02:10", 9)])
    (rise,) = rise_list(
        circuit_ids=[circuit.pk], zone=KAMPALA.key, start=at("01T02:00"), end=END, by="hour"
    )
    assert (rise.at, rise.energy_wh) == (at("01T03:00"), 5)


def test_circuits_are_counted_apart() -> None:
    one, two = (circuit_with([("01T01:00", 5), ("01T02:00", n)]) for n in (6, 8))
    found = rise_list(
        circuit_ids=[one.pk, two.pk], zone=KAMPALA.key, start=START, end=END, by="hour"
    )
    assert [(rise.circuit_id, rise.energy_wh) for rise in found] == [(one.pk, 1), (two.pk, 3)]
    assert rise_list(circuit_ids=[], zone="UTC", start=START, end=END, by="hour") == []


def test_of_each_part_the_newest_credit_and_power() -> None:
    circuit = circuit_make()
    ends = [START + timedelta(minutes=10 * number) for number in range(1, 13)]
    for number, time in enumerate(ends):
        log_make(circuit, time, credit=number)
        pcu_log_insert(
            meter_id=circuit.meter_id, meter_time=time, values=[float(number)] * 9, raw="",
            received_at=time,
        )  # fmt: skip
    log_make(circuit, START + timedelta(minutes=5), credit=99, latency_s=-4000)
    log_make(circuit, START + timedelta(minutes=6))  # without credit
    given = {"start": START, "end": START + timedelta(hours=2)}
    assert credit_point_list(circuit_id=circuit.pk, **given, points=4) == [
        (ends[number], number) for number in (2, 5, 8, 11)
    ]
    assert len(credit_point_list(circuit_id=circuit.pk, **given, points=100)) == 12
    power = power_point_list(meter_id=circuit.meter_id, **given, points=4)
    assert [(point.at, point.battery_volts) for point in power] == [
        (ends[number], number) for number in (2, 5, 8, 11)
    ]
