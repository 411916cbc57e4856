"""``gridtalk up`` with each broker: a device registers and enters; the broker dies; all end."""

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.conftest import Gridtalk, clean_environment, port_free, wait_until
from tests.scenarios.brokers.peers import Peer

from gridtalk.iottalk.broker.kinds import mosquitto_binary

pytestmark = pytest.mark.scenario

BODY = {"name": "lamp", "idf_list": [["A-I", ["int"]]], "odf_list": [["B-O", [None]]],
        "accept_protos": ["mqtt"]}  # fmt: skip


def register(server: Gridtalk, address: str = "", *, timeout: float = 15) -> tuple[int, Any]:
    """PUT the device; status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)
    with contextlib.closing(connection):
        path = f"/iottalk/v2/{address or uuid.uuid4()}"
        connection.request("PUT", path, json.dumps(BODY), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def enter(answer: dict[str, Any]) -> Peer:
    """Enter the broker with what the registration said, right away, and say that it is online."""
    control_in, control_out = answer["ctrl_chans"]
    peer = Peer(
        answer["url"]["port"], answer["username"], answer["password"],
        will=(control_in, json.dumps({"state": "offline", "rev": answer["rev"]}).encode(), 0, True),
    )  # fmt: skip
    peer.entered()
    assert peer.subscribe(control_out, 2)
    peer.publish(
        control_in, json.dumps({"state": "online", "rev": answer["rev"]}).encode(), 2, retain=True
    )
    return peer


def is_asked(peer: Peer) -> bool:
    """Whether the server told it to connect both features."""
    said = [json.loads(payload) for _topic, payload in peer.heard]
    return {one.get("idf") or one.get("odf") for one in said} == {"A-I", "B-O"}


def brokers(server: Gridtalk) -> list[psutil.Process]:
    """The private Mosquitto of that server."""
    folder = str(server.data_dir / "broker")
    found = []
    for process in psutil.process_iter(["name"]):
        with contextlib.suppress(psutil.Error):
            if process.info["name"] == "mosquitto" and process.cwd() == folder:
                found.append(process)
    return found


@pytest.fixture(scope="module", params=["mosquitto", "amqtt"])
def server(
    request: pytest.FixtureRequest, gridtalk_new: Callable[[], Gridtalk]
) -> Iterator[Gridtalk]:
    """A running server with that broker."""
    if request.param == "mosquitto" and not mosquitto_binary():
        pytest.skip("Mosquitto is not installed")
    made = gridtalk_new().up(GRIDTALK_BROKER=request.param)
    yield made
    made.end()


def test_a_device_enters_as_soon_as_its_registration_is_answered(server: Gridtalk) -> None:
    for _time in range(3):
        status, answer = register(server)
        assert status == 200, answer
        assert answer["url"]["port"] == server.mqtt_port
        peer = enter(answer)
        peer.wait(lambda peer=peer: is_asked(peer), "both CONNECTs", 20)
        peer.leave()
    assert "amqtt" not in server.said() or "for the demo and for development" in server.said()


def test_registering_again_leaves_it_let_in(server: Gridtalk) -> None:
    address = str(uuid.uuid4())
    _status, first = register(server, address)
    peer = enter(first)
    status, again = register(server, address)
    assert status == 200
    assert again["password"] == first["password"]
    peer.leave()
    enter(again).leave()


def test_a_broker_that_is_killed_comes_back_and_lets_devices_in(server: Gridtalk) -> None:
    status, answer = register(server)
    assert status == 200
    enter(answer).leave()
    found = brokers(server)
    if not found:  # amqtt: it is in the device server
        devices = server.child("devices")
        assert devices is not None
        found = [devices]
    found[0].kill()

    def is_back() -> bool:
        with contextlib.suppress(OSError, AssertionError):
            enter(answer).leave()
            return True
        return False

    wait_until(is_back, what="the broker to be back", seconds=30)
    status, late = register(server)
    assert status == 200, late
    peer = enter(late)
    peer.wait(lambda: is_asked(peer), "both CONNECTs after the restart", 30)
    peer.leave()


def test_all_end_with_it_however_it_ends(server: Gridtalk) -> None:
    assert server.process is not None
    processes = [*server.processes(), *brokers(server)]
    server.process.send_signal(signal.SIGKILL)
    server.process.wait(10)
    assert server.alive_after(processes, seconds=15) == []
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", server.mqtt_port))


def test_a_taken_port_is_one_line(gridtalk_new: Callable[[], Gridtalk]) -> None:
    server = gridtalk_new()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", server.mqtt_port))
        taken.listen()
        done = server.command(
            "up", "--port", str(server.port), "--mqtt-port", str(server.mqtt_port)
        )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert f"port {server.mqtt_port}" in done.stderr
    assert "--mqtt-port" in done.stderr


def test_an_outside_mosquitto_with_the_files_that_we_write(
    gridtalk_new: Callable[[], Gridtalk],
) -> None:
    """``--no-devices`` first, which says why; then a broker of the operator's, kept by --watch."""
    if not mosquitto_binary():
        pytest.skip("Mosquitto is not installed")
    server = gridtalk_new().up("--no-devices")
    status, answer = register(server)
    assert status == 503
    assert "broker" in answer["reason"]

    out, pid_file = server.folder / "mqtt", server.folder / "mqtt" / "pid"
    port, server_port = port_free(), port_free()
    arguments = [
        "broker-config", "--out", str(out), "--host", "127.0.0.1", "--port", str(port),
        "--server-port", str(server_port), "--pid-file", str(pid_file),
    ]  # fmt: skip
    done = server.command(*arguments)
    assert done.returncode == 0, done.stderr
    (url,) = [word for word in done.stdout.split() if word.startswith("GRIDTALK_MQTT_URL=")]
    url = url.partition("=")[2]
    assert (out / "passwd").stat().st_mode & 0o077 == 0
    assert server.stop() == 0

    # Mosquitto gives up root before it writes its process id.
    out.chmod(0o777)
    with contextlib.ExitStack() as started:
        log = started.enter_context((server.folder / "mqtt.log").open("wb"))
        broker = subprocess.Popen(
            [mosquitto_binary(), "-c", str(out / "mosquitto.conf")], stdout=log, stderr=log
        )
        started.callback(_end, broker)
        server.up(GRIDTALK_MQTT_URL=url, GRIDTALK_MQTT_PUBLIC=f"127.0.0.1:{port}")
        started.callback(server.end)
        assert "devices use the broker at 127.0.0.1" in server.said()
        watch = subprocess.Popen(
            [sys.executable, "-m", "gridtalk.cli", "--data-dir", str(server.data_dir), *arguments,
             "--watch"],
            stdout=log, stderr=log, cwd=server.folder, env=clean_environment(GRIDTALK_MQTT_URL=url),
        )  # fmt: skip
        started.callback(_end, watch)
        wait_until(
            lambda: b"watching" in (server.folder / "mqtt.log").read_bytes(), what="the watch",
            seconds=30,
        )  # fmt: skip
        for _time in range(3):
            status, answer = register(server)
            assert status == 200, (answer, (server.folder / "mqtt.log").read_text())
            peer = enter(answer)
            peer.wait(lambda peer=peer: is_asked(peer), "both CONNECTs", 20)
            peer.leave()
        watch.terminate()
        assert watch.wait(10) == 0


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(10)


def test_broker_config_says_what_is_wrong(gridtalk_new: Callable[[], Gridtalk]) -> None:
    server = gridtalk_new()
    certificate = server.folder / "c.pem"
    certificate.touch()
    for arguments, says in [
        (["--tls-cert", str(certificate)], "belong together"),
        (["--port", "0"], "no device could connect"),
        (["--port", "1884"], "must differ"),
    ]:
        done = server.command("broker-config", "--out", str(server.folder / "out"), *arguments)
        assert done.returncode == 2
        assert says in done.stderr
    assert not (server.folder / "out").exists()


def test_the_private_brokers_files_survive_a_change_of_user(tmp_path: Path) -> None:
    """A folder that root has used is written again for whom Mosquitto runs as."""
    from gridtalk.iottalk.broker.passwords import broker_user
    from gridtalk.iottalk.broker.private import PrivateBroker

    broker = PrivateBroker(
        tmp_path, host="127.0.0.1", port=1, server_port=2, largest_payload_bytes=9
    )
    (tmp_path / "broker").mkdir()
    (tmp_path / "broker" / "passwd").write_text("ada:$7$1$a$b\n")
    broker.prepare(server_user="gridtalk")
    path = tmp_path / "broker" / "passwd"
    assert path.read_text() == "ada:$7$1$a$b\n"
    assert path.stat().st_mode & 0o777 == 0o600
    uid, _gid = broker_user()
    assert uid in {-1, path.stat().st_uid}
