"""Credit consumed and energy by day: hand-made cases, and real reports of 2012."""

import csv
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gridtalk.grid.models import Circuit
from gridtalk.telemetry.selectors import (
    CreditAdded,
    CreditConsumed,
    EnergyDay,
    credit_consumed,
    energy_by_day,
)
from gridtalk.telemetry.testing import circuit_make, instant, log_make, meter_make

pytestmark = pytest.mark.django_db

START, END = instant("2026-11-10T00:00"), instant("2026-11-11T00:00")


def time_of(text: str) -> datetime:
    """``10:30`` on 10 November; ``-`` a day earlier, ``+`` a day later."""
    days = {"-": -1, "+": 1}.get(text[0], 0)
    return instant(f"2026-11-10T{text.lstrip('+-')}") + timedelta(days=days)


@pytest.mark.parametrize(
    ("label", "logs", "added", "consumed", "unexplained"),
    [
        ("no report", "", "", 0, 0),
        ("one report in the span", "01:00 100", "", 0, 0),
        ("drops", "01:00 100, 02:00 90, 03:00 85.5", "", "14.50", 0),
        ("the drop since the last report before", "-20:00 100, 01:00 90", "", 10, 0),
        ("but not that before it", "-19:00 500, -20:00 100, 01:00 90", "", 10, 0),
        ("nor the one after", "01:00 90, +01:00 50", "", 0, 0),
        ("a report at the end belongs to it", "01:00 90, +00:00 80", "", 10, 0),
        ("one at the start does not", "-23:00 100, 00:00 90, 01:00 89", "", 1, 0),
        ("credit added in between", "01:00 100, 02:00 590", "01:30 500", 10, 0),
        ("added twice", "01:00 100, 02:00 590", "01:10 300, 01:50 200", 10, 0),
        ("added at the instant of the report", "01:00 100, 02:00 590", "02:00 500", 10, 0),
        ("of another circuit", "01:00 100, 02:00 600", "01:30 500 other", 0, 500),
        ("a rise that nothing explains", "01:00 100, 02:00 600, 03:00 590", "", 10, 500),
        ("added, more than explained", "01:00 100, 02:00 700", "01:30 500", 0, 100),
        ("a report shows it before the acknowledgement", "01:00 100, 02:00 590, 03:00 580",
         "02:01 500", 20, 0),
        ("a report misses it after the acknowledgement", "01:00 100, 02:00 90, 03:00 580",
         "01:59 500", 20, 0),
        ("shown and missed", "01:00 100, 02:00 590, 03:00 580, 04:00 570, 05:00 1060",
         "02:01 500, 03:59 500", 40, 0),
        ("shown early, across the start", "-22:00 100, -23:00 590, 00:30 580", "00:01 500", 10, 0),
        ("missed, across the end", "22:00 100, 23:30 90, +01:00 580", "23:00 500", 10, 0),
        ("one of two shown early", "01:00 100, 02:00 590, 03:00 880", "02:01 500, 02:30 300",
         20, 0),
        ("missed, after a tiny rise", "01:00 100, 02:00 100.50, 03:00 95, 04:00 585", "02:30 500",
         "15", 0),
        ("acknowledged, never seen", "01:00 100, 02:00 90, 03:00 80", "01:30 500", 520, 0),
        ("an unexplained rise beside a real addition", "01:00 100, 02:00 600, 03:00 1090",
         "02:30 500", 10, 500),
        ("a clock an hour and a minute slow", "01:00 100, 02:00 40 3660, 03:00 90", "", 10, 0),
        ("a clock an hour and a minute ahead", "01:00 100, 02:00 40 -3660, 03:00 90", "", 10, 0),
        ("a clock an hour off", "01:00 100, 02:00 40 3600, 03:00 30", "", 70, 0),
        ("reports without credit", "01:00 100, 02:00 none, 03:00 90", "", 10, 0),
        ("below zero", "01:00 5, 02:00 -5.25", "", "10.25", 0),
    ],
)  # fmt: skip
def test_credit_consumed(
    label: str, logs: str, added: str, consumed: str | int, unexplained: int
) -> None:
    meter = meter_make()
    circuit, other = circuit_make(meter), circuit_make(meter, last=2)
    for entry in filter(None, logs.split(", ")):
        time, credit, *latency = entry.split()
        log_make(
            circuit,
            time_of(time),
            credit=None if credit == "none" else credit,
            latency_s=int(latency[0]) if latency else 60,
        )
    additions = []
    for entry in filter(None, added.split(", ")):
        time, amount, *whose = entry.split()
        owner = other if whose else circuit
        additions.append(CreditAdded(owner.id, time_of(time), Decimal(amount)))
    found = credit_consumed(
        circuit_ids=[circuit.id, other.id], start=START, end=END, added=additions
    )
    assert found == {
        circuit.id: CreditConsumed(Decimal(consumed), Decimal(unexplained)),
        other.id: CreditConsumed(),
    }


@pytest.mark.parametrize(
    ("label", "zone", "logs", "expected"),
    [
        ("the last value of the day", "UTC", "10T01 5, 10T22 80, 10T23 90", [("10", 90, 3, 0)]),
        ("two days", "UTC", "10T23 90, 11T01 4", [("10", 90, 1, 0), ("11", 4, 1, 0)]),
        ("a restart", "UTC", "10T01 5, 10T02 9, 10T03 1, 10T04 3", [("10", 12, 4, 1)]),
        ("two restarts", "UTC", "10T01 5, 10T02 1, 10T03 0", [("10", 6, 3, 2)]),
        ("midnight closes the day before", "UTC", "10T23 90, 11T00 95, 11T01 4",
         [("10", 95, 2, 0), ("11", 4, 1, 0)]),
        ("midnight opens the day", "UTC", "10T23 90, 11T00 1, 11T01 4",
         [("10", 90, 1, 0), ("11", 4, 2, 0)]),
        ("midnight without the day before", "UTC", "11T00 95, 11T01 99", [("11", 99, 2, 0)]),
        ("the meter's day", "Africa/Kampala", "10T20 90, 10T22 3",
         [("10", 90, 1, 0), ("11", 3, 1, 0)]),
        ("the far east", "Pacific/Kiritimati", "09T09 90, 09T11 3", [("10", 3, 1, 0)]),
        ("days outside", "UTC", "09T12 50, 12T12 50", []),
    ],
)  # fmt: skip
def test_energy_by_day(
    label: str, zone: str, logs: str, expected: list[tuple[str, int, int, int]]
) -> None:
    circuit = circuit_make(meter_make(time_zone=zone))
    for entry in logs.split(", "):
        time, watthours = entry.split()
        log_make(circuit, f"2026-11-{time}:00", watthours=watthours)
    log_make(circuit, "2026-11-10T12:30", watthours=9999, latency_s=-4000)
    assert energy_by_day(
        circuit_ids=[circuit.id], first_day=date(2026, 11, 10), last_day=date(2026, 11, 11)
    ) == [
        EnergyDay(circuit.id, date(2026, 11, int(day)), Decimal(energy), reports, restarts)
        for day, energy, reports, restarts in expected
    ]


# --- Real reports -------------------------------------------------------------------------------

KAMPALA = ZoneInfo("Africa/Kampala")


def real_column(name: str) -> list[tuple[datetime, Decimal]]:
    """A column of the fixture: (instant, value) where there is one. The hours are local."""
    text = Path(__file__).with_name("fixtures").joinpath("uganda_2012_09.csv").read_text()
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return [
        (datetime.fromisoformat(f"{row['hour']}:00").replace(tzinfo=KAMPALA), Decimal(row[name]))
        for row in rows
        if row[name]
    ]


def real_circuit(name: str) -> tuple[Circuit, list[tuple[datetime, Decimal]]]:
    circuit = circuit_make(meter_make(time_zone="Africa/Kampala"))
    reports = real_column(f"{name}_credit")
    for time, credit in reports:
        log_make(circuit, time.astimezone(UTC), credit=credit)
    return circuit, reports


@pytest.mark.parametrize(
    ("name", "recharges"),
    [
        ("ug03_2", {}),
        # What the consumers bought, in round sums: read off the rises by eye.
        ("ug01_5", {"2012-09-16T11:30": 10_000}),
        ("ug01_7", {"2012-09-14T07:30": 5_000, "2012-09-16T09:30": 5_000}),
    ],
)
def test_real_credit(name: str, recharges: dict[str, int]) -> None:
    circuit, reports = real_circuit(name)
    added = [
        CreditAdded(circuit.id, datetime.fromisoformat(at).replace(tzinfo=KAMPALA), Decimal(amount))
        for at, amount in recharges.items()
    ]
    first, last = reports[0], reports[-1]
    # Where all rises are explained, the sum telescopes: opening + bought - closing.
    spent = first[1] + sum(recharges.values()) - last[1]
    assert credit_consumed(circuit_ids=[circuit.id], start=first[0], end=last[0], added=added) == {
        circuit.id: CreditConsumed(spent, Decimal(0))
    }
    # Neighbouring spans add up, wherever they are cut.
    cut = first[0] + timedelta(hours=60)
    parts = [
        credit_consumed(circuit_ids=[circuit.id], start=start, end=end, added=added)[circuit.id]
        for start, end in ((first[0], cut), (cut, last[0]))
    ]
    assert sum(part.consumed for part in parts) == spent


def test_real_credit_with_rises_that_nothing_explains() -> None:
    circuit, reports = real_circuit("ug08_10")
    steps = [after - before for (_, before), (_, after) in pairwise(reports)]
    assert credit_consumed(circuit_ids=[circuit.id], start=reports[0][0], end=reports[-1][0]) == {
        circuit.id: CreditConsumed(
            -sum((step for step in steps if step < 0), Decimal(0)),
            sum((step for step in steps if step > 0), Decimal(0)),
        )
    }


@pytest.mark.parametrize("name", ["ug03_2", "ug03_0"])
def test_real_energy(name: str) -> None:
    """Wh of each hour, counted up since local midnight as the meters do."""
    circuit = circuit_make(meter_make(time_zone="Africa/Kampala"))
    expected: dict[date, Decimal] = {}
    for time, watthours in real_column(f"{name}_wh"):
        day = time.date()
        expected[day] = expected.get(day, Decimal(0)) + watthours
        log_make(circuit, time.astimezone(UTC), watthours=expected[day])
    days = energy_by_day(circuit_ids=[circuit.id], first_day=min(expected), last_day=max(expected))
    assert {day.day: day.energy_wh for day in days} == expected
    assert len(expected) == 8
    assert sum(day.restarts for day in days) == 0
