"""amqtt inside the process of ``gridtalk devices``, where no Mosquitto is installed.

For the demo and for development: amqtt is written in Python, speaks MQTT 3.1.1 only, and loses
messages when subscribers come and go (measured: one in about 60). The rules are those that
Mosquitto gets from us. What amqtt itself does not do, this subclass of its broker does: refuse
packets that are too large before they are read, slow down a flood, ask for the password before a
session is touched, make the user name the client id, drop who is silent, keep retained messages to
the control topics, and treat ``$share/…`` as a plain subscription.
"""

import asyncio
import hmac
import logging
import secrets
import struct
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from amqtt.adapters import ReaderAdapter, StreamReaderAdapter, StreamWriterAdapter, WriterAdapter
from amqtt.broker import Broker, Server
from amqtt.contexts import Action, BrokerConfig, ListenerConfig
from amqtt.errors import AMQTTError, BrokerError, MQTTError, NoDataError
from amqtt.mqtt.connack import NOT_AUTHORIZED, ConnackPacket
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import Session
from django.conf import settings
from django.db import DatabaseError, connection

from gridtalk.core.errors import SetupError
from gridtalk.iottalk import credentials, topics
from gridtalk.iottalk.models import SHARDS, RegisteredDevice

CONNECT_SECONDS = 10
_CLOSE_SECONDS = 1
#: Bytes a second of one device; above it the reading pauses, and TCP slows the device down.
DEVICE_BYTES_PER_SECOND = 256 * 1024
#: Reads a second; a short packet takes about five.
DEVICE_READS_PER_SECOND = 2_000
#: How long an answer of the database is believed.
REMEMBERED_SECONDS = 5.0
_MOST_CONNECTIONS = 2_000
_PACKET_OVERHEAD_BYTES = 1024
#: Keep-alive times without a packet, after which a client has gone (the standard: one and a half).
_SILENCES = 2
_LISTENER = "default"
#: What amqtt's parser raises for bytes that it did not expect.
_NO_MQTT = (ValueError, LookupError, struct.error)

#: Handle → key epoch, or None where no such device is registered.
EpochOf = Callable[[str], int | None]

logger = logging.getLogger(__name__)


def epoch_of(handle: str) -> int | None:
    """The key epoch of a registered v2 device; None where there is none. Asks the database."""
    found = RegisteredDevice.objects.filter(
        handle=handle, protocol=RegisteredDevice.Protocol.V2, deregistered_at=None
    )
    try:
        return found.values_list("key_epoch", flat=True).first()
    except DatabaseError:
        # The database was restarted, and this thread's connection with it: once more.
        connection.close()
        return found.values_list("key_epoch", flat=True).first()


class Doorman:
    """Who may enter, and what they may say and hear."""

    def __init__(self, epochs: EpochOf = epoch_of) -> None:
        self._epochs = epochs
        self._known: dict[str, tuple[float, int]] = {}
        # One lasting thread: Django keeps a database connection for each.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="broker-doorman")

    def close(self) -> None:
        """Let the thread go."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def lets_in(self, username: str | None, password: str | None) -> bool:
        """Whether that is the server, or a registered device, with the right password."""
        if not username or not password:
            return False
        if username == credentials.SERVER_USER:
            wanted = credentials.server_password()
            return hmac.compare_digest(wanted.encode(), password.encode("utf-8", "replace"))
        epoch = await self._epoch(username)
        return epoch is not None and credentials.password_matches(
            password, handle=username, key_epoch=epoch
        )

    async def _epoch(self, handle: str) -> int | None:
        now = time.monotonic()
        until, epoch = self._known.get(handle, (0.0, 0))
        if now < until:
            return epoch
        self._known = {name: said for name, said in self._known.items() if now < said[0]}
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._thread, self._epochs, handle)
        if found is not None:
            self._known[handle] = (now + REMEMBERED_SECONDS, found)
        return found

    @staticmethod
    def allows(username: str | None, topic: str, action: Action) -> bool:
        """Whether the user may publish, hear or subscribe to it; wildcards are the server's."""
        if username == credentials.SERVER_USER:
            return True
        said = topics.read(topic)
        if said is None or said.handle != username or said.shard >= SHARDS:
            return False
        return said.what in ({"ci", "i"} if action is Action.PUBLISH else {"co", "o"})


class _Reader(StreamReaderAdapter):  # type: ignore[misc]  # amqtt has no types
    """Reads for amqtt, within limits. A refused read looks like the end of the stream."""

    def __init__(self, reader: asyncio.StreamReader, largest_bytes: int) -> None:
        super().__init__(reader)
        self.is_limited = True
        self._largest_bytes = largest_bytes
        self._ended = False
        self._silences = 0
        self._second = 0.0
        self._reads = self._bytes = 0

    async def read(self, n: int = -1) -> bytes:
        if self._ended or not 0 <= n <= self._largest_bytes or self._silences >= _SILENCES:
            self._ended = True
            raise asyncio.IncompleteReadError(b"", n)
        if self.is_limited:
            await self._slow_down(n)
        try:
            data: bytes = await super().read(n)
        except asyncio.CancelledError:
            # amqtt cancels after the keep-alive time, and would read on for ever.
            self._silences += 1
            raise
        self._silences = 0
        return data

    async def _slow_down(self, wanted: int) -> None:
        now = time.monotonic()
        if now - self._second >= 1:
            self._second, self._reads, self._bytes = now, 0, 0
        self._reads += 1
        self._bytes += wanted
        if self._reads > DEVICE_READS_PER_SECOND or self._bytes > DEVICE_BYTES_PER_SECOND:
            await asyncio.sleep(max(0.0, self._second + 1 - now))


class _Writer(StreamWriterAdapter):  # type: ignore[misc]  # amqtt has no types
    """Writes for amqtt; closes for certain, also where the other side has gone or does not read."""

    async def close(self) -> None:
        self.is_closed = True
        self._writer.close()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self._writer.transport.abort()


class EmbeddedBroker(Broker):  # type: ignore[misc]  # amqtt has no types
    """amqtt's broker with our rules. Overrides what amqtt 0.12 does not let a plugin do."""

    def __init__(self, *, host: str, port: int, doorman: Doorman) -> None:
        bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        listener = ListenerConfig(bind=bind, max_connections=_MOST_CONNECTIONS)
        super().__init__(BrokerConfig(listeners={_LISTENER: listener}, plugins={}))
        self._doorman = doorman
        self._stops = False
        self._connections: set[asyncio.Task[None]] = set()
        self._largest_bytes = settings.DEVICE_MESSAGE_LARGEST_BYTES + _PACKET_OVERHEAD_BYTES

    async def shutdown(self) -> None:
        self._stops = True
        await super().shutdown()
        for connected in self._connections:
            connected.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        try:
            limited = _Reader(reader, self._largest_bytes)
            await self._client_connected(listener_name, limited, _Writer(writer))
        finally:
            writer.close()

    async def _initialize_client_session(
        self, reader: ReaderAdapter, writer: WriterAdapter, remote_address: str, remote_port: int
    ) -> tuple[BrokerProtocolHandler, Session]:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                handler, session = await BrokerProtocolHandler.init_from_connect(
                    reader, writer, self.plugins_manager
                )
            if not await self._authenticate(session, self.listeners_config[_LISTENER]):
                await ConnackPacket.build(0, NOT_AUTHORIZED).to_stream(writer)
                raise AMQTTError(f"{remote_address}:{remote_port} is not let in")
        except (AMQTTError, MQTTError, NoDataError, TimeoutError, OSError, *_NO_MQTT) as error:
            await writer.close()
            raise AMQTTError(str(error)) from error
        session.clean_session = True
        session.parent = 0
        if session.username == credentials.SERVER_USER:
            session.client_id = f"{session.username}/{session.client_id or secrets.token_hex(8)}"
            if isinstance(reader, _Reader):
                reader.is_limited = False
        else:
            session.client_id = session.username
        await self._end(str(session.client_id))
        return handler, session

    async def _end(self, client_id: str) -> None:
        """End the session of that id, if there is one: the newer connection wins."""
        old, handler = self._sessions.get(client_id, (None, None))
        if old is None or handler is None:
            return
        await handler.handle_connection_closed()
        for _turn in range(100):
            if not old.transitions.is_connected():
                break
            await asyncio.sleep(0.01)
        await self._delete_session(client_id)

    async def _cleanup_session(self, client_id: str) -> None:
        # amqtt notes who has gone, then removes one after the other: some are back by then.
        session, _handler = self._sessions.get(client_id, (None, None))
        if session is None or self._stops or not session.transitions.is_connected():
            await super()._cleanup_session(client_id)

    async def _client_connected(
        self, listener_name: str, reader: ReaderAdapter, writer: WriterAdapter
    ) -> None:
        try:
            await super()._client_connected(listener_name, reader, writer)
        except (OSError, *_NO_MQTT) as error:
            # That client's end, nobody else's.
            logger.info("a client sent what is no MQTT: %s", error)
            await writer.close()

    async def _handle_client_session(
        self,
        reader: ReaderAdapter,
        writer: WriterAdapter,
        client_session: Session,
        handler: BrokerProtocolHandler,
        server: Server,
        listener_name: str,
    ) -> None:
        await super()._handle_client_session(
            reader, writer, client_session, handler, server, listener_name
        )
        # It has left: what it may still hold must not be its successor's.
        held = self._sessions.get(str(client_session.client_id))
        if held is not None and held[0] is client_session:
            await self._delete_session(str(client_session.client_id))

    async def _authenticate(self, session: Session, _: ListenerConfig) -> bool:
        try:
            return await self._doorman.lets_in(session.username, session.password)
        except DatabaseError:
            logger.warning("the database does not answer: %s is not let in", session.username)
            return False

    async def _topic_filtering(self, session: Session, topic: str, action: Action) -> bool:
        return self._doorman.allows(session.username, topic, action)

    async def retain_message(
        self,
        source_session: Session | None,
        topic_name: str | None,
        data: bytes | bytearray | None,
        qos: int | None = None,
    ) -> None:
        said = topics.read(topic_name or "")
        if said is None or said.what != "ci":
            return
        # amqtt lets a will go anywhere.
        if source_session is None or self._may_publish(source_session, topic_name):
            await super().retain_message(source_session, topic_name, data, qos)

    async def _broadcast_message(
        self,
        session: Session | None,
        topic: str | None,
        data: bytes | bytearray | None,
        force_qos: int | None = None,
    ) -> None:
        # As above: a will.
        if session is None or self._may_publish(session, topic):
            await super()._broadcast_message(session, topic, data, force_qos)

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        # At the start of each session amqtt asks for this with everybody's subscriptions.
        subscribed = self._subscriptions.get(subscription[0], [])
        if any(held is session for held, _qos in subscribed):
            await super()._publish_retained_messages_for_subscription(subscription, session)

    def _may_publish(self, session: Session, topic: str | None) -> bool:
        return self._doorman.allows(session.username, topic or "", Action.PUBLISH)

    def _matches(self, topic: str, a_filter: str) -> bool:
        if a_filter.startswith("$share/"):
            a_filter = a_filter.split("/", 2)[-1]
        return bool(super()._matches(topic, a_filter))


@asynccontextmanager
async def embedded_broker(*, epochs: EpochOf = epoch_of) -> AsyncIterator[Any]:
    """amqtt on GRIDTALK_MQTT_HOST and GRIDTALK_MQTT_PORT for the length of the block.

    :class:`SetupError` where it cannot listen there.
    """
    for name in ("amqtt", "transitions"):
        # It warns of every client that leaves without a word.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    doorman = Doorman(epochs)
    host, port = settings.GRIDTALK_MQTT_HOST, settings.GRIDTALK_MQTT_PORT
    broker = EmbeddedBroker(host=host, port=port, doorman=doorman)
    try:
        await broker.start()
    except BrokerError as error:
        doorman.close()
        raise SetupError(
            f"the MQTT broker cannot listen on {host}:{port}: {error}; choose another port with "
            "--mqtt-port"
        ) from error
    try:
        yield broker
    finally:
        await broker.shutdown()
        doorman.close()
