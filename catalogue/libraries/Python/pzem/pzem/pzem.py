"""The energy meter PZEM-004T, version 3, on a serial line; simulated where there is none.

Modbus RTU, 9600 baud, 8N1. Input registers from 0 (maker's manual): voltage in 0.1 V, current in
mA (two registers, low first), power in 0.1 W (two), energy in Wh (two), frequency in 0.1 Hz, power
factor in 0.01, alarm.
"""

import math
import os
import struct
import time
from collections import namedtuple

Reading = namedtuple("Reading", "voltage_v current_a power_w energy_wh frequency_hz power_factor")

ANY_ADDRESS = 0xF8
_READ_INPUT = 0x04
_RESET_ENERGY = 0x42
_REGISTERS = 10
_TIMEOUT_S = 1.0


def crc16(data):
    """Modbus's check sum of some bytes."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def frame(*parts):
    """A Modbus frame: the bytes with their check sum, low byte first."""
    data = bytes(parts)
    return data + struct.pack("<H", crc16(data))


def decode(answer, address=None):
    """The reading in an answer; raises OSError, saying what is wrong with it."""
    if len(answer) >= 2 and answer[1] == _READ_INPUT | 0x80:
        raise OSError(f"the meter refuses: code {answer[2] if len(answer) > 2 else '?'}")
    size = 3 + 2 * _REGISTERS + 2
    if len(answer) != size or answer[1] != _READ_INPUT or answer[2] != 2 * _REGISTERS:
        raise OSError(f"{len(answer)} bytes came, {size} were awaited")
    if crc16(answer) != 0:
        raise OSError("the check sum is wrong")
    if address not in (None, ANY_ADDRESS, answer[0]):
        raise OSError(f"meter {answer[0]} answered instead of {address}")
    r = struct.unpack(">10H", answer[3:-2])
    return Reading(
        voltage_v=r[0] / 10,
        current_a=(r[1] | r[2] << 16) / 1000,
        power_w=(r[3] | r[4] << 16) / 10,
        energy_wh=r[5] | r[6] << 16,
        frequency_hz=r[7] / 10,
        power_factor=r[8] / 100,
    )


class Pzem:
    """A meter on that port; ``simulated=None`` simulates where the port is not there."""

    def __init__(self, port="/dev/ttyUSB0", address=ANY_ADDRESS, simulated=None):
        self.address = address
        self._line = None
        if simulated or (simulated is None and not os.path.exists(port)):
            print(f"pzem: no {port} here, its values are simulated", flush=True)
            self._energy_wh = 0.0
            self._read_at = time.monotonic()
            self.simulated_load_w = None
            return
        import termios

        self._line = os.open(port, os.O_RDWR | os.O_NOCTTY)
        mode = termios.CS8 | termios.CREAD | termios.CLOCAL
        control = [b"\0"] * 32
        control[termios.VTIME] = 1  # tenths of a second that one read waits
        speed = termios.B9600
        termios.tcsetattr(self._line, termios.TCSANOW, [0, 0, mode, 0, speed, speed, control])

    def read(self):
        """A :class:`Reading`; raises OSError where the meter does not answer, or wrongly."""
        if self._line is None:
            return self._simulated()
        request = frame(self.address, _READ_INPUT, 0, 0, 0, _REGISTERS)
        return decode(self._ask(request, 3 + 2 * _REGISTERS + 2), self.address)

    def reset_energy(self):
        """Set the meter's energy to zero; raises OSError where it does not confirm."""
        if self._line is None:
            self._energy_wh = 0.0
            return
        request = frame(self.address, _RESET_ENERGY)
        if self._ask(request, len(request)) != request:
            raise OSError("the meter did not confirm the reset")

    def _ask(self, request, size):
        import termios

        termios.tcflush(self._line, termios.TCIFLUSH)
        os.write(self._line, request)
        answer = b""
        end = time.monotonic() + _TIMEOUT_S
        while len(answer) < size and time.monotonic() < end:
            answer += os.read(self._line, size - len(answer))
        return answer

    def _simulated(self):
        """A household: more in the evening, or what ``simulated_load_w`` says."""
        now = time.monotonic()
        load = self.simulated_load_w
        if load is None:
            hour = time.time() % 86400 / 3600
            load = 15 + 60 * math.exp(-((hour - 20) ** 2) / 6)
        self._energy_wh += load * (now - self._read_at) / 3600
        self._read_at = now
        return Reading(230.0, round(load / 230, 3), round(load, 1), int(self._energy_wh), 50.0, 1.0)
