"""Which drains run in this process: of each at most one.

A second run beside the first would find the same rows locked and take a place of the worker from
other drains (measured: at 50 texts a second, runs of the inbound drain held all four places, and
answers waited seconds for the sender). So whoever comes while a drain runs only leaves word, and
the one that runs looks again before it ends. Other processes and machines have runs of their own.
"""

import threading


class Runs:
    """The drains that run, and which of them are to look again. For any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._again: dict[str, bool] = {}

    def begin(self, name: str) -> bool:
        """Whether the caller may run it; else the one that runs will look again."""
        with self._lock:
            if name in self._again:
                self._again[name] = True
                return False
            self._again[name] = False
            return True

    def look_again(self, name: str) -> bool:
        """Leave word with the one that runs; False where none does."""
        with self._lock:
            if name not in self._again:
                return False
            self._again[name] = True
            return True

    def may_end(self, name: str) -> bool:
        """Whether the run is over; else somebody left word, which is hereby taken."""
        with self._lock:
            if self._again[name]:
                self._again[name] = False
                return False
            del self._again[name]
            return True

    def end(self, name: str) -> bool:
        """End the run in any case; whether somebody had left word."""
        with self._lock:
            return self._again.pop(name)


#: This process's.
RUNS = Runs()
