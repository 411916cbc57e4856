"""Generated devices, built and started: they wait for a server, register, send, obey and leave.

The server here is a few lines of HTTP and a real Mosquitto, as ``spec/iottalk.md`` describes
IoTtalk v2. The Python device runs under an unmodified iottalk-py, in an environment of its own.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import port_free, wait_until

pytestmark = pytest.mark.scenario

DEVICES = Path(__file__).parents[2] / "catalogue" / "devices"
LANGUAGES = ["python", "cpp"]
HEADERS = [
    ("/usr/include/mosquitto.h", "libmosquitto-dev"),
    ("/usr/include/nlohmann/json.hpp", "nlohmann-json3-dev"),
]


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


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    for program, package in (("mosquitto", "mosquitto"), ("mosquitto_sub", "mosquitto-clients")):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: Debian's package {package}")
    # As root, Mosquitto runs as a user of its own, who must be able to read its file.
    tmp_path.chmod(0o755)
    one = Server(tmp_path)
    yield one
    one.stop()


def generated(name: str, folder: Path) -> None:
    """``gridtalk generate`` of one of the catalogue's devices."""
    subprocess.run(
        [sys.executable, "-m", "gridtalk.cli", "generate", str(DEVICES / f"{name}.json"),
         "-o", str(folder)], check=True, timeout=60,
    )  # fmt: skip


@pytest.fixture(scope="module")
def iottalk_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with what the device's requirements.txt names."""
    folder = tmp_path_factory.mktemp("iottalk")
    basic_file = DEVICES.parent / "basic-files/Python/iottalk-py"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=120)
    python = folder / "bin/python"
    subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r",
         str(basic_file / "requirements.txt")], check=True, timeout=300,
    )  # fmt: skip
    return python


def compiled(folder: Path) -> None:
    """Build a C++ device with its own Makefile: -Wall -Wextra -Werror."""
    for header, package in HEADERS:
        if not Path(header).exists():
            pytest.skip(f"{header} is not there: Debian's package {package}")
    made = subprocess.run(
        ["make", "CXXFLAGS=-O0"], cwd=folder, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_device_lives(
    language: str, server: Server, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = tmp_path / "device"
    generated(f"dummy-{language}", folder)
    if language == "python":
        python = request.getfixturevalue("iottalk_python")
        command = [str(python), "-u", "-m", "iottalkpy.dai", "sa.py"]
    else:
        compiled(folder)
        command = ["./device"]
    log = tmp_path / "device.log"
    with log.open("wb") as out:
        device = subprocess.Popen(
            command, cwd=folder, stdout=out, stderr=out, start_new_session=True,
            env=os.environ | {"IOTTALK_URL": server.url},
        )  # fmt: skip
    try:
        life(server, log)
        os.killpg(device.pid, signal.SIGINT)
        last = {"state": "offline", "rev": "r1"}
        wait_until(lambda: last in server.heard("dev/in"), what="offline")
        wait_until(lambda: server.requests[-1][0] == "DELETE", what="the device to leave")
        assert server.requests[-1][2] == {"rev": "r1"}
        device.wait(20)
    finally:
        print(log.read_text())
        if device.poll() is None:
            os.killpg(device.pid, signal.SIGKILL)
            device.wait(10)


def life(server: Server, log: Path) -> None:
    """From the first start, without a server, to data in both directions."""
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
        return "received: [5.5]" in log.read_text()

    wait_until(received, what="the value sent to the device")


@pytest.mark.parametrize(
    "name", sorted({x.stem for x in DEVICES.glob("*-cpp.json")} - {"dummy-cpp"})
)
def test_every_other_cpp_device_compiles(name: str, tmp_path: Path) -> None:
    generated(name, tmp_path / "device")
    compiled(tmp_path / "device")


def test_the_cpp_meter_counts_and_forgets_nothing(tmp_path: Path) -> None:
    library = DEVICES.parent / "libraries/C++/sharedsolar"
    header, package = HEADERS[1]
    if not Path(header).exists():
        pytest.skip(f"{header} is not there: Debian's package {package}")
    check = Path(__file__).with_name("sharedsolar_check.cpp")
    for command in (
        ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-I", str(library), str(check),
         "-o", "check", "-pthread"],
        ["./check", str(tmp_path)],
    ):  # fmt: skip
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
