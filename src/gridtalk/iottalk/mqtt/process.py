"""One process of the device server: the connection to the broker, and everything behind it.

::

    broker ──► client ──► data ─────► intake ──► samples, gateway ──► acknowledgements ─┐
                 ▲   └──► control ──► sessions ─► presence                              │
                 │                       └─► CONNECT …, values, jobs ─► outbox ◄────────┘
                 └───────────────────────────────────────────────────────┘
    PostgreSQL ── notices ──► sessions, sending          leases ──► which shards are ours

Any number of processes run at once. Data topics are shared among all; control topics are read by
the process that leases their shard.
"""

import asyncio
import logging
import secrets
import ssl
import time
from collections.abc import Callable, Collection, Coroutine
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from typing import Any

import aiomqtt
from django.db import Error as DatabaseError

from gridtalk.core.errors import GridtalkError
from gridtalk.iottalk.broker import address
from gridtalk.iottalk.broker.admission import credentials_sync
from gridtalk.iottalk.broker.retained import retained_guard
from gridtalk.iottalk.mqtt.control import Control, Member
from gridtalk.iottalk.mqtt.database import Database, Lane
from gridtalk.iottalk.mqtt.expelling import Expelling
from gridtalk.iottalk.mqtt.intake import Counts, Intake, topic_read
from gridtalk.iottalk.mqtt.listening import Listening
from gridtalk.iottalk.mqtt.notes import Notes
from gridtalk.iottalk.mqtt.outbox import IN_FLIGHT, Outbox
from gridtalk.iottalk.mqtt.sending import Sending
from gridtalk.iottalk.mqtt.shards import Shards
from gridtalk.iottalk.notices import Notice
from gridtalk.iottalk.services.directory import devices_by_handle
from gridtalk.iottalk.services.presence import Note, notes_store

log = logging.getLogger(__name__)

#: Pauses before the broker is tried again.
PAUSES_S = (0.1, 0.3, 1.0, 2.0, 5.0)
#: Without the broker for so long, a process gives its shards to others.
ALONE_S = 15.0
NOTES_EVERY_S = 3.0
KEEPALIVE_S = 30
GUARD_LOOK_S = 2.0


class DeviceServer:
    """Everything of one process; :meth:`run` until ``stop`` is set."""

    def __init__(self, *, ready: Callable[[], None]) -> None:
        self.holder = f"devices-{secrets.token_hex(6)}"
        self._say_ready = ready
        self._database = Database()
        self._outbox = Outbox()
        self._notes = Notes()
        self._control = Control(
            holder=self.holder,
            database=self._database,
            outbox=self._outbox,
            notes=self._notes,
            ready=self._ready,
        )
        self._intake = Intake(database=self._database, notes=self._notes, outbox=self._outbox)
        self._expelling = Expelling(self._database)
        self._shards = Shards(
            holder=self.holder,
            database=self._database,
            may_hold=lambda: time.monotonic() < self._reached_until,
            gained=self._control.gained,
            lost=self._control.lost,
        )
        self._sending = Sending(
            database=self._database,
            outbox=self._outbox,
            control=self._control,
            certain=self._shards.valid,
        )
        self._listening = Listening(
            notice=self._notice, peer=self._shards.peer, again=self._control.look
        )
        self._reached_until = float("-inf")
        self._connected = asyncio.Event()

    def counts(self) -> Counts:
        """What this process received and stored."""
        return self._intake.counts()

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until the end is asked for; raises what no restart of broker or database causes.

        :class:`SetupError` where there is no broker, or the embedded one cannot listen.
        """
        address.broker_url()  # said at once where there is none
        async with AsyncExitStack() as stack:
            if address.is_embedded():
                # Where Mosquitto is, amqtt need not be loaded.
                from gridtalk.iottalk.broker.embedded import embedded_broker  # noqa: PLC0415

                await stack.enter_async_context(embedded_broker())
            work: list[Coroutine[Any, Any, None]] = [
                self._listening.run(),
                self._shards.run(),
                self._control.run(),
                self._intake.run(),
                self._sending.run(),
                self._expelling.run(),
                self._write_notes(),
                self._guard(),
                self._stay_connected(),
                self._tell_ready(),
            ]
            tasks = [asyncio.create_task(one) for one in work]
            stopping = asyncio.create_task(_stopped(stop))
            try:
                await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_EXCEPTION)
            finally:
                failed = [t for t in tasks if t.done() and not t.cancelled() and t.exception()]
                await self._end([*tasks, stopping])
            for task in failed:
                task.result()

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        """Store what was received, and give the shards back."""
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await self._intake.close()
            await self._shards.close()
        except DatabaseError as error:
            log.warning("the database was away at the end: %s", error)
        await self._database.close()

    async def _tell_ready(self) -> None:
        await self._connected.wait()
        self._shards.looked.clear()
        self._shards.look()
        await self._shards.looked.wait()
        while self._control.is_loading():
            await asyncio.sleep(0.02)
        self._say_ready()

    def _ready(self, member: Member, came: bool) -> None:
        self._sending.ready(member, came)

    def _notice(self, notice: Notice, shard: int, device_id: int) -> None:
        self._control.notice(notice, shard, device_id)
        self._sending.notice(notice, device_id)

    # --- the broker -----------------------------------------------------------------------------

    async def _stay_connected(self) -> None:
        failures = 0
        while True:
            try:
                await self._sync_passwords()
                async with self._client() as client:
                    failures = 0
                    await self._serve(client)
            except (aiomqtt.MqttError, OSError) as error:
                if failures == 0:
                    log.warning("the MQTT broker is away: %s", error)
            pause = PAUSES_S[min(failures, len(PAUSES_S) - 1)]
            failures += 1
            await asyncio.sleep(pause)

    async def _sync_passwords(self) -> None:
        """The private broker may have none of our passwords yet."""
        try:
            await self._database.run(Lane.CONTROL, credentials_sync)
        except (DatabaseError, GridtalkError, OSError) as error:
            log.warning("the broker's passwords could not be written: %s", error)

    def _client(self) -> aiomqtt.Client:
        url = address.broker_url()
        return aiomqtt.Client(
            url.host,
            url.port,
            username=url.username or None,
            password=url.password or None,
            identifier=f"gridtalk-{secrets.token_hex(8)}",
            protocol=aiomqtt.ProtocolVersion.V311,
            clean_session=True,
            keepalive=KEEPALIVE_S,
            max_inflight_messages=IN_FLIGHT,
            tls_context=ssl.create_default_context() if url.tls else None,
            queue_type=_calling(self._receive),
        )

    async def _serve(self, client: aiomqtt.Client) -> None:
        """Receive and send through this connection until it is lost (:class:`MqttError`)."""

        async def subscribe(filters: Collection[str]) -> None:
            if filters:
                # Sessions bear repetitions, and QoS 2 would be twice the packets.
                await client.subscribe([(one, 1) for one in filters])

        async def unsubscribe(filters: Collection[str]) -> None:
            # Where the connection is lost meanwhile, the next one begins without them.
            with suppress(aiomqtt.MqttError):
                await client.unsubscribe(list(filters))

        self._control.connecting()  # before anything can go out
        publishing = asyncio.create_task(self._outbox.run(client))
        reaching = asyncio.create_task(self._reach())
        try:
            await asyncio.sleep(0)  # the outbox has its client
            await client.subscribe(address.data_subscription(), qos=1)
            await self._control.connected(_quiet(subscribe), unsubscribe)
            self._connected.set()
            async for _ in client.messages:
                raise AssertionError("messages go to _receive")
        finally:
            self._control.disconnected()
            for task in (publishing, reaching):
                task.cancel()
            await asyncio.gather(publishing, reaching, return_exceptions=True)

    async def _reach(self) -> None:
        """While connected: this process may hold shards, and for a while after."""
        while True:
            first = self._reached_until < time.monotonic()
            self._reached_until = time.monotonic() + ALONE_S
            if first:
                self._shards.look()
            await asyncio.sleep(1)

    async def _guard(self) -> None:
        """The holder of the first shard watches what devices have the broker keep."""
        while True:
            await asyncio.sleep(GUARD_LOOK_S)
            if 0 not in self._shards.held or address.is_embedded():
                continue
            guard = asyncio.create_task(retained_guard())
            try:
                while 0 in self._shards.held and not guard.done():
                    await asyncio.wait({guard}, timeout=GUARD_LOOK_S)
                if guard.done():
                    guard.result()
            except (DatabaseError, GridtalkError) as error:
                log.warning("what the broker keeps could not be looked after: %s", error)
            finally:
                guard.cancel()
                await asyncio.gather(guard, return_exceptions=True)

    def _receive(self, message: aiomqtt.Message) -> None:
        """A message, as soon as it is read from the socket; nothing may be raised here."""
        topic = topic_read(message.topic.value)
        payload = message.payload
        if topic is None or not isinstance(payload, bytes):
            return
        try:
            if not self._expelling.bears(topic.handle, time.monotonic()):
                return
            if topic.what == "i":
                if not message.retain:  # else an old value that a device had the broker keep
                    self._intake.receive(topic, payload)
            elif topic.what == "ci":
                self._control.receive(topic, payload)
        except Exception:
            # A fault over one message must not end the connection for all.
            log.exception("a message on %s could not be taken", message.topic)

    # --- notes ----------------------------------------------------------------------------------

    async def _write_notes(self) -> None:
        while True:
            await asyncio.sleep(NOTES_EVERY_S)
            remarks = self._notes.due(time.monotonic())
            if not remarks:
                continue
            try:
                await self._database.run(Lane.CONTROL, _notes_write, remarks)
            except DatabaseError as error:
                log.warning("notes on %s devices could not be written: %s", len(remarks), error)


def _notes_write(remarks: list[Any]) -> None:
    known = devices_by_handle(handles={remark.handle for remark in remarks})
    now = datetime.now(UTC)
    notes = [Note(known[r.handle].id, now, r.text) for r in remarks if r.handle in known]
    if notes:
        notes_store(notes=notes)


def _calling(receive: Callable[[aiomqtt.Message], None]) -> type[asyncio.Queue[aiomqtt.Message]]:
    """A queue for aiomqtt that hands each message over at once.

    Its own iterator makes a task for every message, which is most of the time that one takes.
    """

    class Direct(asyncio.Queue[aiomqtt.Message]):
        def put_nowait(self, item: aiomqtt.Message) -> None:
            receive(item)

    return Direct


def _quiet(
    subscribe: Callable[[Collection[str]], Coroutine[Any, Any, None]],
) -> Callable[[Collection[str]], Coroutine[Any, Any, None]]:
    """As ``subscribe``; where the connection is lost meanwhile, the next one subscribes again."""

    async def call(filters: Collection[str]) -> None:
        with suppress(aiomqtt.MqttError):
            await subscribe(filters)

    return call


async def _stopped(stop: asyncio.Event) -> None:
    await stop.wait()
    raise _Stop


class _Stop(Exception):  # noqa: N818  never leaves this module
    """The end was asked for."""
