"""Temperature and humidity from a DHT11, DHT22 or AM2302.

On the Raspberry Pi the kernel reads them: /boot/config.txt gets the line
``dtoverlay=dht11,gpiopin=4`` (for all three types). Where there is no such sensor, values are
simulated, and the start says so.
"""

import math
import time
from pathlib import Path

DEVICES = Path("/sys/bus/iio/devices")
#: The sensor needs this pause between two readings.
PAUSE_S = 2.0


class Dht:
    """A sensor; ``simulated=None`` takes the kernel's where there is one."""

    def __init__(self, simulated=None):
        self._folder = None if simulated else _find()
        if self._folder is None:
            if simulated is False:
                raise OSError("no DHT sensor: is dtoverlay=dht11,gpiopin=… in config.txt?")
            print("dht: no sensor here, its values are simulated", flush=True)
        self._last = None
        self._last_at = -math.inf

    def read(self):
        """(temperature in °C, relative humidity in %), the last ones where the reading failed.

        Raises OSError where no reading has succeeded yet.
        """
        if self._last is None or time.monotonic() - self._last_at >= PAUSE_S:
            try:
                self._last = self._measure()
            except OSError:  # the kernel's driver misses about one reading in ten
                if self._last is None:
                    raise
            self._last_at = time.monotonic()
        return self._last

    def _measure(self):
        if self._folder is None:
            day = time.time() % 86400 / 86400 * 2 * math.pi
            return round(25 - 5 * math.cos(day), 1), round(60 + 20 * math.cos(day), 1)
        names = ("in_temp_input", "in_humidityrelative_input")
        return tuple(int((self._folder / name).read_text()) / 1000 for name in names)


def _find():
    for folder in sorted(DEVICES.glob("iio:device*")):
        if (folder / "in_humidityrelative_input").exists():
            return folder
    return None
