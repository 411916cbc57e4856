"""A relay on a pin of a Linux board, by the kernel's GPIO device; simulated where there is none.

Source of the numbers: linux/gpio.h, interface 1.
"""

import os
import struct

#: struct gpiohandle_request: 64 offsets, flags, 64 defaults, label, number of lines, descriptor.
_REQUEST = struct.Struct("=64II64s32sIi")
_VALUES = struct.Struct("=64B")
_OUTPUT = 1 << 1


def _code(number, size):
    """_IOWR(0xB4, number, size)"""
    return 3 << 30 | size << 16 | 0xB4 << 8 | number


class Relay:
    """One relay; off at the start. ``active_low`` for boards whose relays close on a low pin."""

    def __init__(self, pin, chip="/dev/gpiochip0", active_low=False, simulated=None):
        self.pin = pin
        self.is_on = False
        self._active_low = active_low
        self._line = None
        if simulated or (simulated is None and not os.path.exists(chip)):
            print(f"relay on pin {pin}: no {chip} here, it is simulated", flush=True)
            return
        import fcntl

        off = bytes([1 if active_low else 0])
        request = _REQUEST.pack(pin, *[0] * 63, _OUTPUT, off, b"relay", 1, 0)
        descriptor = os.open(chip, os.O_RDONLY)
        try:
            answer = fcntl.ioctl(descriptor, _code(0x03, _REQUEST.size), request)
        finally:
            os.close(descriptor)
        self._line = _REQUEST.unpack(answer)[-1]

    def switch(self, on):
        """Close the relay where ``on`` is true, else open it."""
        self.is_on = bool(on)
        if self._line is None:
            print(f"relay on pin {self.pin}: {'on' if self.is_on else 'off'}", flush=True)
            return
        import fcntl

        level = int(self.is_on != self._active_low)
        fcntl.ioctl(self._line, _code(0x09, _VALUES.size), _VALUES.pack(level, *[0] * 63))
