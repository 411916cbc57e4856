"""Generated Arduino devices in simavr, alone and over their serial bridge."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import wait_until
from tests.scenarios.avr.board import Board, program_fits, runner_build
from tests.scenarios.avr.bridge import Bridge
from tests.scenarios.device_server import DEVICES, Server, generated, life, server_on

pytestmark = pytest.mark.scenario

OTHERS = sorted({x.stem for x in DEVICES.glob("*-arduino.json")})


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runner_build(tmp_path_factory.mktemp("simavr"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with server_on(tmp_path) as one:
        yield one


@pytest.mark.parametrize(
    ("name", "board_name", "mcu"),
    [*((name, "uno", "atmega328p") for name in OTHERS),
     ("prepaid-meter-arduino", "mega", "atmega2560")],
)  # fmt: skip
def test_every_device_fits_its_board_and_reports(
    name: str, board_name: str, mcu: str, runner: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "device"
    generated(name, folder)
    program_fits(folder, "SIMULATED=1", f"BOARD={board_name}")
    board = Board(runner, folder, mcu).start()
    try:
        version = board.await_line("?")
        assert version[1:] in next(folder.glob("*.ino")).read_text()
        if "meter" not in name:
            board.await_line(first_idf(folder))  # on a serial monitor, without a bridge
        count = len(board.lines)
        board.say("! ffff 850000000")
        time.sleep(2)
        board.say("! ffff 850003600")  # an hour later: what reports by the hour does so
        board.await_line(first_idf(folder), count, seconds=30)
    finally:
        board.end()


def test_a_disturbed_line_is_no_line(runner: Path, tmp_path: Path) -> None:
    folder = tmp_path / "device"
    generated("dummy-arduino", folder)
    program_fits(folder)
    board = Board(runner, folder).start()
    try:
        board.await_line("?")
        board.say("Dummy_Control [1]")
        for noise in (b"\xff" * 300, b"\n\n*\n*0000\n1*\n", b"7 Dummy_Control [666]*0000\n"):
            board.disturb(noise)
        board.say("Dummy_Control [2]")
        # The same number again: answered, and not carried out again.
        board.put("900 Dummy_Control [3]")
        board.await_line("=900")
        board.put("900 Dummy_Control [3]")
        for odd in (
            "Nothing_O [5]",
            "Dummy_Control",
            "Dummy_Control [",
            "Dummy_Control [[1]]",
            "!",
        ):
            board.say(odd)
        board.say("?")
        board.say('Dummy_Control ["a\\"b"]')
        said = [line for line in board.read() if line[0] in "#?"][1:]
        assert said == [
            "#received: 1.00", "#received: 2.00", "#received: 3.00",
            "#Dummy_Control: this list cannot be read", "#Dummy_Control: this list cannot be read",
            board.lines[0], '#received: a"b',
        ]  # fmt: skip
        assert board.lines.count("=900") == 2
    finally:
        board.end()


def first_idf(folder: Path) -> str:
    settings: dict[str, list[list[str]]] = {}
    exec((folder / "settings.py").read_text(), settings)
    return f"{settings['idf_list'][0][0]} ["


def test_a_device_lives_over_its_bridge(runner: Path, server: Server, tmp_path: Path) -> None:
    folder, log = tmp_path / "device", tmp_path / "device.log"
    generated("dummy-arduino", folder)
    program_fits(folder)
    board = Board(runner, folder).start()
    bridge = Bridge(folder, log, port=board.port, url=server.url, address="a1")
    try:
        life(server, log, shown="received: 5.50")
        # The bridge ends and starts: the device keeps its address, and stays registered meanwhile.
        bridge.end()
        assert server.heard("dev/in")[-1] == {"state": "offline", "rev": "r1"}
        bridge = Bridge(folder, log, port=board.port, url=server.url, address="a1")
        wait_until(lambda: len(server.requests) == 2, what="the second registration")
        assert [request[:2] for request in server.requests] == [("PUT", "/iottalk/v2/a1")] * 2
        command = {"command": "CONNECT", "idf": "Dummy_Sensor", "topic": "data/2", "msg_id": 7}

        def connected() -> bool:
            server.publish("dev/out", command)
            return {"msg_id": 7, "state": "ok"} in server.heard("dev/in")

        wait_until(connected, what="the answer to CONNECT")
        wait_until(lambda: server.heard("data/2"), what="values over the second bridge")
        # The board loses its power: the same registration serves it when it is back.
        board.cut()
        board.start()
        count = len(server.heard("data/2"))
        wait_until(lambda: len(server.heard("data/2")) > count + 1, what="values after a start")
        assert len(server.requests) == 2
        for odd, reason in (
            ({"command": "CONNECT", "idf": "Nope", "topic": "x", "msg_id": 8}, "no IDF Nope"),
            ({"command": "SING", "odf": "Dummy_Control", "msg_id": 9}, "unknown command SING"),
        ):
            server.publish("dev/out", odd)
            answer = {"msg_id": odd["msg_id"], "state": "error", "reason": reason}
            wait_until(lambda x=answer: x in server.heard("dev/in"), what=reason)
        server.publish("dev/out", ["no command"])
        server.publish("data/odf", [[1]])
        wait_until(lambda: "a command that cannot be read" in log.read_text(), what="its refusal")
    finally:
        print(log.read_text())
        bridge.end()
        board.end()
