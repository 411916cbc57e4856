"""A hostile device against each broker: it keeps to its own topics, and hurts nobody."""

import contextlib
import secrets
import socket
import time

import pytest
from tests.scenarios.brokers.conftest import ADA, EVE, AmqttWorld, MosquittoWorld
from tests.scenarios.brokers.peers import Peer, password_of

from gridtalk.iottalk import credentials, topics
from gridtalk.iottalk.broker.address import data_subscription

pytestmark = pytest.mark.scenario

People = tuple[Peer, Peer, Peer]
World = MosquittoWorld | AmqttWorld
LAST = topics.idf(3, ADA, 9)


def _settle(server: Peer, ada: Peer) -> None:
    """Everything that was sent before has been handled once this has arrived."""
    mark = secrets.token_hex(4).encode()
    ada.publish(LAST, mark)
    server.wait(lambda: (LAST, mark) in server.heard, "the message that says all is handled")


@pytest.mark.parametrize(
    ("username", "password"),
    [
        pytest.param(None, None, id="anonymous"),
        pytest.param("", "", id="empty name"),
        pytest.param(EVE, "", id="empty password"),
        pytest.param(EVE, None, id="no password"),
        pytest.param(EVE, "guess", id="wrong password"),
        pytest.param(ADA, password_of(EVE), id="another's name, own password"),
        pytest.param(EVE, password_of(EVE, epoch=1), id="password of another epoch"),
        pytest.param(credentials.SERVER_USER, password_of(EVE), id="the server's name"),
        pytest.param("nobody", password_of("nobody"), id="a device that never registered"),
        pytest.param("+", "x", id="a wildcard as name"),
        pytest.param("x" * 60_000, "x", id="a long name"),
    ],
)
def test_who_is_not_let_in(world: World, username: str | None, password: str | None) -> None:
    peer = world.peer(username, password=password).connect()
    assert peer.connects == 0
    assert world.peer(EVE).entered().is_in()


def test_honest_devices_are_heard_and_reached(people: People) -> None:
    server, ada, _eve = people
    for topic in (topics.control_out(3, ADA), topics.odf(3, ADA, 1)):
        assert ada.subscribe(topic, qos=2)
        server.publish(topic, b"{}", qos=2)
        ada.wait(lambda topic=topic: (topic, b"{}") in ada.heard, f"to hear {topic}")
    for qos in (0, 1, 2):
        for topic in (topics.control_in(3, ADA), topics.idf(3, ADA, 0)):
            ada.publish(topic, str(qos).encode(), qos)
            server.wait(
                lambda topic=topic, qos=qos: (topic, str(qos).encode()) in server.heard, topic
            )


@pytest.mark.parametrize(
    "wanted",
    [
        "#", "+/#", "gt/#", "gt/+/+/i/+", "gt/+/+/+", "gt/+/+/#", "+/+/+/+/+", "gt/3/#",
        topics.control_in(3, ADA), topics.control_out(3, ADA), topics.idf(3, ADA, 0),
        topics.odf(3, ADA, 1), f"gt/+/{ADA}/#", "$SYS/#", "$SYS/broker/clients/connected",
        "$share/x/#", "$share/x/gt/#", f"$share/x/gt/+/{ADA}/i/+", "$share/gridtalk/gt/+/+/i/+",
        "$share/x/$SYS/#", topics.control_in(3, EVE), topics.idf(3, EVE, 0),
    ],
)  # fmt: skip
def test_it_hears_nothing_of_others(people: People, wanted: str) -> None:
    server, ada, eve = people
    eve.subscribe(wanted)
    for topic in (topics.control_in(3, ADA), topics.idf(3, ADA, 0)):
        ada.publish(topic, retain=topic.endswith("/ci"))
    for topic in (topics.control_out(3, ADA), topics.odf(3, ADA, 1)):
        server.publish(topic)
    eve.subscribe(wanted)  # now retained messages would come
    eve.publish(topics.idf(3, EVE, 0))
    _settle(server, ada)
    time.sleep(0.05)
    assert eve.heard == []


@pytest.mark.parametrize("retain", [False, True], ids=["", "retained"])
@pytest.mark.parametrize(
    "topic",
    [
        topics.control_in(3, ADA), topics.idf(3, ADA, 0), topics.control_out(3, ADA),
        topics.odf(3, ADA, 1), topics.control_out(3, EVE), topics.odf(3, EVE, 1), "gt/3", "gt",
        f"gt/3/{EVE}", f"gt/3/{EVE}/i", f"gt/3/{EVE}/i/0/more", f"gt/3/{EVE}/x/0", f"x/3/{EVE}/ci",
        f"gt/{EVE}/ci", f"/gt/3/{EVE}/ci",
    ],
)  # fmt: skip
def test_it_speaks_for_nobody_else(people: People, topic: str, retain: bool) -> None:
    server, ada, eve = people
    ada.subscribe(topics.control_out(3, ADA))
    ada.subscribe(topics.odf(3, ADA, 1))
    eve.publish(topic, b"hostile", retain=retain)
    _settle(server, ada)
    assert b"hostile" not in [payload for _topic, payload in server.heard + ada.heard]
    assert server.subscribe("gt/+/#")
    time.sleep(0.05)
    assert server.retained == []


@pytest.mark.parametrize("topic", ["$SYS/broker/version", "$share/x/gt", "gt/#", "gt/+/x", ""])
def test_a_topic_that_is_none_hurts_nobody(world: World, people: People, topic: str) -> None:
    server, ada, eve = people
    with contextlib.suppress(ValueError):
        eve.publish(topic, b"hostile")
    _raw(world, EVE, _publish_packet(topic, b"hostile"))
    _settle(server, ada)
    assert b"hostile" not in [payload for _topic, payload in server.heard]
    assert world.is_alive()


@pytest.mark.parametrize("topic", [topics.control_in(3, ADA), topics.control_out(3, ADA), "gt/x"])
def test_its_will_keeps_to_the_rules_too(world: World, people: People, topic: str) -> None:
    server, ada, eve = people
    eve.leave()
    ada.subscribe(topics.control_out(3, ADA))
    world.peer(EVE, will=(topic, b"hostile", 1, True)).entered().vanish()
    time.sleep(0.3)
    _settle(server, ada)
    assert b"hostile" not in [payload for _topic, payload in server.heard + ada.heard]
    assert server.subscribe("gt/+/#")
    time.sleep(0.05)
    assert server.retained == []


def test_an_honest_will_is_said_and_kept(world: World, people: People) -> None:
    server, ada, eve = people
    topic = topics.control_in(3, EVE)
    eve.leave()
    world.peer(EVE, will=(topic, b"offline", 0, True)).entered().vanish()
    server.wait(lambda: (topic, b"offline") in server.heard, "the will")
    again = world.server()
    again.subscribe(topics.control_in(3, "+"))
    again.wait(lambda: topic in again.retained, "the retained will")
    assert ada.is_in()


def test_who_enters_is_told_nothing_unasked(world: World, people: People) -> None:
    server, ada, eve = people
    ada.publish(topics.control_in(3, ADA), b"online", 2, retain=True)
    server.wait(lambda: server.heard, "Ada's state")
    eve.leave()
    again = world.peer(EVE).entered()
    assert again.subscribe(topics.control_out(3, EVE), 2)
    _settle(server, ada)
    time.sleep(0.1)
    assert again.heard == []


@pytest.mark.parametrize("clean", [True, False], ids=["clean", "lasting"])
def test_it_cannot_take_anybodys_client_id(world: World, people: People, clean: bool) -> None:
    server, ada, eve = people
    assert ada.subscribe(topics.control_out(3, ADA))
    for client_id in (ada.client_id, ADA, server.client_id, credentials.SERVER_USER):
        thief = world.peer(EVE, client_id=client_id, clean=clean).entered()
        server.publish(topics.control_out(3, ADA), b"secret")
        _settle(server, ada)
        assert thief.heard == []
    for client_id in (ada.client_id, ADA, server.client_id):
        world.peer(ADA, client_id=client_id, password="wrong", clean=clean).connect()
    _settle(server, ada)
    assert (ada.losses, server.losses) == (0, 0)
    assert ada.heard.count((topics.control_out(3, ADA), b"secret")) == 4
    assert eve.losses >= 1, "its own first connection made way"


def test_a_second_connection_of_a_device_ends_the_first(world: World, people: People) -> None:
    server, ada, _eve = people
    again = world.peer(ADA).entered()
    ada.wait(lambda: ada.losses, "the first connection to end")
    ada.leave()
    assert again.subscribe(topics.control_out(3, ADA))
    server.publish(topics.control_out(3, ADA), b"{}")
    again.wait(lambda: again.heard, "to hear the server")


def test_a_megabyte_ends_its_connection_and_nobody_elses(world: World, people: People) -> None:
    server, ada, eve = people
    eve.publish(topics.idf(3, EVE, 0), b"[" + b"9" * 2**20 + b"]")
    eve.wait(lambda: eve.losses, "to be thrown out")
    _settle(server, ada)
    assert [len(payload) for _topic, payload in server.heard if len(payload) > 100] == []
    largest = b"9" * 16_000
    ada.publish(topics.idf(3, ADA, 0), largest)
    server.wait(lambda: server.heard[-1][1] == largest, "the largest payload that is allowed")
    assert (ada.losses, server.losses, world.is_alive()) == (0, 0, True)


@pytest.mark.parametrize(
    "junk",
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="HTTP"),
        pytest.param(bytes(range(256)) * 40, id="all bytes"),
        pytest.param(b"\x10\xff\xff\xff\x7f" + b"\0" * 5000, id="CONNECT of 256 MB"),
        pytest.param(b"\x10\xff\xff\xff\xff\xff", id="a length without end"),
        pytest.param(b"\x10\x0c\x00\x04MQTT\x04\xc2\x00\x3c\xff\xff", id="a string cut off"),
        pytest.param(b"\x10\x02\x00\xff", id="lengths that lie"),
        pytest.param(b"\x30\x05\x00\x01a[1", id="PUBLISH before CONNECT"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_bytes_that_are_no_mqtt(world: World, people: People, junk: bytes) -> None:
    server, ada, _eve = people
    for _time in range(20):
        with socket.create_connection(("127.0.0.1", world.port), 5) as plain:
            plain.sendall(junk)
    _settle(server, ada)
    _raw(world, EVE, junk)
    _raw(world, EVE, b"\x32\x04\x00\xff\xff\xff" + junk)
    _raw(world, EVE, b"\x82\x05\x00\x01\x00\xf0\xff" + junk)
    _settle(server, ada)
    assert (ada.losses, server.losses, world.is_alive()) == (0, 0, True)


@pytest.mark.alone
def test_a_flood_delays_others_little(world: World, people: People) -> None:
    server, ada, _eve = people
    with socket.create_connection(("127.0.0.1", world.port), 5) as plain:
        _enter(plain, world, EVE)
        plain.setblocking(False)
        burst = _publish_packet(topics.idf(3, EVE, 0), b"[1]") * 2_000
        # Mosquitto: a hundred times what one device may say in a second; who sends yet more is
        # thrown out by the device server, which is not here. amqtt: as fast as it takes.
        pause_s = 0.1 if world.kind == "mosquitto" else 0.001
        deadline = time.monotonic() + 1.5
        left = b""
        while time.monotonic() < deadline:
            left = left or burst
            with contextlib.suppress(BlockingIOError):
                # What the socket did not take is next: half a packet would be an error of ours.
                left = left[plain.send(left) :]
            time.sleep(pause_s)
        began = time.monotonic()
        _settle(server, ada)
        assert time.monotonic() - began < 4
    assert (ada.losses, server.losses, world.is_alive()) == (0, 0, True)


def _enter(plain: socket.socket, world: World, handle: str) -> None:
    from gridtalk.iottalk.broker.proof import connect_packet

    plain.sendall(connect_packet(client_id="raw", username=handle, password=password_of(handle)))
    assert plain.recv(4) == b"\x20\x02\x00\x00", world.kind


def _raw(world: World, handle: str, data: bytes) -> None:
    """Enter as that device, send these bytes, and leave without a word."""
    with socket.create_connection(("127.0.0.1", world.port), 5) as plain:
        _enter(plain, world, handle)
        with contextlib.suppress(OSError):
            plain.sendall(data)
            plain.settimeout(0.05)
            plain.recv(100)


def _publish_packet(topic: str, payload: bytes) -> bytes:
    name = topic.encode()
    body = len(name).to_bytes(2, "big") + name + payload
    assert len(body) < 128
    return bytes([0x30, len(body)]) + body


@pytest.mark.parametrize("group", ["gridtalk", "x", "+"])
def test_it_cannot_swallow_what_others_say(world: World, people: People, group: str) -> None:
    """In a shared subscription each message goes to one member, and is lost if it may not hear."""
    _server, ada, eve = people
    worker = world.server()
    assert worker.subscribe(data_subscription())
    eve.subscribe(f"$share/{group}/gt/+/+/i/+")
    eve.subscribe("$share/gridtalk/gt/#")
    for number in range(50):
        ada.publish(topics.idf(3, ADA, 0), str(number).encode())
    wanted = [str(number).encode() for number in range(50)]
    worker.wait(lambda: len(worker.heard) >= 50, "all fifty messages")
    assert [payload for _topic, payload in worker.heard] == wanted
