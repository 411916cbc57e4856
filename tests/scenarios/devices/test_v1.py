"""IoTtalk v1 with a real server, and a device written from the protocol's page."""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Gridtalk, port_free, wait_until

pytestmark = pytest.mark.scenario

DEVICE = Path(__file__).with_name("v1_device.py")
SHORT = {"GRIDTALK_DEVICE_V1_SILENCE_SECONDS": "10"}
#: Given to the running server: credit for a circuit of the meter.
CREDIT = """
import os, sys, django
os.environ["DJANGO_SETTINGS_MODULE"] = "gridtalk.settings"
django.setup()
from decimal import Decimal
from django.db import transaction
from gridtalk.grid.models import Circuit
from gridtalk.jobs.credit import credit_add
circuit = Circuit.objects.get(meter__name="box", ip_address=sys.argv[1])
for amount in sys.argv[2:]:
    with transaction.atomic():
        credit_add(circuit=circuit, amount=Decimal(amount), user=None, reason="a test")
"""


class Board:
    """A v1 device as a process."""

    def __init__(self, server: Gridtalk, mac: str, *arguments: str) -> None:
        self.command = [sys.executable, str(DEVICE), "", mac, *arguments]
        self.server = server
        self.log = server.folder / f"{mac}.log"
        self.log.touch()
        self.process: subprocess.Popen[bytes] | None = None

    def starts(self, root_port: int | None = None) -> None:
        base = f"{self.server.port}/iottalk/v1" if root_port is None else str(root_port)
        self.command[2] = f"http://127.0.0.1:{base}"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def says(self, text: str, *, times: int = 1, seconds: float = 30) -> None:
        wait_until(
            lambda: self.said().count(text) >= times,
            what=f"{times} times “{text}”",
            seconds=seconds,
        )

    def ends(self, *, kill: bool = False) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill() if kill else self.process.terminate()
            self.process.wait(10)


@pytest.fixture
def board_new() -> Iterator[Callable[..., Board]]:
    made: list[Board] = []

    def new(*arguments: Any) -> Board:
        made.append(Board(*arguments))
        return made[-1]

    yield new
    for one in made:
        one.ends(kill=True)


def one(server: Gridtalk, query: str) -> Any:
    with server.database() as database:
        row = database.execute(query).fetchone()
        return None if row is None else row[0]


def test_a_dummys_life(gridtalk: Gridtalk, board_new: Callable[..., Board]) -> None:
    gridtalk.up("--no-devices", **SHORT)
    board = board_new(gridtalk, "C860008BD249")
    board.starts()
    board.says("registered as Dummy_Device by HTTP")
    board.says("selected 11")
    board.says("RESUME")
    samples = "SELECT count(*) FROM df_samples"
    wait_until(lambda: one(gridtalk, samples) >= 3, what="three samples")
    online = "SELECT online FROM registered_devices"
    assert one(gridtalk, online) is True
    assert one(gridtalk, "SELECT address FROM registered_devices") == "c860008bd249"

    # Asked for before anything was said of it, so it is an output: values come one a pull.
    with gridtalk.database() as database:
        wait_until(
            lambda: one(
                gridtalk, "SELECT kind FROM registered_features WHERE name = 'Dummy_Control'"
            ) == "odf",
            what="the output to be known as one",
        )  # fmt: skip
        database.execute(
            "INSERT INTO feature_sends (feature_id, value, state, error, created_at)"
            " SELECT f.id, v, 'queued', '', now() FROM registered_features f,"
            " unnest(ARRAY['[1]', '[2.5, \"a\"]']::jsonb[]) WITH ORDINALITY AS u(v, n)"
            " WHERE f.name = 'Dummy_Control' ORDER BY n"
        )
    board.says('received: [2.5, "a"]')
    assert board.said().count("received: [1]") == 1

    # The server is away for a while: the device goes on with its key.
    assert gridtalk.stop() == 0
    board.says("failed:")
    before = one(gridtalk.up("--no-devices", **SHORT), samples)
    wait_until(lambda: one(gridtalk, samples) > before, what="samples after the restart")
    assert board.said().count("registered as") == 1

    # Forgotten by the server, it registers again.
    with gridtalk.database() as database:
        database.execute("UPDATE registered_devices SET deregistered_at = now(), online = false")
    board.says("must register: 404 mac_addr not found: c860008bd249")
    board.says("registered as", times=2)
    board.says("RESUME", times=2)

    # Silent, it is offline; back again, online; leaving, offline at once.
    board.ends(kill=True)
    wait_until(lambda: one(gridtalk, online) is False, what="offline", seconds=60)
    board.starts()
    board.says("registered as", times=3)
    wait_until(lambda: one(gridtalk, online) is True, what="online")
    board.ends()
    assert "left" in board.said()
    assert one(gridtalk, online) is False
    kinds = "SELECT string_agg(kind, ' ' ORDER BY id) FROM device_events"
    assert one(gridtalk, kinds) == (
        "registered online registered online offline reregistered online deregistered"
    )


def test_ports_whose_root_is_a_protocol(
    gridtalk: Gridtalk, board_new: Callable[..., Board]
) -> None:
    v1, v2 = port_free(), port_free()
    gridtalk.up("--no-devices", "--iottalk-v1-port", str(v1), "--iottalk-v2-port", str(v2))
    board = board_new(gridtalk, "C860008BD249")
    board.starts(root_port=v1)
    board.says("RESUME")
    board.ends()
    assert "left" in board.said()
    for port, method, path, status, said in (
        (v1, "GET", "/", 200, "IoTtalk v1"),
        (v2, "GET", "/", 200, "IoTtalk v2"),
        (v2, "DELETE", "/6e2d5b7c-7c21-4f54-bb0e-1b4ad4c1d0f1", 400, "reason"),
        # The pages are not there.
        (v2, "GET", "/sign-in", 405, "reason"),
        (v1, "GET", "/events", 405, "POST, DELETE"),
    ):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request(method, path)
        answer = connection.getresponse()
        assert (answer.status, said in answer.read().decode()) == (status, True), path
        connection.close()


def test_a_meter_killed_at_any_moment_loses_and_doubles_nothing(
    gridtalk: Gridtalk, board_new: Callable[..., Board]
) -> None:
    gridtalk.up("--no-devices", GRIDTALK_JOB_RESEND_SECONDS="3")
    state = gridtalk.folder / "meter"
    state.mkdir()
    board = board_new(gridtalk, "0a1b2c3d4e5f", "--meter", str(state))
    board.starts()
    board.says("registered as PrepaidMeter")
    handle = one(gridtalk, "SELECT handle FROM registered_devices")
    for command in (
        ["interface", "add", "iottalk", "Devices"],
        ["meter", "add", "box", "--device-address", handle, "--interface", "Devices",
         "--circuits", "2"],
        ["meter", "bind", "box", handle],
    ):  # fmt: skip
        done = gridtalk.command(*command)
        assert done.returncode == 0, done.stderr
    script = gridtalk.folder / "credit.py"
    script.write_text(CREDIT)

    def credit(address: str, *amounts: str) -> None:
        done = gridtalk.command("exec", "--", sys.executable, str(script), address, *amounts)
        assert done.returncode == 0, done.stderr

    credit("192.168.1.201", "10.25", "20.50", "5")
    for _ in range(5):
        time.sleep(1.3)
        board.ends(kill=True)
        credit("192.168.1.202", "7.77")  # while it is off: it waits
        board.starts()

    open_jobs = "SELECT count(*) FROM jobs WHERE state <> 'done'"
    wait_until(lambda: one(gridtalk, open_jobs) == 0, what="all credit confirmed", seconds=90)

    def saved() -> dict[str, Any]:
        found: dict[str, Any] = json.loads((state / "meter-state.json").read_text())
        return found

    # Each credit was applied once, whatever was sent again.
    circuits = saved()["circuits"]
    applied = [circuits[f"192.168.1.20{n}"]["credit"] for n in (1, 2)]
    assert [str(float(amount)) for amount in applied] == ["35.75", "38.85"]
    mirrored = "SELECT array_agg(credit::text ORDER BY ip_address) FROM circuits WHERE NOT is_main"
    wait_until(
        lambda: one(gridtalk, mirrored) == ["35.75", "38.85"], what="the credit mirrored",
        seconds=30,
    )  # fmt: skip

    # What the meter has forgotten is stored, and the keys say: once.
    kept = saved()
    made = {f"{kept['origin']}-{number}" for number in range(1, kept["count"] + 1)}
    keys = one(gridtalk, "SELECT string_agg(dedupe_key, ' ') FROM incoming_messages").split()
    assert len(keys) == len(set(keys)) > 10
    stored = {key.rpartition(":")[2] for key in keys}
    assert not made - {reference for reference, _ in kept["outbox"]} - stored
    for nothing in (
        "incoming_messages WHERE outcome IN ('refused', 'failed')",
        "(SELECT 1 FROM primary_logs GROUP BY circuit_id, meter_time HAVING count(*) > 1) AS twice",
    ):
        assert one(gridtalk, f"SELECT count(*) FROM {nothing}") == 0
    assert gridtalk.command("verify").returncode == 0
    # A key that it kept over every power cut: no approval was ever needed.
    assert one(gridtalk, "SELECT count(*) FROM device_events WHERE kind = 'refused'") == 0
    assert board.said().count("registered as") == 6
