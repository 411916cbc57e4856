"""PostgreSQL's notices for this process, on a connection of its own which comes back by itself."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import psycopg
from django.db import connection

from gridtalk.iottalk.notices import CHANNEL, Notice, notice_read

log = logging.getLogger(__name__)

#: Where the processes say that they live, so that each knows its share of the shards.
PEERS = "gridtalk_device_servers"
PAUSES_S = (0.2, 1.0, 3.0)
_KNOWN = {"host", "hostaddr", "port", "dbname", "user", "password", "service", "passfile"}


class Listening:
    """Calls back what is said; ``again`` whenever something may have been missed."""

    def __init__(
        self,
        *,
        notice: Callable[[Notice, int, int], None],
        peer: Callable[[str], None],
        again: Callable[[], None],
    ) -> None:
        self._notice, self._peer, self._again = notice, peer, again

    async def run(self) -> None:
        """Listen until cancelled."""
        failures = 0
        while True:
            try:
                async with await _connect() as listening:
                    await listening.execute(f"LISTEN {CHANNEL}")
                    await listening.execute(f"LISTEN {PEERS}")
                    failures = 0
                    self._again()
                    async for said in listening.notifies():
                        self._take(said.channel, said.payload)
            except psycopg.Error as error:
                log.warning("the connection for notices is lost: %s", error)
            pause = PAUSES_S[min(failures, len(PAUSES_S) - 1)]
            failures += 1
            await asyncio.sleep(pause)

    def _take(self, channel: str, payload: str) -> None:
        if channel == PEERS:
            self._peer(payload)
        elif (read := notice_read(payload)) is not None:
            self._notice(*read)


async def _connect() -> psycopg.AsyncConnection[Any]:
    parameters = {
        name: value
        for name, value in connection.get_connection_params().items()
        if name in _KNOWN or name.startswith("ssl")
    }
    return await psycopg.AsyncConnection.connect(
        **parameters,
        autocommit=True,
        connect_timeout=5,
        application_name="gridtalk devices",
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
    )
