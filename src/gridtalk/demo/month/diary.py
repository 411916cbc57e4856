"""Simulated time: what is to happen when, and doing it in that order."""

import heapq
import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from gridtalk.demo.courier import Errand

log = logging.getLogger(__name__)


class Diary:
    """A courier whose time is simulated: errands run when :meth:`run_until` comes to them.

    Errands of one instant run in the order in which they were entered, whatever the threads: what
    several threads enter within :meth:`gathering` is put in order of :meth:`key` first.
    """

    def __init__(self, start: datetime) -> None:
        self.now = start
        self.failures: list[Exception] = []
        self._due: list[tuple[datetime, int, Errand]] = []
        self._count = itertools.count()
        self._gathered: list[tuple[str, int, datetime, Errand]] | None = None
        self._mine = threading.local()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Nothing: no thread is needed."""

    def stop(self) -> None:
        """Drop what waits."""
        self._due.clear()

    def is_idle(self) -> bool:
        """Whether nothing waits."""
        return not self._due

    def post(self, errand: Errand, *, delay_s: float = 0.0) -> None:
        """Have an errand run after ``delay_s`` seconds."""
        self.at(self.now + timedelta(seconds=delay_s), errand)

    def at(self, when: datetime, errand: Errand) -> None:
        """Have an errand run at that time, or at once where it is over."""
        when = max(when, self.now)
        with self._lock:
            if self._gathered is not None:
                key = getattr(self._mine, "key", "")
                self._gathered.append((key, next(self._count), when, errand))
                return
            heapq.heappush(self._due, (when, next(self._count), errand))

    def every(self, pause: timedelta, do: Callable[[], object], *, first: datetime) -> None:
        """Do something at ``first`` and then after each ``pause``."""

        def errand() -> float:
            do()
            return pause.total_seconds()

        self.at(first, errand)

    def key(self, key: str) -> None:
        """What this thread enters from now on belongs to ``key`` (see :meth:`gathering`)."""
        self._mine.key = key

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """In this block several threads enter errands, each those of one key at a time."""
        self._gathered = []
        try:
            yield
        finally:
            gathered, self._gathered = sorted(self._gathered, key=lambda one: one[:2]), None
            for _, _, when, errand in gathered:
                self.at(when, errand)

    def run_until(self, end: datetime) -> None:
        """Do all that is due until then; an errand that raises is kept in ``failures``."""
        while self._due and self._due[0][0] <= end:
            when, _, errand = heapq.heappop(self._due)
            self.now = when
            try:
                again = errand()
            except Exception as error:
                log.exception("an errand of the simulated month failed")
                self.failures.append(error)
            else:
                if again is not None:
                    self.post(errand, delay_s=again)
        self.now = end
