"""Bells: a row is the work, a task is only the bell that says there is some.

``ring`` is called after commit. It never touches the database on the caller's path: a thread of
this process gathers what is rung within some milliseconds and enqueues each drain once. A bell that
is lost with a killed process costs nothing but time: the worker's clock rings every 5 seconds.
"""

import logging
import threading
from collections.abc import Callable
from functools import partial

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection, transaction

from gridtalk.core.runs import RUNS

log = logging.getLogger(__name__)

#: How long bells are gathered. Measured: one enqueue costs 3 ms, an inbound message 1 ms.
GATHER_SECONDS = 0.01
#: How long to rest after ringing, for one that rings all the time: a busy web process spends its
#: time on messages, not on bells.
REST_SECONDS = 0.03


class Bell:
    """The bell of one drain. ``enqueue`` puts the drain's task into the queue, once."""

    def __init__(self, name: str, enqueue: Callable[[], None]) -> None:
        self.name = name
        self._enqueue = enqueue

    def ring(self) -> None:
        """Ring at once: only where nothing is uncommitted."""
        _ringer.ring(self)

    def ring_on_commit(self) -> None:
        """Ring when the present transaction has committed (at once where there is none)."""
        transaction.on_commit(partial(_ringer.ring, self))

    def enqueue(self) -> None:
        """Put the drain into the queue; a drain that is waiting already is enough."""
        self._enqueue()


class _Ringer:
    def __init__(self) -> None:
        self._rung: dict[str, Bell] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def ring(self, bell: Bell) -> None:
        if not settings.GRIDTALK_BELLS:
            return
        with self._lock:
            self._rung[bell.name] = bell
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="bells", daemon=True)
                self._thread.start()
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            threading.Event().wait(GATHER_SECONDS)
            with self._lock:
                bells, self._rung = list(self._rung.values()), {}
            for bell in bells:
                if RUNS.look_again(bell.name):
                    continue  # it runs in this very process
                try:
                    bell.enqueue()
                except DatabaseError as error:
                    # The row is stored; the clock's next tick rings for it.
                    log.warning("bell %s could not ring: %s", bell.name, error)
                    connection.close()
            threading.Event().wait(REST_SECONDS)


_ringer = _Ringer()
