"""Partitions: the months that are there, rows that move out of DEFAULT, two processes at once."""

import threading
from datetime import UTC, datetime

import pytest
import time_machine
from django.db import OperationalError, connection, transaction

from gridtalk.core.money import ZERO
from gridtalk.telemetry import partitions as partitions_module
from gridtalk.telemetry.models import Log, PrimaryLog
from gridtalk.telemetry.partitions import month_start, partitions_ensure
from gridtalk.telemetry.services import NewReading, primary_logs_insert
from gridtalk.telemetry.testing import circuit_make, instant, log_make


def partitions(table: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass",
            [table],
        )
        return {name for (name,) in cursor.fetchall()}


def stored_in(model: type[Log]) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT tableoid::regclass::text FROM {model._meta.db_table} ORDER BY id")
        return [name for (name,) in cursor.fetchall()]


@pytest.mark.parametrize(
    ("instant", "months", "expected"),
    [
        ("2026-11-23T15:00:00+00:00", 0, "2026-11-01"),
        ("2026-11-23T15:00:00+00:00", 2, "2027-01-01"),
        ("2026-01-01T00:00:00+00:00", -1, "2025-12-01"),
        # Already March in Nairobi, still February in UTC.
        ("2026-03-01T01:00:00+03:00", 0, "2026-02-01"),
    ],
)
def test_month_start(instant: str, months: int, expected: str) -> None:
    assert month_start(datetime.fromisoformat(instant), months) == datetime.fromisoformat(
        expected
    ).replace(tzinfo=UTC)


@pytest.mark.django_db
def test_migrate_made_this_month_and_the_next() -> None:
    now = datetime.now(UTC)
    for table in ("logs", "primary_logs"):
        for months in (-1, 0, 1, 2):
            assert f"{table}_{month_start(now, months):%Y_%m}" in partitions(table)


@pytest.mark.django_db
@time_machine.travel("2031-12-15T12:00:00Z")
def test_a_second_call_makes_nothing() -> None:
    assert partitions_ensure() == [
        f"{table}_{month}"
        for table in ("logs", "primary_logs")
        for month in ("2031_11", "2031_12", "2032_01", "2032_02")
    ]
    assert partitions_ensure() == []
    assert partitions_ensure(until=datetime(2032, 3, 31, 23, tzinfo=UTC)) == [
        "logs_2032_03",
        "primary_logs_2032_03",
    ]


@pytest.mark.django_db
def test_rows_move_out_of_the_default_partition() -> None:
    circuit = circuit_make()
    times = ["2012-07-31T23:00", "2012-08-01T00:00", "2012-08-31T23:00", "2012-09-01T00:00"]
    for time in times:
        log_make(circuit, time)
    assert set(stored_in(PrimaryLog)) == {"primary_logs_default"}
    august = datetime(2012, 8, 5, tzinfo=UTC)
    assert partitions_ensure(since=august, until=august) == ["logs_2012_08", "primary_logs_2012_08"]
    assert stored_in(PrimaryLog) == [
        "primary_logs_default",
        "primary_logs_2012_08",
        "primary_logs_2012_08",
        "primary_logs_default",
    ]
    assert PrimaryLog.objects.count() == 4


@pytest.mark.django_db
def test_logs_lie_in_the_month_of_their_id() -> None:
    circuit = circuit_make()
    log_make(circuit, "2012-07-31T23:00")
    assert stored_in(Log) == [f"logs_{datetime.now(UTC):%Y_%m}"]
    may = datetime(2013, 5, 1, tzinfo=UTC)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO logs (id, kind, received_at) VALUES (gridtalk_id_at(%s), 'pcu', %s)",
            [may, may],
        )
    partitions_ensure(since=may, until=may)
    assert "logs_2013_05" in stored_in(Log)


@pytest.mark.django_db(transaction=True)
def test_two_at_once_beside_a_writer() -> None:
    circuit = circuit_make()
    month = datetime(2033, 1, 1, tzinfo=UTC)
    results: list[object] = []

    def ensure() -> None:
        try:
            results.append(partitions_ensure(since=month, until=month))
        except BaseException as error:
            results.append(error)
            raise
        finally:
            connection.close()

    def write() -> None:
        try:
            for day in range(1, 29):
                time = instant(f"2033-01-{day:02}T00:00")
                with transaction.atomic():
                    primary_logs_insert(
                        readings=[NewReading(circuit.id, time, ZERO, ZERO, 1, None, time, None)]
                    )
            results.append("written")
        finally:
            connection.close()

    threads = [threading.Thread(target=target) for target in (write, ensure, ensure)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    try:
        made = sorted(name for names in results if isinstance(names, list) for name in names)
        assert made == ["logs_2033_01", "primary_logs_2033_01"]
        assert "written" in results
        assert stored_in(PrimaryLog) == ["primary_logs_2033_01"] * 28
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE logs_2033_01, primary_logs_2033_01")


@pytest.mark.django_db(transaction=True)
def test_a_long_reader_is_waited_for_and_then_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions_module, "_LOCK_TIMEOUT_MS", 100)
    month = datetime(2034, 1, 1, tzinfo=UTC)
    before = partitions("logs")
    errors: list[Exception] = []

    def ensure() -> None:
        try:
            partitions_ensure(since=month, until=month)
        except OperationalError as error:
            errors.append(error)
        finally:
            connection.close()

    with transaction.atomic():
        assert Log.objects.count() == 0
        thread = threading.Thread(target=ensure)
        thread.start()
        thread.join(30)
    assert [str(error) for error in errors] == ["canceling statement due to lock timeout"]
    assert partitions("logs") == before
