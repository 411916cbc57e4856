"""The CO₂ sensor MH-Z19 (B, C) on a serial line; simulated where there is none.

9600 baud, 8N1; commands and answers of nine bytes, the last one a check sum (maker's manual). The
sensor needs three minutes to warm up, and measures 400 to 2000 or 5000 ppm.
"""

import math
import os
import time
from collections import namedtuple

Reading = namedtuple("Reading", "co2_ppm temperature_c")

READ = 0x86
ZERO = 0x87
BASELINE = 0x79
SIZE = 9
_START = 0xFF
_TIMEOUT_S = 1.0


def check_sum(frame):
    """The last byte that belongs to the eight before: those from the second on, taken from 256."""
    return -sum(frame[1:8]) & 0xFF


def command(code, value=0):
    """The nine bytes of a command."""
    frame = bytes([_START, 1, code, value, 0, 0, 0, 0])
    return frame + bytes([check_sum(frame)])


def decode(answer):
    """The reading in an answer; raises OSError, saying what is wrong with it."""
    if len(answer) != SIZE:
        raise OSError(f"{len(answer)} bytes came, {SIZE} were awaited")
    if answer[0] != _START or answer[1] != READ:
        raise OSError(f"this is no reading: {answer.hex(' ')}")
    if answer[8] != check_sum(answer):
        raise OSError("the check sum is wrong")
    # The temperature is that of the sensor itself, and not in the manual.
    return Reading(answer[2] << 8 | answer[3], answer[4] - 40)


class Mhz19:
    """A sensor on that port; ``simulated=None`` simulates where the port is not there."""

    def __init__(self, port="/dev/serial0", simulated=None):
        self._line = None
        if simulated or (simulated is None and not os.path.exists(port)):
            print(f"mhz19: no {port} here, its values are simulated", flush=True)
            return
        import termios

        self._line = os.open(port, os.O_RDWR | os.O_NOCTTY)
        mode = termios.CS8 | termios.CREAD | termios.CLOCAL
        control = [b"\0"] * 32
        control[termios.VTIME] = 1  # tenths of a second that one read waits
        speed = termios.B9600
        termios.tcsetattr(self._line, termios.TCSANOW, [0, 0, mode, 0, speed, speed, control])

    def read(self):
        """A :class:`Reading`; raises OSError where the sensor does not answer, or wrongly."""
        if self._line is None:
            return _simulated()
        import termios

        termios.tcflush(self._line, termios.TCIFLUSH)
        os.write(self._line, command(READ))
        answer = b""
        end = time.monotonic() + _TIMEOUT_S
        while len(answer) < SIZE and time.monotonic() < end:
            answer += os.read(self._line, SIZE - len(answer))
        return decode(answer)

    def baseline(self, on):
        """Let the sensor take each day's lowest value for 400 ppm, or not.

        Leave it on where the room is aired every day; off in a greenhouse or store.
        """
        if self._line is not None:
            os.write(self._line, command(BASELINE, 0xA0 if on else 0))

    def zero(self):
        """Say that this is 400 ppm: in fresh air, after twenty minutes, and not by mistake."""
        if self._line is not None:
            os.write(self._line, command(ZERO))


def _simulated():
    """A classroom: fresh at night, used by day."""
    hour = time.time() % 86400 / 3600
    return Reading(round(450 + 900 * math.exp(-((hour - 12) ** 2) / 10)), 22)
