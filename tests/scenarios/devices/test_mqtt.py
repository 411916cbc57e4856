"""The device server with many devices, broken brokers, killed processes and hostile devices."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import psycopg
import pytest
from tests.conftest import Gridtalk, wait_until
from tests.scenarios.devices import flooder
from tests.scenarios.devices.fleet import NO_LIMITS, Fleet

from gridtalk.iottalk.broker.kinds import mosquitto_binary

pytestmark = [
    pytest.mark.scenario,
    pytest.mark.alone,
    pytest.mark.skipif(not mosquitto_binary(), reason="Mosquitto is not installed"),
]
MANY = 200


@pytest.fixture(scope="module")
def running(
    gridtalk_new: Callable[[], Gridtalk], gridtalk_migrated: Gridtalk
) -> Iterator[Gridtalk]:
    """A server for this module."""
    one = gridtalk_new()
    subprocess.run(["cp", "-a", gridtalk_migrated.data_dir, one.data_dir], check=True)
    yield one.up(**NO_LIMITS)
    one.remove()


@pytest.fixture
def fleet(running: Gridtalk) -> Iterator[Fleet]:
    """No device at first; all are gone afterwards."""
    with running.database() as database:
        database.execute("DELETE FROM feature_sends")
        database.execute("DELETE FROM device_events")
        database.execute("DELETE FROM registered_features")
        database.execute("DELETE FROM registered_devices")
    made = Fleet(running)
    yield made
    made.end()


def child(running: Gridtalk, word: str) -> psutil.Process:
    """The live process of that name below ``up``."""

    def find() -> psutil.Process | None:
        for process in running.processes():
            try:
                if process.name() == word or word in process.cmdline()[2:]:
                    return process
            except psutil.Error:
                continue
        return None

    found: psutil.Process = wait_until(find, what=f"a process {word}")
    return found


def test_nobody_is_wrongly_offline_when_the_broker_restarts(fleet: Fleet) -> None:
    """200 devices: online all the time, connected again within 30 s; who does vanish is seen."""
    devices = fleet.register(MANY)
    gone = devices[7]
    connects = {device.handle: device.connects for device in devices}
    child(fleet.gridtalk, "mosquitto").kill()
    began = time.monotonic()
    lowest = MANY
    while any(device.connects == connects[device.handle] for device in devices):
        lowest = min(lowest, fleet.online())
        assert time.monotonic() < began + 30, "devices do not come back"
        time.sleep(0.1)
    fleet.wait_online(MANY, seconds=30 - (time.monotonic() - began))
    for device in devices[:20]:
        fleet.push(device, 1, pause_s=0)
    wait_until(
        lambda: all(fleet.samples(device) for device in devices[:20]), what="data to be stored"
    )
    until = time.monotonic() + 5
    while time.monotonic() < until:
        lowest = min(lowest, fleet.online())
        time.sleep(0.2)
    assert lowest == MANY
    assert fleet.ask("SELECT count(*) FROM device_events WHERE kind = 'offline'") == 0
    fleet.do(gone.kill())
    wait_until(lambda: fleet.online() == MANY - 1, what="the one that vanished to be offline")
    assert not fleet.ask("SELECT online FROM registered_devices WHERE handle = %s", gone.handle)


def test_values_wait_for_a_device_and_reach_it_once(fleet: Fleet) -> None:
    """Sent while it is away; in order, when it comes."""
    (device,) = fleet.register(1)
    fleet.do(device.leave())
    wait_until(lambda: fleet.online() == 0, what="it to be offline")
    for value in (1, 2, 3):
        fleet.send(device, value)
    time.sleep(4)  # a look of the sender, which must leave them
    assert fleet.got == []
    fleet.start(device)
    fleet.wait_got(device, 3)
    time.sleep(1)
    assert [values for _, _, values in fleet.got] == [[1], [2], [3]]


def test_a_killed_device_server_is_followed_by_others(fleet: Fleet) -> None:
    """Two processes share; one is killed; within 10 s the other holds all shards."""
    devices = fleet.register(20)
    kept = child(fleet.gridtalk, "devices").environ()
    for name in ("GRIDTALK_SUPERVISOR", "GRIDTALK_READY_FILE"):
        kept.pop(name, None)  # it is nobody's child
    command = ["--data-dir", str(fleet.gridtalk.data_dir), "devices"]
    second = subprocess.Popen([sys.executable, "-m", "gridtalk.cli", *command], env=kept)
    try:
        held = "SELECT count(DISTINCT holder) FROM device_shards WHERE lease_until > now()"
        wait_until(lambda: fleet.ask(held) == 2, what="both to hold shards", seconds=20)
        fair = (
            "SELECT max(n) FROM (SELECT count(*) AS n FROM device_shards GROUP BY holder) AS each"
        )
        wait_until(lambda: fleet.ask(fair) == 8, what="half of the shards each")
        fleet.wait_online(20)
        for number, device in enumerate(devices):
            fleet.send(device, number)
        for number, device in enumerate(devices):
            fleet.wait_got(device, number)
        victim = "SELECT holder FROM device_shards WHERE number = 0"
        before = fleet.ask(victim)
        second.send_signal(signal.SIGKILL)
        child(fleet.gridtalk, "devices").kill()
        began = time.monotonic()
        free = (
            "SELECT count(*) FROM device_shards WHERE holder = %s OR lease_until IS NULL"
            " OR lease_until < now()"
        )
        wait_until(
            lambda: fleet.ask(held) == 1 and fleet.ask(free, before) == 0,
            what="all shards to be held by the new process", seconds=12,
        )  # fmt: skip
        assert time.monotonic() - began < 10.5
        for number, device in enumerate(devices):
            fleet.send(device, 100 + number)
        for number, device in enumerate(devices):
            fleet.wait_got(device, 100 + number)
        assert fleet.ask("SELECT count(*) FROM device_events WHERE kind = 'offline'") == 0
    finally:
        second.kill()
        second.wait()


def test_a_process_that_ends_gives_its_shards_back_at_once(fleet: Fleet) -> None:
    """SIGTERM: nothing that was received is lost, and nobody waits for a lease."""
    (device,) = fleet.register(1)
    fleet.push(device, *range(50), pause_s=0)
    process = child(fleet.gridtalk, "devices")
    time.sleep(0.02)
    process.terminate()
    process.wait(10)
    assert fleet.ask("SELECT count(*) FROM device_shards WHERE holder <> ''") == 0
    assert fleet.samples(device) == list(range(len(fleet.samples(device))))
    held = "SELECT count(*) FROM device_shards WHERE lease_until > now()"
    wait_until(lambda: fleet.ask(held) == 16, what="the supervisor's new one to hold all")
    fleet.send(device, 5)
    fleet.wait_got(device, 5)


def test_the_database_restarts(fleet: Fleet) -> None:
    """Data of the meantime are stored when it is back."""
    (device,) = fleet.register(1)
    fleet.push(device, 1)
    child(fleet.gridtalk, "postgres").send_signal(signal.SIGQUIT)
    fleet.push(device, *range(2, 30), pause_s=0.02)

    def stored() -> bool:
        try:
            return fleet.samples(device) == list(range(1, 30))
        except psycopg.Error:
            return False

    wait_until(stored, what="all values to be stored, once", seconds=30)
    fleet.send(device, 6)
    fleet.wait_got(device, 6)
    assert fleet.online() == 1


def test_a_hostile_device_does_not_disturb_others(fleet: Fleet) -> None:
    """Floods, malformed JSON, other shards, unknown features: dropped, noted, bounded."""
    hostile, honest = fleet.register(2)
    mine = hostile.topics["Sensor-I"]
    root, shard, handle, _, _ = mine.split("/")
    control = f"{root}/{shard}/{handle}/ci"
    before = child(fleet.gridtalk, "devices").pid
    fleet.push_raw(hostile, mine, *[b"[1]"] * 2_500)
    fleet.push_raw(hostile, control, *[b'{"state": "online"'] * 2_000)
    time.sleep(1.2)  # the next second, in which it may speak again
    for topic, payload in (
        (mine, b"[NaN]"), (mine, b"\xff\xfe"), (mine, b"[" * 10_000), (mine, b"x" * 16_000),
        (mine, b'["\\u0000\\ud800"]'), (mine, b"[1e999999]"), (mine, b""),
        (f"{root}/{(int(shard) + 1) % 16}/{handle}/i/1", b"[1]"),
        (f"{root}/{shard}/{handle}/i/99", b"[1]"), (control, b"null"), (control, b"\x00"),
        (control, b'{"msg_id": {"a": []}, "state": "ok"}'), (control, b'{"state":"online"}'),
    ):  # fmt: skip
        fleet.push_raw(hostile, topic, payload)
    fleet.push(honest, *range(20))
    wait_until(lambda: fleet.samples(honest) == list(range(20)), what="the honest one's values")
    wait_until(lambda: len(fleet.notes(hostile)) >= 4, what="the notes on the hostile one")
    time.sleep(3)
    assert len(fleet.samples(hostile)) < 1_000
    told = fleet.notes(hostile)
    assert len(told) < 15, told
    assert any("in a second" in text for text in told), told
    assert fleet.notes(honest) == []
    assert fleet.online() == 2
    assert child(fleet.gridtalk, "devices").pid == before, "the server was not restarted"
    said = fleet.gridtalk.said().splitlines()
    assert not [line for line in said if line.startswith("devices") and "Traceback" in line]
    fleet.send(honest, 9)
    fleet.wait_got(honest, 9)


def test_who_floods_without_end_is_thrown_out_and_others_hardly_notice(fleet: Fleet) -> None:
    """From the broker's own machine, as fast as it takes, and again as soon as it is thrown out."""
    hostile, honest = fleet.register(2)
    words = [str(hostile.answer["url"]["port"]), hostile.handle, str(hostile.answer["password"])]
    fleet.do(hostile.kill())
    before = child(fleet.gridtalk, "devices").pid
    log = fleet.gridtalk.folder / "flooder.log"
    command = [sys.executable, flooder.__file__, *words, hostile.topics["Sensor-I"]]
    pushed_at = []
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as flooding:
        try:
            for number in range(120):
                pushed_at.append(time.time())
                fleet.push(honest, number, pause_s=0.1)
        finally:
            flooding.kill()
    wait_until(lambda: len(fleet.samples(honest)) == 120, what="the honest one's values")
    assert fleet.samples(honest) == list(range(120))
    with fleet.gridtalk.database() as database:
        rows = database.execute(
            "SELECT s.value->0, extract(epoch FROM s.at)::float FROM df_samples s"
            " JOIN registered_features f ON f.id = s.feature_id"
            " JOIN registered_devices d ON d.id = f.device_id WHERE d.handle = %s ORDER BY s.at",
            [honest.handle],
        ).fetchall()
    delays = [at - pushed_at[number] for number, at in rows]
    assert max(delays) < 3, f"others waited: {[round(delay, 1) for delay in delays]}"
    assert sorted(delays)[60] < 0.5, "most of the time they did not"
    assert log.read_text().count("in\n") == 1, "it came back"
    assert [text for text in fleet.notes(hostile) if "was thrown out" in text] != []
    assert fleet.notes(honest) == []
    assert honest.connects == 1
    assert child(fleet.gridtalk, "devices").pid == before, "the server was not restarted"
    status, answer = fleet.register_again(hostile)
    assert (status, "thrown out" in answer["reason"]) == (429, True)
