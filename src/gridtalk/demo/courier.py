"""Things to be done at a time, done by a few threads; what has to be repeated is put back."""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

#: What the courier does; a number that it returns asks to be called again after so many seconds.
Errand = Callable[[], float | None]


class Courier:
    """Runs errands when they are due, in order of their time, on ``threads`` threads.

    A repeated errand does not hold up the others: it waits on the heap, not on a thread. An errand
    that raises is a bug of the simulator: it is logged, kept in ``failures`` and not repeated.
    """

    def __init__(self, *, threads: int = 4) -> None:
        self._due: list[tuple[float, int, Errand]] = []
        self._count = itertools.count()
        self._changed = threading.Condition()
        self._running = False
        self._busy = 0
        self._threads = threads
        self._workers: list[threading.Thread] = []
        self.failures: list[Exception] = []

    def start(self) -> None:
        """Begin to run errands."""
        self._running = True
        for number in range(self._threads):
            worker = threading.Thread(target=self._work, name=f"courier-{number}", daemon=True)
            self._workers.append(worker)
            worker.start()

    def stop(self) -> None:
        """Drop what waits and end the threads."""
        with self._changed:
            self._running = False
            self._due.clear()
            self._changed.notify_all()
        for worker in self._workers:
            worker.join(timeout=15)

    def post(self, errand: Errand, *, delay_s: float = 0.0) -> None:
        """Have an errand run after ``delay_s`` seconds."""
        with self._changed:
            entry = (time.monotonic() + delay_s, next(self._count), errand)
            heapq.heappush(self._due, entry)
            self._changed.notify()

    @property
    def waiting(self) -> int:
        """How many errands wait, due or not."""
        return len(self._due)

    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is being done."""
        with self._changed:
            return not self._due and not self._busy

    def _next(self) -> Errand | None:
        """The next errand when it is due; None at the end."""
        with self._changed:
            while self._running:
                wait = self._due[0][0] - time.monotonic() if self._due else None
                if wait is not None and wait <= 0:
                    self._busy += 1
                    return heapq.heappop(self._due)[2]
                self._changed.wait(wait)
        return None

    def _work(self) -> None:
        while (errand := self._next()) is not None:
            try:
                again = errand()
            except Exception as error:  # kept, and told by whoever runs the network
                log.exception("an errand of the simulated network failed")
                self.failures.append(error)
            else:
                if again is not None:
                    self.post(errand, delay_s=again)
            with self._changed:
                self._busy -= 1
