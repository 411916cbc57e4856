"""Throwing out who floods: dropping what it says is work too, for which others wait.

A device says at most some hundred messages a second (``intake``, ``control``); what is over is
dropped, but has been read by then, and one device on the broker's own machine can send more than
this process reads. Then what others say waits behind it, longer and longer. So who sends far too
much loses its password and its connection.
"""

import asyncio
import logging
import time

from gridtalk.core.errors import GridtalkError
from gridtalk.iottalk.broker.admission import credentials_admit
from gridtalk.iottalk.mqtt.database import Database, Lane
from gridtalk.iottalk.mqtt.notes import Floods
from gridtalk.iottalk.mqtt.storing import AWAY
from gridtalk.iottalk.services.expulsion import BAR, devices_expel

log = logging.getLogger(__name__)

#: Messages of one device in a second, of all kinds. An honest one that says what it may, and was
#: cut off for half a minute without being able to forget, stays below.
HOSTILE_A_SECOND = 5_000
_PAUSE_S = 1.0


class Expelling:
    """Counts what devices send, and throws out who floods."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._floods = Floods(most=HOSTILE_A_SECOND, window_s=1.0)
        self._waiting: set[str] = set()
        self._woken = asyncio.Event()
        #: What it still sends until the broker knows is no other flood.
        self._expelled: dict[str, float] = {}

    def bears(self, handle: str, now: float) -> bool:
        """Count a message of that device; False where it floods: it is not worth a look.

        ``now`` is monotonic, in seconds.
        """
        if self._floods.allows(handle, now):
            return True
        if now >= self._expelled.get(handle, 0.0) and handle not in self._waiting:
            self._waiting.add(handle)
            self._woken.set()
        return False

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            handles, now = sorted(self._waiting), time.monotonic()
            if not handles:
                continue
            self._expelled = {who: until for who, until in self._expelled.items() if now < until}
            try:
                await self._database.run(Lane.EXPEL, _expel, handles)
            except (*AWAY, GridtalkError, OSError) as error:
                log.warning("devices that flood could not be thrown out: %s", error)
                await asyncio.sleep(_PAUSE_S)
                self._woken.set()
            else:
                self._expelled |= dict.fromkeys(handles, now + BAR.total_seconds())
                self._waiting.difference_update(handles)


def _expel(handles: list[str]) -> None:
    did = f"sent over {HOSTILE_A_SECOND} messages in a second"
    if expelled := devices_expel(handles=handles, did=did):
        log.warning("thrown out, since it %s: %s", did, ", ".join(expelled))
    # Also of those which another process has thrown out: it may have failed just here.
    credentials_admit(handles=handles)
