"""A real broker with our rules, Mosquitto or amqtt, and who may enter it."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.conftest import port_free, wait_until
from tests.scenarios.brokers.peers import Peer, password_of

from gridtalk.cli import launch
from gridtalk.iottalk import credentials
from gridtalk.iottalk.broker.embedded import embedded_broker
from gridtalk.iottalk.broker.kinds import mosquitto_binary
from gridtalk.iottalk.broker.passwords import PasswordFile, password_line
from gridtalk.iottalk.broker.private import PrivateBroker

KINDS = ("mosquitto", "amqtt")
#: Two devices of one shard, so that nothing but the rules parts them.
ADA, EVE = "d" + "a" * 20, "d" + "e" * 20


class World:
    """A broker that lets the server, Ada's device and Eve's device in."""

    kind = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = port_free()
        self.server_port = self.port
        self.peers: list[Peer] = []

    def peer(self, username: str | None, **more: object) -> Peer:
        """A client with the right password, unless another is given."""
        if "password" not in more:
            more["password"] = password_of(username or "")
        port = self.server_port if username == credentials.SERVER_USER else self.port
        self.peers.append(Peer(port, username, **more))  # type: ignore[arg-type]
        return self.peers[-1]

    def server(self) -> Peer:
        """The device server's client, inside."""
        return self.peer(credentials.SERVER_USER).entered()

    def end(self) -> None:
        """End clients and broker."""
        for peer in self.peers:
            peer.leave()


class MosquittoWorld(World):
    """The private Mosquitto, as ``gridtalk up`` starts it."""

    kind = "mosquitto"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server_port = port_free()
        self.broker = PrivateBroker(
            folder, host="127.0.0.1", port=self.port, server_port=self.server_port,
            largest_payload_bytes=16 * 1024,
        )  # fmt: skip
        self.broker.prepare(server_user=credentials.SERVER_USER)
        self.passwords = PasswordFile(self.broker.folder)
        users = (credentials.SERVER_USER, ADA, EVE)
        self.passwords.replace(
            {user: password_line(user=user, password=password_of(user)) for user in users}
        )
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it as ``up`` does and wait until it answers."""
        uid, gid = self.broker.user()
        words = [sys.executable, "-I", "-S", launch.__file__, uid, gid, os.getpid()]
        with (self.folder / "log").open("ab") as log:
            process = self.process = subprocess.Popen(
                [str(word) for word in (*words, int(signal.SIGTERM), *self.broker.command())],
                cwd=self.broker.folder, stdout=log, stderr=log,
            )  # fmt: skip
        wait_until(lambda: self.broker.is_ready(process.pid), what="Mosquitto to answer")

    def stop(self) -> None:
        """End it."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(10)
        self.broker.forget()

    def is_alive(self) -> bool:
        """Whether the very process that was started still runs."""
        return self.process is not None and self.process.poll() is None

    def memory_bytes(self) -> int:
        """What it holds."""
        assert self.process is not None
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def end(self) -> None:
        super().end()
        self.stop()


class AmqttWorld(World):
    """amqtt as ``gridtalk devices`` runs it, in a thread of the test."""

    kind = "amqtt"

    def __init__(self, folder: Path, settings: Any) -> None:
        super().__init__(folder)
        settings.GRIDTALK_MQTT_PORT = self.port
        self._running, self._loop = threading.Event(), asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._running.wait(10)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        async with embedded_broker(epochs={ADA: 0, EVE: 0}.get):
            self._running.set()
            await self._stop.wait()

    def is_alive(self) -> bool:
        """Whether its thread still serves."""
        return self._thread.is_alive()

    def end(self) -> None:
        super().end()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the user ``mosquitto`` cannot walk to from above, as a root's home is."""
    made = Path(tempfile.mkdtemp(prefix="gridtalk-broker-"))
    made.chmod(0o700)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def mosquitto(folder: Path) -> Iterator[MosquittoWorld]:
    """A private Mosquitto."""
    if not mosquitto_binary():
        pytest.skip("Mosquitto is not installed")
    world = MosquittoWorld(folder)
    yield world
    world.end()


@pytest.fixture(params=KINDS)
def world(
    request: pytest.FixtureRequest, folder: Path, settings: Any
) -> Iterator[MosquittoWorld | AmqttWorld]:
    """Each broker in turn."""
    if request.param == "amqtt":
        made: MosquittoWorld | AmqttWorld = AmqttWorld(folder, settings)
        yield made
        made.end()
    else:
        yield request.getfixturevalue("mosquitto")


@pytest.fixture
def people(world: World) -> tuple[Peer, Peer, Peer]:
    """The server, who hears everything; Ada's device; Eve's, who is hostile."""
    server = world.server()
    assert server.subscribe("gt/#")
    return server, world.peer(ADA).entered(), world.peer(EVE).entered()
