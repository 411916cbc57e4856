"""A device that has the broker keep messages without end is thrown out, and they are cleared."""

import asyncio
import contextlib
import socket
import threading
import time
from typing import Any

import pytest
from django.db import connection
from tests.conftest import wait_until
from tests.scenarios.brokers.conftest import ADA, EVE, MosquittoWorld
from tests.scenarios.brokers.peers import Peer, password_of

from gridtalk.iottalk import topics
from gridtalk.iottalk.broker import admission
from gridtalk.iottalk.broker.proof import connect_packet
from gridtalk.iottalk.broker.retained import retained_guard, retained_sweep
from gridtalk.iottalk.models import DeviceEvent, RegisteredDevice

pytestmark = [pytest.mark.scenario, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def broker(mosquitto: MosquittoWorld, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Mosquitto, with Ada's and Eve's devices in the database too."""
    settings.DATA_DIR, settings.GRIDTALK_BROKER = mosquitto.folder, "mosquitto"
    settings.GRIDTALK_MQTT_URL, settings.GRIDTALK_MQTT_PORT = "", mosquitto.port
    settings.GRIDTALK_MQTT_SERVER_PORT = mosquitto.server_port
    monkeypatch.setattr(admission, "_rounds", admission._Rounds())
    for handle in (ADA, EVE):
        RegisteredDevice.objects.create(
            protocol="v2", address=handle, handle=handle, shard=3, name=handle
        )
    return mosquitto


def flood(broker: MosquittoWorld, topic: str, *, messages: int, payload: bytes) -> None:
    """Eve has the broker keep so many messages, each under a name of its own."""
    with socket.create_connection(("127.0.0.1", broker.port), 5) as plain:
        plain.sendall(connect_packet(client_id="e", username=EVE, password=password_of(EVE)))
        assert plain.recv(4) == b"\x20\x02\x00\x00"
        with contextlib.suppress(OSError):
            for number in range(messages):
                name = topic.format(number).encode()
                body = len(name).to_bytes(2, "big") + name + payload
                low, high = len(body) % 128 | 128, len(body) // 128
                plain.sendall(bytes([0x31, low, high]) + body)
            # Wait until all of it was read: a PINGREQ is answered in its turn.
            plain.sendall(b"\xc0\x00")
            plain.settimeout(10)
            plain.recv(2)


def kept(broker: MosquittoWorld) -> list[str]:
    """The topics of which the broker keeps a message."""
    server: Peer = broker.server()
    server.subscribe("gt/#")
    time.sleep(0.3)
    server.leave()
    return sorted(set(server.retained))


def test_what_it_should_not_keep_is_cleared(broker: MosquittoWorld) -> None:
    ada = broker.peer(ADA).entered()
    ada.publish(topics.control_in(3, ADA), b"online", 2, retain=True)
    ada.publish(topics.idf(3, ADA, 0), b"[1]", retain=True)
    flood(broker, f"gt/{{}}/{EVE}/ci", messages=100, payload=b"x" * 200)
    flood(broker, f"gt/3/{EVE}/i/{{}}", messages=100, payload=b"x" * 200)
    assert len(kept(broker)) == 202
    assert asyncio.run(retained_sweep()) == 200
    assert kept(broker) == sorted([topics.control_in(3, ADA), topics.control_in(3, EVE)])
    assert ada.losses == 0, "a slip is cleared, and nobody thrown out for it"
    wait_until(lambda: not broker.peer(EVE).connect().connects, what="Eve to be kept out")
    assert [event.device.handle for event in DeviceEvent.objects.all() if event.device] == [EVE]
    assert asyncio.run(retained_sweep()) == 0
    connection.close()


def test_a_flood_is_noticed_by_itself(broker: MosquittoWorld) -> None:
    ada = broker.peer(ADA).entered()
    stop = asyncio.Event()
    loop = asyncio.new_event_loop()

    async def guard() -> None:
        watching = asyncio.create_task(retained_guard())
        await stop.wait()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    thread = threading.Thread(target=lambda: loop.run_until_complete(guard()))
    thread.start()
    try:
        flood(broker, f"gt/3/{EVE}/i/{{}}", messages=4_000, payload=b"x" * 2_000)
        wait_until(
            lambda: not broker.peer(EVE).connect().connects, what="Eve to be kept out", seconds=30
        )
        wait_until(lambda: not kept(broker), what="all to be cleared", seconds=30)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
    server = broker.server()
    server.subscribe(topics.idf(3, ADA, 0))
    ada.publish(topics.idf(3, ADA, 0), b"[1]")
    server.wait(lambda: server.heard, "Ada's data")
    assert (ada.losses, broker.is_alive()) == (0, True)
