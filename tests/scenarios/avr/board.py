"""An Arduino board in simavr: its UART as a terminal's line, its EEPROM kept over a power cut."""

import binascii
import json
import os
import subprocess
import time
import tty
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

NEEDED = [
    ("/usr/bin/avr-g++", "gcc-avr"),
    ("/usr/lib/avr/include/avr/io.h", "avr-libc"),
    ("/usr/share/arduino/hardware/arduino/avr/cores/arduino/Arduino.h", "arduino-core-avr"),
    ("/usr/include/simavr/sim_avr.h", "libsimavr-dev"),
    ("/usr/include/libelf.h", "libelf-dev"),
]
#: The smallest board: an Uno's ATmega328P.
PROGRAM_BYTES, MEMORY_BYTES = 32256, 2048
#: What the stack needs at least.
STACK_BYTES = 500


def runner_build(folder: Path) -> Path:
    """The simulator's program; skips the test where a package is missing."""
    for path, package in NEEDED:
        if not Path(path).exists():
            pytest.skip(f"{path} is not there: Debian's package {package}")
    runner = folder / "runner"
    source = Path(__file__).with_name("runner.c")
    subprocess.run(
        ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", str(source), "-o", str(runner),
         "-lsimavr", "-lelf"], check=True, timeout=120,
    )  # fmt: skip
    return runner


def program_build(folder: Path, *arguments: str) -> tuple[int, int]:
    """Build a generated device with its own Makefile; (program, memory) that it needs, in bytes."""
    made = subprocess.run(
        ["make", *arguments], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert made.returncode == 0, made.stdout + made.stderr
    text, data, bss, *_ = made.stdout.splitlines()[-1].split()
    return int(text) + int(data), int(data) + int(bss)


class Board:
    """One board, and the two ends of its line; ``port`` is what a bridge opens."""

    def __init__(self, runner: Path, folder: Path, mcu: str = "atmega328p") -> None:
        self._command = [str(runner), mcu, str(folder / "device.elf"), str(folder / "eeprom")]
        self.eeprom = folder / "eeprom"
        self._ours, self._theirs = os.openpty()
        # As a serial line: bytes go through as they are.
        tty.setraw(self._theirs)
        self.port = os.ttyname(self._theirs)
        self._process: subprocess.Popen[bytes] | None = None
        self._number = 100
        self._input = b""
        self.lines: list[str] = []

    def start(self) -> "Board":
        """Switch it on; the EEPROM holds what it held."""
        self._process = subprocess.Popen(
            self._command, stdin=self._ours, stdout=self._ours, stderr=subprocess.DEVNULL
        )
        return self

    def cut(self) -> None:
        """Take its power away."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def end(self) -> None:
        """Leave nothing running or open."""
        self.cut()
        for descriptor in (self._ours, self._theirs):
            os.close(descriptor)

    # Without a bridge: the test is the bridge.

    def read(self) -> list[str]:
        """All lines until now, without their check sums, which must be right."""
        os.set_blocking(self._theirs, False)
        with suppress(BlockingIOError):
            self._input += os.read(self._theirs, 65536)
        *lines, self._input = self._input.split(b"\n")
        for line in lines:
            if line and not line.startswith(b"Loaded "):
                text, star, crc = line[:-5], line[-5:-4], line[-4:]
                # A line that a power cut has broken is no line.
                if star == b"*" and crc == b"%04x" % binascii.crc_hqx(text, 0):
                    self.lines.append(text.decode())
        return self.lines

    def say(self, text: str) -> None:
        """Send a line and await its answer, again and again as a bridge does."""
        self._number += 1
        answer = f"={self._number}"
        count = len(self.lines)
        for _ in range(5):
            self.put(f"{self._number} {text}")
            end = time.monotonic() + 2
            while time.monotonic() < end:
                if answer in self.read()[count:]:
                    return
                time.sleep(0.01)
        pytest.fail(f"the board does not answer to {text}: {self.lines}")

    def put(self, text: str) -> None:
        """Send a line once."""
        line = text.encode()
        os.write(self._theirs, b"\n%b*%04x\n" % (line, binascii.crc_hqx(line, 0)))

    def disturb(self, noise: bytes) -> None:
        """Put bytes on its line that are no line."""
        os.write(self._theirs, noise)

    def await_line(self, start: str, after: int = 0, seconds: float = 15) -> str:
        """The first line that starts so, of those after so many."""

        def found() -> str | None:
            return next((x for x in self.read()[after:] if x.startswith(start)), None)

        end = time.monotonic() + seconds
        while (line := found()) is None:
            if time.monotonic() > end:
                pytest.fail(f"no line {start}…; there are {self.lines}", pytrace=False)
            time.sleep(0.02)
        return line

    def values(self, feature: str, after: int = 0) -> list[Any]:
        """The lists that an input feature has sent, of the lines after so many."""
        start = f"{feature} "
        return [
            json.loads(x.removeprefix(start)) for x in self.read()[after:] if x.startswith(start)
        ]


def program_fits(folder: Path, *arguments: str) -> None:
    """Build it, and hold that an Uno can take it."""
    program, memory = program_build(folder, *arguments)
    print(f"{folder.name}: {program} bytes of program, {memory} bytes of memory")
    assert program <= PROGRAM_BYTES
    assert memory <= MEMORY_BYTES - STACK_BYTES
