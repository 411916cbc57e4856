"""The bulk insert: what is stored, what is counted, and what a circuit shows afterwards."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

import pytest
from django.db import connection, transaction

from gridtalk.core.errors import NotFound, UserError
from gridtalk.grid.models import Circuit
from gridtalk.telemetry.models import Log, PCULog, PrimaryLog
from gridtalk.telemetry.services import (
    NewReading,
    Outcome,
    pcu_log_insert,
    primary_logs_insert,
)
from gridtalk.telemetry.testing import circuit_make, instant, meter_make

STORED, AHEAD, DUPLICATE = Outcome.STORED, Outcome.AHEAD, Outcome.DUPLICATE
MINUTE = timedelta(minutes=1)


def reading(
    circuit: Circuit,
    time: str = "2026-11-23T12:00",
    credit: str | None = "100.00",
    *,
    status: int = 1,
    received: str | None = None,
    message: int | None = None,
) -> NewReading:
    return NewReading(
        circuit.id,
        instant(time),
        Decimal("10.5"),
        Decimal(3600),
        status,
        None if credit is None else Decimal(credit),
        instant(received) if received else instant(time) + MINUTE,
        message,
    )


def state(circuit: Circuit) -> dict[str, object]:
    circuit.refresh_from_db()
    return {
        "credit": circuit.credit,
        "credit_as_of": circuit.credit_as_of,
        "credit_estimated": circuit.credit_estimated,
        "status": circuit.status,
        "status_as_of": circuit.status_as_of,
        "last_reported_at": circuit.last_reported_at,
        "last_meter_time": circuit.last_meter_time,
    }


@pytest.mark.django_db
def test_a_report_is_stored_and_mirrored() -> None:
    circuit = circuit_make(credit=5, credit_estimated=True, status=1)
    result = primary_logs_insert(readings=[reading(circuit, credit="99.50", status=0, message=7)])
    assert (result.inserted, result.duplicates, result.outcomes) == (1, 0, [STORED])
    log = PrimaryLog.objects.get()
    assert log.kind == "primary"
    assert log.message_id == 7
    assert log.received_at == instant("2026-11-23T12:01")
    assert (log.circuit_id, log.meter_time) == (circuit.id, instant("2026-11-23T12:00"))
    assert (log.watthours, log.use_time_s) == (Decimal("10.50"), Decimal(3600))
    assert (log.status, log.credit, log.clock_ahead, log.latency_s) == (
        0,
        Decimal("99.50"),
        False,
        60,
    )
    noon = instant("2026-11-23T12:00")
    assert state(circuit) == {
        "credit": Decimal("99.50"),
        "credit_as_of": noon,
        "credit_estimated": False,
        "status": 0,
        "status_as_of": noon,
        "last_reported_at": noon + MINUTE,
        "last_meter_time": noon,
    }
    (change,) = result.changes
    assert (change.circuit_id, change.meter_id, change.is_main) == (
        circuit.id, circuit.meter_id, False,
    )  # fmt: skip
    assert (change.credit_before, change.credit_after) == (Decimal(5), Decimal("99.50"))
    assert (change.status_before, change.status_after) == (1, 0)
    assert change.credit_taken
    assert change.status_taken
    assert change.estimated_before
    assert [logged.log_id for logged in change.readings] == [log.id]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("label", "before", "given", "expected"),
    [
        (
            "an older report",
            {"credit": 50, "credit_as_of": "2026-11-23T13:00", "status": 0,
             "status_as_of": "2026-11-23T13:00", "last_meter_time": "2026-11-23T13:00",
             "last_reported_at": "2026-11-23T13:01", "credit_estimated": True},
            {"received": "2026-11-23T14:00"},
            {"credit": 50, "credit_as_of": "2026-11-23T13:00", "status": 0,
             "credit_estimated": True, "last_meter_time": "2026-11-23T13:00",
             "last_reported_at": "2026-11-23T14:00"},
        ),
        (
            "a report of the same time as an acknowledgement",
            {"credit": 50, "credit_as_of": "2026-11-23T12:00", "status": 0,
             "status_as_of": "2026-11-23T12:00"},
            {},
            {"credit": 50, "status": 0, "last_meter_time": "2026-11-23T12:00"},
        ),
        (
            "an acknowledgement took the status only, later",
            {"credit": 50, "credit_as_of": "2026-11-23T11:00", "status": 0,
             "status_as_of": "2026-11-23T12:30"},
            {},
            {"credit": 100, "credit_as_of": "2026-11-23T12:00", "status": 0,
             "status_as_of": "2026-11-23T12:30"},
        ),
        (
            "a report without credit",
            {"credit": 50, "credit_as_of": "2026-11-23T11:00", "credit_estimated": True},
            {"credit": None, "status": 0},
            {"credit": 50, "credit_as_of": "2026-11-23T11:00", "credit_estimated": True,
             "status": 0, "status_as_of": "2026-11-23T12:00"},
        ),
        (
            "a clock 61 minutes ahead",
            {"credit": 50, "status": 1},
            {"status": 0, "received": "2026-11-23T10:59"},
            {"credit": 50, "credit_as_of": None, "status": 1, "status_as_of": None,
             "last_meter_time": None, "last_reported_at": "2026-11-23T10:59"},
        ),
        (
            "a clock 60 minutes ahead",
            {"credit": 50},
            {"received": "2026-11-23T11:00"},
            {"credit": 100, "last_meter_time": "2026-11-23T12:00"},
        ),
        (
            "a receipt older than the last one",
            {"last_reported_at": "2026-11-23T15:00"},
            {},
            {"credit": 100, "last_reported_at": "2026-11-23T15:00"},
        ),
        ("a negative credit", {"credit": 1}, {"credit": "-0.01"}, {"credit": Decimal("-0.01")}),
    ],
)  # fmt: skip
def test_what_the_circuit_shows(
    label: str, before: dict[str, object], given: dict[str, object], expected: dict[str, object]
) -> None:
    circuit = circuit_make(
        **{
            key: instant(value) if isinstance(value, str) else value
            for key, value in before.items()
        }
    )
    result = primary_logs_insert(readings=[reading(circuit, **given)])
    assert result.inserted == 1
    assert PrimaryLog.objects.count() == 1
    after = state(circuit)
    for key, value in expected.items():
        assert after[key] == (instant(value) if isinstance(value, str) else value), key
    (change,) = result.changes
    assert change.credit_after == after["credit"]
    assert change.status_after == after["status"]
    assert change.credit_taken == (after["credit_as_of"] == instant("2026-11-23T12:00")) or (
        label == "a report of the same time as an acknowledgement"
    )


@pytest.mark.django_db
def test_a_mains_has_no_credit() -> None:
    mains = circuit_make(last=0)
    primary_logs_insert(readings=[reading(mains, credit="7.00")])
    assert state(mains)["credit"] == 0
    assert state(mains)["credit_as_of"] is None
    assert PrimaryLog.objects.get().credit == 7


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("label", "first", "second", "outcomes", "credit"),
    [
        ("the same twice in a batch", None, ["12|1", "12|2"], [STORED, DUPLICATE], 1),
        ("again in a later batch", ["12|1"], ["12|2"], [DUPLICATE], 1),
        ("a duplicate beside a new one", ["12|1"], ["12|2", "13|3"], [DUPLICATE, STORED], 3),
        ("newest last", None, ["12|1", "13|2"], [STORED, STORED], 2),
        ("newest first", None, ["13|2", "12|1"], [STORED, STORED], 2),
        ("an ahead report gives way to the true one", ["12|1|09"], ["12|2"], [STORED], 2),
        ("… in one batch", None, ["12|1|09", "12|2"], [DUPLICATE, STORED], 2),
        ("but not to another ahead", ["12|1|09"], ["12|2|10"], [DUPLICATE], 0),
        ("nor does a true one give way", ["12|1"], ["12|2|09"], [DUPLICATE], 1),
    ],
)
def test_duplicates(
    label: str, first: list[str] | None, second: list[str], outcomes: list[Outcome], credit: int
) -> None:
    circuit = circuit_make()

    def made(texts: list[str]) -> list[NewReading]:
        readings = []
        for text in texts:
            hour, amount, *received = text.split("|")
            readings.append(
                reading(
                    circuit,
                    f"2026-11-23T{hour}:00",
                    amount,
                    received=f"2026-11-23T{received[0]}:00" if received else None,
                )
            )
        return readings

    if first:
        primary_logs_insert(readings=made(first))
    result = primary_logs_insert(readings=made(second))
    assert result.outcomes == outcomes
    assert result.inserted == len(outcomes) - outcomes.count(DUPLICATE)
    assert result.duplicates == outcomes.count(DUPLICATE)
    assert state(circuit)["credit"] == credit
    # No parent without its child, and none twice.
    assert Log.objects.count() == PrimaryLog.objects.count()


@pytest.mark.django_db
def test_a_duplicate_counts_as_heard() -> None:
    circuit = circuit_make()
    primary_logs_insert(readings=[reading(circuit)])
    result = primary_logs_insert(readings=[reading(circuit, received="2026-11-23T18:00")])
    assert state(circuit)["last_reported_at"] == instant("2026-11-23T18:00")
    (change,) = result.changes
    assert change.readings == []
    assert not change.credit_taken
    assert not change.status_taken
    assert change.heard_at == instant("2026-11-23T18:00")


@pytest.mark.django_db
def test_changes_hold_all_new_readings_in_order_of_meter_time() -> None:
    one, two = circuit_make(), circuit_make()
    result = primary_logs_insert(
        readings=[
            reading(two, "2026-11-23T14:00", "30"),
            reading(one, "2026-11-23T13:00", "20"),
            reading(two, "2026-11-23T12:00", "40"),
            reading(two, "2026-11-23T13:00", None),
        ]
    )
    assert [change.circuit_id for change in result.changes] == [one.id, two.id]
    amounts = [logged.reading.credit for logged in result.changes[1].readings]
    assert amounts == [Decimal(40), None, Decimal(30)]
    assert result.changes[1].credit_after == 30
    assert list(Log.objects.order_by("id").values_list("id", flat=True)) == list(
        PrimaryLog.objects.order_by("pk").values_list("pk", flat=True)
    )


@pytest.mark.django_db
def test_a_circuit_that_is_not_there() -> None:
    circuit = circuit_make()
    gone = reading(circuit)._replace(circuit_id=circuit.id + 1)
    with pytest.raises(NotFound, match=str(circuit.id + 1)):
        primary_logs_insert(readings=[reading(circuit), gone])
    assert PrimaryLog.objects.count() == 0


@pytest.mark.django_db
def test_nothing_to_do() -> None:
    assert primary_logs_insert(readings=[]) == (0, 0, [], [])


@pytest.mark.django_db(transaction=True)
def test_without_a_transaction_it_is_refused() -> None:
    with pytest.raises(RuntimeError, match="transaction"):
        primary_logs_insert(readings=[reading(circuit_make())])


@pytest.mark.django_db(transaction=True)
def test_ten_thousand_by_two_workers_in_opposite_orders() -> None:
    circuits = [circuit_make() for _ in range(20)]
    hours = [instant("2026-11-01T00:00") + timedelta(hours=hour) for hour in range(250)]
    numbers = count(1)
    readings = [
        NewReading(
            circuit.id, hour, Decimal(1), Decimal(1), 1, Decimal(next(numbers)), hour + MINUTE, None
        )
        for hour in hours
        for circuit in circuits
    ]
    results = []

    def work(mine: list[NewReading]) -> None:
        try:
            for start in range(0, len(mine), 1000):
                with transaction.atomic():
                    results.append(primary_logs_insert(readings=mine[start : start + 1000]))
        finally:
            connection.close()

    workers = [
        threading.Thread(target=work, args=[mine]) for mine in (readings, list(reversed(readings)))
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    # Each of the 5,000 readings was given twice: stored once, counted once, and no deadlock.
    assert len(results) == 10
    assert sum(result.inserted for result in results) == 5_000
    assert sum(result.duplicates for result in results) == 5_000
    assert PrimaryLog.objects.count() == Log.objects.count() == 5_000
    for circuit, last in zip(circuits, readings[-20:], strict=True):
        assert state(circuit)["credit"] == last.credit


@pytest.fixture
def pcu_values() -> Iterator[list[Decimal | None]]:
    return [Decimal(value) for value in ("1.5", "2", "3", "48.01", "0", "0", "2.5", "60", "25.5")]


@pytest.mark.django_db
def test_pcu_log(pcu_values: list[Decimal | None]) -> None:
    meter = meter_make()
    noon = instant("2026-11-23T12:00")
    facts = {
        "meter_id": meter.id,
        "meter_time": noon,
        "values": pcu_values,
        "raw": "(pcu#…)",
        "received_at": noon + MINUTE,
        "message_id": 3,
    }
    log_id = pcu_log_insert(**facts)
    assert pcu_log_insert(**facts) is None
    log = PCULog.objects.get()
    assert (log.pk, log.kind, log.message_id) == (log_id, "pcu", 3)
    assert (log.cumulative_kwh_solar, log.battery_volts, log.battery_temp) == (1.5, 48.01, 25.5)
    assert log.raw == "(pcu#…)"
    facts["meter_time"] = noon + MINUTE
    assert pcu_log_insert(**{**facts, "values": [*pcu_values[:8], None]})
    assert PCULog.objects.latest("pk").battery_temp is None
    facts["meter_time"] = noon + 2 * MINUTE
    assert pcu_log_insert(**{**facts, "values": [None] * 9})
    assert PCULog.objects.latest("pk").solar_volts is None
    assert Log.objects.count() == 3


@pytest.mark.django_db
@pytest.mark.parametrize("values", [[], [Decimal(1)] * 8, [Decimal(1)] * 10])
def test_a_pcu_report_of_other_shape(values: list[Decimal | None]) -> None:
    noon = datetime(2026, 11, 23, tzinfo=UTC)
    with pytest.raises(UserError, match="9 values"):
        pcu_log_insert(meter_id=1, meter_time=noon, values=values, raw="", received_at=noon)
