"""The database for the event loop: services run in lasting threads, each with one connection.

Threads with Django's connections, not psycopg's asynchronous ones: the services stay ordinary code,
shared with the web process, and tested like all others. A batch costs one hop into a thread (some
100 µs), and its statements run without the interpreter's lock.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import close_old_connections, connections

P = ParamSpec("P")
R = TypeVar("R")


class Lane(Enum):
    """What must not wait for other work has a thread of its own; each does one thing at a time."""

    LEASE = "lease"
    CONTROL = "control"
    DATA = "data"
    SEND = "send"
    EXPEL = "expel"


class Database:
    """Runs functions that use Django's connection."""

    def __init__(self) -> None:
        self._lanes = {lane: ThreadPoolExecutor(1, f"devices-{lane.value}") for lane in Lane}

    async def run(
        self, lane: Lane, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Call it in that lane's thread; raises what it raises.

        A connection that was lost is made anew with the next call.
        """
        call = partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._lanes[lane], _fresh, call)

    async def close(self) -> None:
        """Close the connections and end the threads."""
        for lane in Lane:
            await self.run(lane, connections.close_all)
        for pool in self._lanes.values():
            pool.shutdown()


def _fresh(call: Callable[[], R]) -> R:
    close_old_connections()
    return call()
