"""Generated devices, built and started: they wait for a server, register, send, obey and leave.

The server here is a few lines of HTTP and a real Mosquitto, as ``spec/iottalk.md`` describes
IoTtalk v2. The Python device runs under an unmodified iottalk-py, in an environment of its own.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import wait_until
from tests.scenarios.device_server import DEVICES, Server, generated, life, server_on

pytestmark = pytest.mark.scenario

LANGUAGES = ["python", "cpp"]
HEADERS = [
    ("/usr/include/mosquitto.h", "libmosquitto-dev"),
    ("/usr/include/nlohmann/json.hpp", "nlohmann-json3-dev"),
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with server_on(tmp_path) as one:
        yield one


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


@pytest.mark.parametrize(
    ("check", "libraries"),
    [("sharedsolar_check", ["sharedsolar"]), ("libraries_check", ["gpio", "mhz19", "pzem"])],
)
def test_cpp_libraries_without_hardware(check: str, libraries: list[str], tmp_path: Path) -> None:
    folder = DEVICES.parent / "libraries/C++"
    header, package = HEADERS[1]
    if not Path(header).exists():
        pytest.skip(f"{header} is not there: Debian's package {package}")
    source = Path(__file__).with_name(f"{check}.cpp")
    for command in (
        ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror",
         *(f"-I{folder / library}" for library in libraries), str(source), "-o", "check",
         "-pthread"],
        ["./check", str(tmp_path)],
    ):  # fmt: skip
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
