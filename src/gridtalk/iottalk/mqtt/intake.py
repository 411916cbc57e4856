"""Data of devices: from the broker to committed samples, to the gateway, and acknowledged.

Messages wait in a bounded queue; whatever waits is stored as one batch (COPY), in a thread, while
the next one gathers. When the database is away the queue fills, and then drops what comes: devices
with references say it again. A device that floods is held to a limit before anything of it is
looked at, so that others are not disturbed.
"""

import asyncio
import logging
import time
from collections import deque
from functools import lru_cache
from typing import NamedTuple

from django.conf import settings

from gridtalk.iottalk import topics
from gridtalk.iottalk.mqtt.database import Database, Lane
from gridtalk.iottalk.mqtt.notes import Floods, Notes
from gridtalk.iottalk.mqtt.outbox import Outbox
from gridtalk.iottalk.mqtt.storing import AWAY, Arrived, Batch, Storing

log = logging.getLogger(__name__)

#: Messages of one device in a second; what is over is dropped and noted.
MOST_A_SECOND = 200
#: Messages that wait for the database, and their bytes.
LONGEST_QUEUE = 200_000
LARGEST_QUEUE_BYTES = 256 * 2**20
BATCH = 4_000
#: What comes within this time is stored together.
GATHER_S = 0.05
#: Where so many come in that time, more are gathered: last values are written once for each batch.
BUSY = 300
GATHER_BUSY_S = 0.15
#: Pages of devices that were told of something are told of what came since.
TELL_EVERY_S = 0.5
PAUSES_S = (0.2, 1.0, 3.0)
#: How long the end of the process waits for what was received.
LAST_S = 5.0

topic_read = lru_cache(maxsize=65_536)(topics.read)


class Counts(NamedTuple):
    """What this process received, stored and dropped since it began."""

    received: int
    stored: int
    dropped: int


class Intake:
    """Takes data messages from the client, and stores them."""

    def __init__(self, *, database: Database, notes: Notes, outbox: Outbox) -> None:
        self._database, self._notes, self._outbox = database, notes, outbox
        self._storing = Storing(notes)
        self._queue: deque[Arrived] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._floods = Floods(most=MOST_A_SECOND, window_s=1.0)
        self._largest = settings.DEVICE_MESSAGE_LARGEST_BYTES
        self._received = self._stored = self._dropped = 0
        self._full = False

    def counts(self) -> Counts:
        """What this process did until now."""
        return Counts(self._received, self._stored, self._dropped)

    def receive(self, topic: topics.Topic, payload: bytes) -> None:
        """A message on the topic of an IDF."""
        self._received += 1
        now = time.time()
        if not self._floods.allows(topic.handle, now):
            self._drop(topic, "flood", f"over {MOST_A_SECOND} messages in a second; dropped")
        elif len(payload) > self._largest:
            text = f"a message of {len(payload)} bytes; at most {self._largest} are taken"
            self._drop(topic, "large", text)
        elif len(self._queue) >= LONGEST_QUEUE or self._bytes >= LARGEST_QUEUE_BYTES:
            self._drop(topic, "busy", "the server had too much to do; messages were dropped")
            if not self._full:
                self._full = True
                log.error("data of devices come faster than they are stored; some are dropped")
        else:
            self._queue.append(Arrived(topic, payload, now))
            self._bytes += len(payload)
            self._arrived.set()

    def _drop(self, topic: topics.Topic, kind: str, text: str) -> None:
        self._dropped += 1
        self._notes.add(topic.handle, kind, text)

    async def run(self) -> None:
        """Store until cancelled."""
        while True:
            try:
                async with asyncio.timeout(TELL_EVERY_S if self._storing.untold else None):
                    await self._arrived.wait()
            except TimeoutError:
                await self._tell()
                continue
            await asyncio.sleep(GATHER_S)
            if len(self._queue) > BUSY:
                await asyncio.sleep(GATHER_BUSY_S)
            await self._store_all()

    async def _store_all(self) -> None:
        while batch := self._next():
            await self._store(batch)
        self._arrived.clear()

    def _next(self) -> Batch | None:
        if not self._queue:
            return None
        taken = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
        self._bytes -= sum(len(one.payload) for one in taken)
        self._full = False
        return Batch(taken)

    async def _store(self, batch: Batch) -> None:
        failures = 0
        while True:
            try:
                await self._database.run(Lane.DATA, self._storing.store, batch)
                break
            except AWAY as error:
                if failures == 0:
                    log.warning("data of devices wait for the database: %s", error)
                await asyncio.sleep(PAUSES_S[min(failures, len(PAUSES_S) - 1)])
                failures += 1
        self._stored += len(batch.rows)
        for topic, payload in batch.acknowledgements:
            # Unhurried: one that is lost is asked for again by the device.
            self._outbox.put(topic, payload, qos=0)

    async def _tell(self) -> None:
        try:
            await self._database.run(Lane.DATA, self._storing.tell)
        except AWAY as error:
            log.warning("pages could not be told: %s", error)
            await asyncio.sleep(1)

    async def close(self) -> None:
        """Store what was received, if the database takes it in time."""
        try:
            async with asyncio.timeout(LAST_S):
                await self._store_all()
                await self._tell()
        except TimeoutError:
            log.error("%s messages of devices could not be stored at the end", len(self._queue))
