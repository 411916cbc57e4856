"""The Arduino meter: without a board, cut off at any byte of its memory; in simavr, at any time."""

import random
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from tests.scenarios.avr.board import Board, program_build, runner_build
from tests.scenarios.device_server import DEVICES, generated

pytestmark = pytest.mark.scenario

CATALOGUE = DEVICES.parent
HERE = Path(__file__).parent
ONE = "192.168.1.201"


@pytest.mark.parametrize("check", ["json_check", "meter_check", "dht_check"])
def test_libraries_without_a_board(check: str, tmp_path: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed: Debian's package g++")
    # The layout of a generated device, whose libraries find each other by relative paths.
    source = tmp_path / "src"
    shutil.copytree(CATALOGUE / "basic-files/Arduino/avr/src", source)
    for library in (CATALOGUE / "libraries/Arduino").iterdir():
        shutil.copytree(library / library.name, source / "library" / library.name)
    for command in (
        ["g++", "-std=c++11", "-g", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined",
         "-fno-sanitize-recover", "-I", str(HERE / "host"), "-I", str(source),
         str(HERE / f"host/{check}.cpp"), str(source / "json.cpp"), "-o", "check"],
        ["./check"],
    ):  # fmt: skip
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


class Meter:
    """The generated meter on a board; its power may go at any time."""

    def __init__(self, folder: Path, runner: Path) -> None:
        self.board = Board(runner, folder)
        self.start()

    def start(self) -> None:
        """Switch it on, and tell it the time and that all features are wanted."""
        self.seen = len(self.board.lines)
        self.board.start()
        self.board.await_line("?", after=self.seen)
        self.board.say("! ffff 850000000")

    def job(self, *values: object) -> None:
        """Send a job, as the bridge writes it."""
        text = ",".join(f'"{x}"' if isinstance(x, str) else str(x) for x in values)
        self.board.say(f"Job-O [{text}]")

    def done(self, number: int, after: int, seconds: float = 10) -> list[Any]:
        """The confirmation of a job, of the lines after so many; acknowledged."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for values in self.board.values("JobDone-I", after):
                if values[0] == number:
                    self.board.say(f'Ack-O ["{values[-1]}"]')
                    return values[:-1]
            time.sleep(0.02)
        pytest.fail(f"job {number} is not confirmed: {self.board.lines[after:]}")


def test_a_meter_keeps_its_money_when_the_power_goes(tmp_path: Path) -> None:
    folder = tmp_path / "device"
    generated("prepaid-meter-arduino", folder)
    program_build(folder)
    meter = Meter(folder, runner_build(tmp_path))
    chance = random.Random(7)
    try:
        after = len(meter.board.lines)
        meter.job("cr", 1, ONE, "x")
        meter.board.await_line("#job 1: this credit cannot be added", after)
        meter.job("cr", 1, ONE, 4.35)
        assert meter.done(1, after) == [1, 1, 4.35]
        for number in range(2, 12):
            after = len(meter.board.lines)
            line = f'{number} Job-O ["cr",{number},"{ONE}",1000.01]'
            meter.board.put(line)
            # The line takes 12 ms; simavr writes to the EEPROM faster than an ATmega does.
            time.sleep(chance.uniform(0.005, 0.05))
            meter.board.cut()
            meter.start()
            meter.job("cr", number, ONE, 1000.01)  # the gateway repeats what is not confirmed
            done = meter.done(number, after)
            # In the meantime it has used a few cents at most.
            assert 0 <= 435 + (number - 1) * 100_001 - round(done[2] * 100) < 50
    finally:
        print(meter.board.lines)
        meter.board.end()
