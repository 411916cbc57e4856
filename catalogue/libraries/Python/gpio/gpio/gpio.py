"""Pins of a Linux board, by the kernel's GPIO device: contacts and buttons, lamps and valves.

Simulated where there is no such device. Source of the numbers: linux/gpio.h, interface 1.
"""

import os
import struct
import time

CHIP = "/dev/gpiochip0"
#: struct gpiohandle_request: 64 offsets, flags, 64 defaults, label, number of lines, descriptor.
_REQUEST = struct.Struct("=64II64s32sIi")
_VALUES = struct.Struct("=64B")
_INPUT = 1 << 0
_OUTPUT = 1 << 1
_ACTIVE_LOW = 1 << 2
_PULL = {None: 0, "up": 1 << 5, "down": 1 << 6}
_GET_LINE, _GET_VALUES, _SET_VALUES = 0x03, 0x08, 0x09


def _control(descriptor, number, layout, data):
    import fcntl

    # As the macro _IOWR makes it of 0xB4, the number and the size.
    return fcntl.ioctl(descriptor, 3 << 30 | layout.size << 16 | 0xB4 << 8 | number, data)


class _Pin:
    """A line of the chip, or None where it is simulated; ``flags`` as in linux/gpio.h."""

    def __init__(self, pin, flags, chip, simulated):
        self.pin = pin
        self._line = None
        if simulated or (simulated is None and not os.path.exists(chip)):
            print(f"gpio pin {pin}: no {chip} here, it is simulated", flush=True)
            return
        request = _REQUEST.pack(pin, *[0] * 63, flags, b"", b"gpio", 1, 0)
        descriptor = os.open(chip, os.O_RDONLY)
        try:
            answer = _control(descriptor, _GET_LINE, _REQUEST, request)
        finally:
            os.close(descriptor)
        self._line = _REQUEST.unpack(answer)[-1]


class Input(_Pin):
    """A pin that is read. ``pull``: the board's own resistor, "up", "down" or None.

    A contact from the pin to ground reads 1 where it is closed as
    ``Input(17, pull="up", active_low=True)``.
    """

    def __init__(self, pin, pull=None, active_low=False, chip=CHIP, simulated=None):
        flags = _INPUT | _PULL[pull] | (_ACTIVE_LOW if active_low else 0)
        super().__init__(pin, flags, chip, simulated)

    def read(self):
        """1 or 0; simulated, it changes every ten seconds."""
        if self._line is None:
            return int(time.time() // 10 % 2)
        return _control(self._line, _GET_VALUES, _VALUES, _VALUES.pack(*[0] * 64))[0]


class Output(_Pin):
    """A pin that is set; off at the start."""

    def __init__(self, pin, active_low=False, chip=CHIP, simulated=None):
        flags = _OUTPUT | (_ACTIVE_LOW if active_low else 0)
        super().__init__(pin, flags, chip, simulated)
        self.is_on = False

    def write(self, on):
        """On where ``on`` is true, else off."""
        self.is_on = bool(on)
        if self._line is None:
            print(f"gpio pin {self.pin}: {'on' if self.is_on else 'off'}", flush=True)
            return
        _control(self._line, _SET_VALUES, _VALUES, _VALUES.pack(int(self.is_on), *[0] * 63))
