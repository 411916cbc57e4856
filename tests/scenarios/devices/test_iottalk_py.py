"""An unmodified iottalk-py 2.3.1 against a whole server, with Mosquitto and with amqtt."""

import os
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Gridtalk, wait_until

from gridtalk.demo.devices import environment_python
from gridtalk.iottalk.broker.kinds import mosquitto_binary

pytestmark = pytest.mark.scenario

#: An SA file as its users write them; it counts, and prints what it is sent.
SA = """
import itertools, sys
api_url = {url!r}
device_model = "Dummy_Device"
device_addr = {address!r}
device_name = "a dummy"
persistent_binding = {persistent!r}
username = "somebody"
push_interval = 0.2
numbers = itertools.count()
idf_list = [("Dummy_Sensor", ["int"]), ("Pair-I", ["int", "float"])]
odf_list = [("Dummy_Control", ["int"])]

def on_register(dan):
    print("registered", flush=True)

def on_deregister(dan):
    print("deregistered", flush=True)

def Dummy_Sensor():
    return next(numbers)

def Pair_I():
    return (1, 2.5)

def Dummy_Control(data):
    print("got", data, flush=True)
"""


class Dummy:
    """The device: iottalk-py in a process group of its own."""

    def __init__(self, gridtalk: Gridtalk, python: Path, *, persistent: bool) -> None:
        self.gridtalk = gridtalk
        self.folder = Path(tempfile.mkdtemp(dir=gridtalk.folder))
        url = f"http://127.0.0.1:{gridtalk.port}/iottalk/v2"
        text = SA.format(url=url, address=str(uuid.uuid4()), persistent=persistent)
        (self.folder / "sa.py").write_text(text)
        self.log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(
            [str(python), "-m", "iottalkpy.dai", "sa.py"],
            stdout=self.log, stderr=self.log, cwd=self.folder, start_new_session=True,
            env={"PATH": os.defpath, "HOME": str(self.folder)},
        )  # fmt: skip

    def said(self) -> str:
        """All that it printed."""
        return (self.folder / "log").read_text(errors="replace")

    def one(self, statement: str) -> Any:
        """The first column of the first row, of the only device."""
        with self.gridtalk.database() as database:
            row = database.execute(statement).fetchone()
            assert row is not None
            return row[0]

    def is_connected(self) -> bool:
        """Shown online, with all three features connected."""
        return bool(
            self.one(
                "SELECT online AND"
                " (SELECT count(*) FROM registered_features WHERE state = 'ok') = 3"
                " FROM registered_devices"
            )
        )

    def newest(self) -> int:
        """The newest number of its sensor."""
        return int(
            self.one(
                "SELECT coalesce(max((value->>0)::int), -1) FROM df_samples"
                " JOIN registered_features f ON f.id = feature_id WHERE f.name = 'Dummy_Sensor'"
            )
        )

    def wait_flowing(self, *, seconds: float = 30) -> None:
        """Wait until it is connected and new data are stored."""
        wait_until(self.is_connected, what="the device to be connected", seconds=seconds)
        before = self.newest()
        wait_until(lambda: self.newest() > before + 2, what="new data", seconds=seconds)

    def wait_sent(self, number: int) -> None:
        """Send it a value and wait until it has it."""
        with self.gridtalk.database() as database:
            database.execute(
                "INSERT INTO feature_sends (feature_id, value, state, error, created_at)"
                " SELECT id, jsonb_build_array(%s::int), 'queued', '', now()"
                " FROM registered_features WHERE name = 'Dummy_Control'",
                [number],
            )
        wait_until(lambda: f"got [{number}]" in self.said(), what=f"value {number} to reach it")

    def end(self) -> None:
        """Leave nothing of it."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()


@pytest.fixture(scope="module")
def python() -> Iterator[Path]:
    """An interpreter with iottalk-py, which brings an MQTT client in the place of ours."""
    with tempfile.TemporaryDirectory(prefix="gridtalk-iottalk-") as folder:
        yield environment_python(Path(folder), tell=lambda _text: None)


@pytest.fixture(scope="module", params=["mosquitto", "amqtt"])
def broker(request: pytest.FixtureRequest) -> str:
    """Which broker the server uses."""
    kind = str(request.param)
    if kind == "mosquitto" and not mosquitto_binary():
        pytest.skip("Mosquitto is not installed")
    return kind


@pytest.fixture
def running(
    broker: str, gridtalk_new: Callable[[], Gridtalk], gridtalk_migrated: Gridtalk
) -> Iterator[Gridtalk]:
    """A server with that broker."""
    one = gridtalk_new()
    subprocess.run(["cp", "-a", gridtalk_migrated.data_dir, one.data_dir], check=True)
    yield one.up(GRIDTALK_BROKER=broker)
    one.remove()


def kill_child(gridtalk: Gridtalk, word: str) -> None:
    """Kill a process of the server; ``up`` starts it again."""
    for process in gridtalk.processes():
        if process.name() == word or word in process.cmdline()[2:5]:
            process.kill()
            return
    pytest.fail(f"there is no {word}")


def test_a_real_device(broker: str, running: Gridtalk, python: Path) -> None:
    """Registers, pushes, is sent to; broker, device server and the whole server restart; leaves."""
    device = Dummy(running, python, persistent=False)
    try:
        wait_until(lambda: "registered" in device.said(), what="it to register", seconds=30)
        device.wait_flowing()
        pair = "SELECT last_value::text FROM registered_features WHERE name = 'Pair-I'"
        assert device.one(pair) == "[1, 2.5]"
        device.wait_sent(7)
        # Broker and device server are one process with amqtt.
        for number, word in enumerate(["mosquitto"] * (broker == "mosquitto") + ["devices"]):
            kill_child(running, word)
            device.wait_flowing(seconds=60)
            device.wait_sent(100 + number)
        running.end()
        running.up(GRIDTALK_BROKER=broker)
        device.wait_flowing(seconds=60)
        device.wait_sent(8)
        os.killpg(device.process.pid, signal.SIGINT)  # Ctrl-C
        wait_until(lambda: "deregistered" in device.said(), what="it to deregister")
        state = "SELECT online OR deregistered_at IS NULL FROM registered_devices"
        wait_until(lambda: not device.one(state), what="it to be gone")
        kinds = (
            "SELECT string_agg(kind, ' ' ORDER BY id) FROM device_events WHERE kind <> 'online'"
            " AND kind <> 'offline'"
        )
        assert device.one(kinds) == "registered deregistered"
    finally:
        print(device.said()[-3000:])
        device.end()


def test_a_real_device_is_unplugged(broker: str, running: Gridtalk, python: Path) -> None:
    """Killed, it is offline soon, by the broker's word; started again, it is the same device."""
    device = Dummy(running, python, persistent=True)
    again = None
    try:
        wait_until(lambda: "registered" in device.said(), what="it to register", seconds=30)
        device.wait_flowing()
        device.end()
        offline = "SELECT NOT online FROM registered_devices"
        wait_until(lambda: device.one(offline), what="it to be offline")
        device.log = (device.folder / "log").open("ab")
        device.process = again = subprocess.Popen(
            [str(python), "-m", "iottalkpy.dai", "sa.py"],
            stdout=device.log, stderr=device.log, cwd=device.folder, start_new_session=True,
            env={"PATH": os.defpath, "HOME": str(device.folder)},
        )  # fmt: skip
        device.wait_flowing()
        assert device.one("SELECT count(*) FROM registered_devices") == 1
    finally:
        print(device.said()[-3000:])
        if again is not None:
            device.end()
