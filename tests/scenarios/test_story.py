"""``gridtalk demo --once``: the whole village as a process, and what it leaves in the database."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.scenario

LOOK = """
import json, os, psycopg
with psycopg.connect(os.environ["GRIDTALK_DATABASE_URL"]) as database:
    def one(query):
        return database.execute(query).fetchone()[0]
    print(json.dumps({
        "unhandled": one("SELECT count(*) FROM incoming_messages WHERE handled_at IS NULL"),
        "failed": one("SELECT count(*) FROM incoming_messages WHERE outcome = 'failed'"),
        "waiting": one("SELECT count(*) FROM messages WHERE state IN ('queued', 'sending')"),
        "undelivered": one("SELECT count(*) FROM messages"
                           " WHERE kind <> 'incoming' AND state <> 'delivered'"),
        "used": one("SELECT count(*) FROM tokens WHERE state = 'used'"),
        "new": one("SELECT count(*) FROM tokens WHERE state = 'new'"),
        "jobs": sorted(row[0] for row in database.execute("SELECT kind FROM jobs")),
        "open_jobs": one("SELECT count(*) FROM jobs WHERE state <> 'done'"),
        "alerts": sorted({row[0] for row in database.execute("SELECT kind FROM alerts")}),
        "hours": one("SELECT count(DISTINCT meter_time) FROM primary_logs"
                     " JOIN logs USING (id) WHERE received_at > now() - interval '10 minutes'"),
        "ahead": one("SELECT count(*) FROM primary_logs WHERE clock_ahead"),
        "pcu": one("SELECT count(*) FROM pcu_logs"
                   " JOIN logs USING (id) WHERE received_at > now() - interval '10 minutes'"),
        "languages": sorted(row[0] for row in database.execute("SELECT lang FROM accounts")),
    }))
"""


#: Our environment without what the tests' own Django uses.
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("GRIDTALK_", "DJANGO_"))
}


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gridtalk.cli", "--data-dir", str(folder), *arguments],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env=CLEAN,
    )


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    # Not pytest's own folder: the database's user cannot enter that one.
    made = Path(tempfile.mkdtemp(prefix="gridtalk-story-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def test_the_story_of_a_day(folder: Path) -> None:
    done = run(folder, "demo", "--once", "--pace", "0.1")
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    for told in (
        "3 tokens were redeemed, worth 1500.00: each is on the meter once.",
        "The ledger is clean",
        "Zawadi's light is on again",
        "the cable is mended",
        "devices talk to ",
    ):
        assert told in done.stdout
    assert "\x1b[" not in done.stdout, "no colours where nobody looks"

    looked = run(folder / "demo", "exec", "--", sys.executable, "-c", LOOK)
    assert looked.returncode == 0, looked.stderr
    left = json.loads(looked.stdout)
    assert left.pop("hours") in {22, 23, 24}, "24 hours, less two without power"
    assert left.pop("pcu") in {7, 8}, "every three hours, less one without power"
    assert {"low_credit", "no_credit", "power_on"} <= set(left.pop("alerts"))
    assert left == {
        "unhandled": 0,
        "failed": 0,
        "waiting": 0,
        "undelivered": 0,
        "used": 3,
        "new": 7,
        "jobs": ["add_credit", "add_credit", "add_credit", "turn_off", "turn_on"],
        "open_jobs": 0,
        "ahead": 0,
        "languages": ["en", "fr", "sw"],
    }
    assert run(folder / "demo", "verify").returncode == 0


def test_a_second_day_on_the_same_data(folder: Path) -> None:
    done = run(folder, "demo", "--once", "--pace", "0", "--seed", "5")
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert "Kitobo-2" in done.stdout


def test_a_port_in_use_is_one_clear_line(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(folder, "demo", "--port", str(port))
    assert done.returncode == 2
    assert f"port {port} is in use" in done.stderr
    assert len(done.stderr.splitlines()) == 1
