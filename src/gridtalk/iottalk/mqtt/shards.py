"""The shards of this process: its fair share, leased, and given back when others come.

Every process says every two seconds that it lives (NOTIFY), so each knows how many there are. It
leases free shards up to its share, and gives back what is over. One that is killed says nothing
more: its leases run out (``LEASE_S``), and the others take them with their next look.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from django.db import Error as DatabaseError
from django.db import connection

from gridtalk.iottalk.models import SHARDS
from gridtalk.iottalk.mqtt.database import Database, Lane
from gridtalk.iottalk.mqtt.listening import PEERS
from gridtalk.iottalk.services.shards import (
    LEASE_S,
    shards_ensure,
    shards_release,
    shards_renew,
    shards_take,
)

log = logging.getLogger(__name__)

EVERY_S = 2.0
#: A process that was not heard for so long does not count.
SILENT_S = 5.0
#: We stop sending so long before others may take over.
MARGIN_S = 1.0
_GOES = "goes "
_GIVES = "gives "


class Shards:
    """Leases shards, and says which came and which went.

    ``may_hold`` tells whether this process reaches the broker; one that does not holds none.
    """

    def __init__(
        self,
        *,
        holder: str,
        database: Database,
        may_hold: Callable[[], bool],
        gained: Callable[[set[int]], None],
        lost: Callable[[set[int]], Awaitable[None]],
    ) -> None:
        self.holder = holder
        self.held: set[int] = set()
        self._database, self._may_hold = database, may_hold
        self._gained, self._lost = gained, lost
        self._peers: dict[str, float] = {}
        self._valid_until = float("-inf")
        self._look = asyncio.Event()
        self.looked = asyncio.Event()

    def valid(self) -> bool:
        """Whether what we hold is certainly ours at this moment."""
        return time.monotonic() < self._valid_until

    def peer(self, said: str) -> None:
        """A process said that it lives, or goes."""
        name = said.removeprefix(_GOES).removeprefix(_GIVES)
        if name == self.holder:
            return
        if said != name or name not in self._peers:
            self._look.set()
        if said.startswith(_GOES):
            self._peers.pop(name, None)
        else:
            self._peers[name] = time.monotonic()

    def look(self) -> None:
        """Look at the leases now."""
        self._look.set()

    async def run(self) -> None:
        """Lease until cancelled."""
        ensured = False
        while True:
            self._look.clear()
            try:
                if not ensured:
                    await self._database.run(Lane.LEASE, shards_ensure)
                    ensured = True
                await self._turn()
                self.looked.set()
            except DatabaseError as error:
                log.warning("the leases of shards could not be renewed: %s", error)
            try:
                async with asyncio.timeout(EVERY_S):
                    await self._look.wait()
                # Several who come together are answered together.
                await asyncio.sleep(0.05)
            except TimeoutError:
                pass

    async def _turn(self) -> None:
        began = time.monotonic()
        may_hold = self._may_hold()
        if may_hold:
            await self._database.run(Lane.LEASE, _say, self.holder)
        kept = await self._database.run(
            Lane.LEASE, shards_renew, holder=self.holder, held=self.held
        )
        self._valid_until = began + LEASE_S - MARGIN_S
        if gone := self.held - kept:
            self.held = kept
            log.warning("shards %s were taken by another process", sorted(gone))
            await self._lost(gone)
        self._peers = {n: at for n, at in self._peers.items() if at > began - SILENT_S}
        share = -(-SHARDS // (1 + len(self._peers))) if may_hold else 0
        if len(self.held) < share:
            taken = await self._database.run(
                Lane.LEASE, shards_take, holder=self.holder, most=share - len(self.held)
            )
            if new := taken - self.held:
                self.held |= new
                self._gained(new)
        elif len(self.held) > share:
            await self._give_back(set(sorted(self.held)[share:]), _GIVES)

    async def _give_back(self, numbers: set[int], word: str) -> None:
        self.held -= numbers
        await self._lost(numbers)
        await self._database.run(Lane.LEASE, shards_release, holder=self.holder, numbers=numbers)
        await self._database.run(Lane.LEASE, _say, f"{word}{self.holder}")

    async def close(self) -> None:
        """Give everything back: this process ends."""
        await self._give_back(set(self.held), _GOES)


def _say(text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [PEERS, text])
