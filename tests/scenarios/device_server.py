"""A server for generated devices: IoTtalk v2 in a few lines of HTTP, beside a real Mosquitto."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import port_free, wait_until

DEVICES = Path(__file__).parents[2] / "catalogue" / "devices"


class Server:
    """IoTtalk v2's registration, and a broker beside it; keeps what it was told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.http_port, self.mqtt_port = port_free(), port_free()
        self.url = f"http://127.0.0.1:{self.http_port}/iottalk/v2"
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        self.processes: list[subprocess.Popen[bytes]] = []
        self.http: ThreadingHTTPServer | None = None

    def start(self) -> None:
        """Broker first: a device connects as soon as it is registered."""
        config = self.folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.mqtt_port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
        )
        self._run("mosquitto", "-c", str(config))
        address = ["-h", "127.0.0.1", "-p", str(self.mqtt_port)]
        wait_until(
            lambda: not subprocess.run(
                ["mosquitto_pub", *address, "-t", "probe", "-m", "x"], capture_output=True,
                check=False,
            ).returncode,
            what="Mosquitto to listen",
        )  # fmt: skip
        self._run("mosquitto_sub", *address, "-t", "#", "-q", "2", "-F", "%r %t %p")
        self.http = ThreadingHTTPServer(("127.0.0.1", self.http_port), self._handler())
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def _run(self, *command: str) -> None:
        with (self.folder / f"{command[0]}.log").open("wb") as log:
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=log))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                answer: dict[str, Any] = {"reason": "not found"}
                if self.command in {"PUT", "DELETE"}:
                    server.requests.append((self.command, self.path, json.loads(body)))
                    place = {"scheme": "mqtt", "host": "127.0.0.1", "port": server.mqtt_port}
                    answer = {
                        "id": self.path.rpartition("/")[2], "name": "given", "url": place,
                        "ctrl_chans": ["dev/in", "dev/out"], "rev": "r1",
                    }  # fmt: skip
                sent = json.dumps(answer).encode()
                self.send_response(404 if "reason" in answer else 200)
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            do_GET = do_PUT = do_DELETE = answer  # noqa: N815  http.server's names

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def publish(self, topic: str, message: object, qos: int = 2) -> None:
        """Publish JSON."""
        subprocess.run(
            ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.mqtt_port), "-t", topic,
             "-q", str(qos), "-m", json.dumps(message)], check=True, timeout=10,
        )  # fmt: skip

    def heard(self, topic: str) -> list[Any]:
        """The JSON messages that came on that topic."""
        lines = (self.folder / "mosquitto_sub.log").read_text().splitlines()
        parts = [line.split(" ", 2) for line in lines]
        return [json.loads(part[2]) for part in parts if len(part) == 3 and part[1] == topic]

    def stop(self) -> None:
        if self.http is not None:
            self.http.shutdown()
            self.http.server_close()
        for process in self.processes:
            process.terminate()
            process.wait(10)


@contextmanager
def server_on(folder: Path) -> Iterator[Server]:
    """A server that is not started yet; skips the test where Mosquitto is absent."""
    for program, package in (("mosquitto", "mosquitto"), ("mosquitto_sub", "mosquitto-clients")):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: Debian's package {package}")
    # As root, Mosquitto runs as a user of its own, who must be able to read its file.
    folder.chmod(0o755)
    one = Server(folder)
    try:
        yield one
    finally:
        one.stop()


def generated(name: str, folder: Path) -> None:
    """``gridtalk generate`` of one of the catalogue's devices."""
    subprocess.run(
        [sys.executable, "-m", "gridtalk.cli", "generate", str(DEVICES / f"{name}.json"),
         "-o", str(folder)], check=True, timeout=60,
    )  # fmt: skip


def life(server: Server, log: Path, shown: str = "received: [5.5]") -> None:
    """The dummy from its first start, without a server, to data in both directions.

    ``shown`` is what it prints of 5.5.
    """
    wait_until(lambda: "Waiting 1 s for the server" in log.read_text(), what="the device to wait")
    server.start()
    wait_until(lambda: server.requests, what="the registration", seconds=30)
    method, path, body = server.requests[0]
    assert (method, path.rpartition("/")[0]) == ("PUT", "/iottalk/v2")
    assert body["name"] == "Dummy 1"
    assert body["idf_list"] == [["Dummy_Sensor", ["float"]]]
    assert body["odf_list"] == [["Dummy_Control", ["float"]]]
    assert body["accept_protos"] == ["mqtt"]
    assert body["profile"]["model"] == "Dummy_Device"
    assert len(body["profile"]["version"]) == 16
    online = {"state": "online", "rev": "r1"}
    wait_until(lambda: online in server.heard("dev/in"), what="online")
    for number, part in enumerate(("idf", "odf")):
        feature = "Dummy_Sensor" if part == "idf" else "Dummy_Control"
        command = {"command": "CONNECT", part: feature, "topic": f"data/{part}", "msg_id": number}
        server.publish("dev/out", command)
        answer = {"msg_id": number, "state": "ok"}
        wait_until(lambda wanted=answer: wanted in server.heard("dev/in"), what=f"ok for {part}")
    wait_until(lambda: len(server.heard("data/idf")) >= 2, what="two values")
    assert all(len(x) == 1 and 10 <= x[0] <= 30 for x in server.heard("data/idf"))

    def received() -> bool:
        # iottalk-py says ok before it has subscribed.
        server.publish("data/odf", [5.5])
        return shown in log.read_text()

    wait_until(received, what="the value sent to the device")
