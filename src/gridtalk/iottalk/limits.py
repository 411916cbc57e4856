"""How often devices may ask, so that a flood from one of them disturbs no other.

Buckets in the memory of each web process, checked before the database is asked: with several
processes, the limits are that many times larger. A bucket fills again at its rate, up to its burst;
what a request finds empty is answered 429, with the seconds to wait.
"""

import math
import threading
import time
from dataclasses import dataclass

from django.conf import settings

from gridtalk.core.errors import TooMany

#: More than a large installation has devices; then the fullest are forgotten.
MOST_BUCKETS = 20_000
ALL = ""


class Wait(TooMany):
    """Too often; ``seconds`` says when the next request is welcome."""

    def __init__(self, what: str, seconds: float) -> None:
        self.seconds = max(1, math.ceil(seconds))
        super().__init__(f"{what}; wait {self.seconds} s")


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Limiter:
    """Token buckets by name: ``rate`` a second, ``burst`` at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def take(self, kind: str, name: str, *, rate: float, burst: float) -> float:
        """Take one; 0 where there was one, else the seconds until there is."""
        now = time.monotonic()
        with self._lock:
            bucket = self._buckets.get((kind, name))
            if bucket is None:
                if len(self._buckets) >= MOST_BUCKETS:
                    self._forget()
                bucket = self._buckets[kind, name] = _Bucket(burst, now)
            bucket.left = min(burst, bucket.left + (now - bucket.at) * rate)
            bucket.at = now
            if bucket.left < 1:
                return (1 - bucket.left) / rate
            bucket.left -= 1
            return 0.0

    def _forget(self) -> None:
        oldest = sorted(self._buckets, key=lambda key: self._buckets[key].at)
        for key in oldest[: MOST_BUCKETS // 2]:
            del self._buckets[key]

    def clear(self) -> None:
        """Forget everything; for tests."""
        with self._lock:
            self._buckets.clear()


_limiter = Limiter()
forget = _limiter.clear


def registration_admit(*, source: str) -> None:
    """One registration, or leaving, from that address. Raises :class:`Wait`."""
    for name, rate in (
        (source, settings.DEVICE_REGISTRATIONS_PER_MINUTE),
        (ALL, settings.DEVICE_REGISTRATIONS_PER_MINUTE_IN_ALL),
    ):
        if seconds := _limiter.take("registration", name, rate=rate / 60, burst=rate):
            raise Wait("too many registrations", seconds)


def request_admit(*, address: str, source: str) -> None:
    """One request of a v1 device from that IP address. Raises :class:`Wait`.

    Nothing is known of the caller's key yet: what others ask in the device's name, from elsewhere,
    is not counted as the device's.
    """
    for what, kind, name, rate in (
        ("of this device", "device", f"{address} {source}", settings.DEVICE_REQUESTS_PER_SECOND),
        ("from this address", "source", source, settings.DEVICE_REQUESTS_PER_SECOND_OF_SOURCE),
    ):
        if seconds := _limiter.take(kind, name, rate=rate, burst=5 * rate):
            raise Wait(f"too many requests {what}", seconds)


def event_admit(*, device_id: int) -> bool:
    """Whether open pages are told of one more message of a device: two a second, four at once."""
    return not _limiter.take("event", str(device_id), rate=2, burst=4)


def note_admit(*, name: str) -> bool:
    """Whether one more line about what was refused may be written: one a minute for each name,
    a hundred in all."""
    return not (
        _limiter.take("note", name, rate=1 / 60, burst=1)
        or _limiter.take("notes", ALL, rate=100 / 60, burst=100)
    )
