"""A light IoTtalk v2 device for tests and benches: thousands fit into one process.

It speaks MQTT 3.1.1 by itself (no library's threads, no tasks but one for each device), written
from the standard: keep-alive, a retained will, QoS 2 both ways. What a device does is that of
spec/iottalk.md: online after connecting, an answer to each CONNECT, offline and online again after
a reconnection.
"""

import asyncio
import json
import random
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

KEEPALIVE_S = 60
_CONNECT, _CONNACK, _PUBLISH, _PUBACK, _PUBREC, _PUBREL, _PUBCOMP = 1, 2, 3, 4, 5, 6, 7
_SUBSCRIBE, _SUBACK, _PINGREQ, _DISCONNECT = 8, 9, 12, 14


def _text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("!H", len(raw)) + raw


def _packet(head: int, body: bytes) -> bytes:
    length, left = b"", len(body)
    while True:
        left, digit = divmod(left, 128)
        length += bytes([digit | (0x80 if left else 0)])
        if not left:
            return bytes([head]) + length + body


class LightDevice:
    """One device; ``answer`` is what its registration was answered with (the JSON object).

    ``got`` is called with the name of an ODF and its values.
    """

    def __init__(
        self, answer: dict[str, Any], *, got: Callable[[str, list[Any]], None] | None = None
    ) -> None:
        self.answer = answer
        self.name = str(answer["name"])
        self.handle = str(answer["username"])
        self.connects = 0
        self.topics: dict[str, str] = {}
        self._got = got
        self._ins: dict[str, str] = {}
        self._packet_id = 0
        self._unconfirmed: dict[int, asyncio.Future[None]] = {}
        self._received: set[int] = set()
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._known = False
        self.linked = asyncio.Event()

    @property
    def is_connected(self) -> bool:
        """Whether the broker has let it in, and has not gone."""
        return self._writer is not None

    def start(self) -> None:
        """Connect, and stay so, in a task of its own."""
        self._task = asyncio.create_task(self._stay())

    async def kill(self) -> None:
        """Vanish: the connection breaks, the broker says the will."""
        await self._end()

    async def leave(self) -> None:
        """Say offline and disconnect."""
        await self._word("offline")
        if self._writer is not None:
            self._writer.write(_packet(_DISCONNECT << 4, b""))
        await self._end()

    def push(self, feature: str, values: list[Any]) -> bool:
        """Publish data at QoS 0; False where the feature is not connected."""
        topic = self.topics.get(feature)
        if topic is None or self._writer is None:
            return False
        self.publish_raw(topic, json.dumps(values).encode())
        return True

    def publish_raw(self, topic: str, payload: bytes) -> None:
        """Publish whatever at QoS 0, wherever."""
        if self._writer is not None:
            self._writer.write(_packet(_PUBLISH << 4, _text(topic) + payload))

    async def drain(self) -> None:
        """Wait until what was pushed has left."""
        if self._writer is not None:
            await self._writer.drain()

    # --- the connection -------------------------------------------------------------------------

    async def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _stay(self) -> None:
        pause = 0.5
        while True:
            with suppress(OSError, EOFError, asyncio.IncompleteReadError):
                await self._connection()
                pause = 0.5
            await asyncio.sleep(pause + random.random())
            pause = min(2 * pause, 8)

    async def _connection(self) -> None:
        url = self.answer["url"]
        reader, writer = await asyncio.open_connection(url["host"], url["port"])
        words = pings = None
        try:
            await self._enter(reader, writer)
            self._writer = writer
            self.connects += 1
            words = asyncio.create_task(self._begin())
            pings = asyncio.create_task(_ping(writer))
            while True:
                head, body = await _read(reader)
                self._take(head, body)
        finally:
            self._writer = None
            for task in (words, pings):
                if task is not None:
                    task.cancel()
            for future in self._unconfirmed.values():
                future.cancel()
            self._unconfirmed.clear()
            self._received.clear()
            writer.close()

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        control_in, _ = self.answer["ctrl_chans"]
        will = json.dumps({"state": "offline", "rev": self.answer["rev"]})
        # User name, password, will retained, clean session.
        flags = 0x80 | 0x40 | 0x20 | 0x04 | 0x02
        body = _text("MQTT") + bytes([4, flags]) + struct.pack("!H", KEEPALIVE_S)
        body += _text(f"light-{self.handle}") + _text(control_in) + _text(will)
        body += _text(self.handle) + _text(str(self.answer["password"]))
        writer.write(_packet(_CONNECT << 4, body))
        async with asyncio.timeout(15):
            head, answer = await _read(reader)
        if head >> 4 != _CONNACK or answer[1] != 0:
            raise OSError(f"the broker does not let {self.handle} in: {answer!r}")

    async def _begin(self) -> None:
        _, control_out = self.answer["ctrl_chans"]
        if self._known:
            await self._word("offline")
            await asyncio.sleep(1)
        self._known = True
        self._subscribe(control_out, 2)
        for name in self._ins:
            self._subscribe(self.topics[name], 0)
        await self._word("online")

    async def _word(self, state: str) -> None:
        await self._say(json.dumps({"state": state, "rev": self.answer["rev"]}), retain=True)

    async def _say(self, text: str, *, retain: bool = False) -> None:
        """Publish on the control topic at QoS 2, and wait for the broker."""
        if self._writer is None:
            return
        packet_id = self._next_id()
        done = self._unconfirmed[packet_id] = asyncio.get_running_loop().create_future()
        head = _PUBLISH << 4 | 2 << 1 | int(retain)
        body = _text(self.answer["ctrl_chans"][0]) + struct.pack("!H", packet_id) + text.encode()
        self._writer.write(_packet(head, body))
        with suppress(TimeoutError, asyncio.CancelledError):
            async with asyncio.timeout(10):
                await done

    def _subscribe(self, topic: str, qos: int) -> None:
        if self._writer is not None:
            body = struct.pack("!H", self._next_id()) + _text(topic) + bytes([qos])
            self._writer.write(_packet(_SUBSCRIBE << 4 | 2, body))

    def _next_id(self) -> int:
        self._packet_id = self._packet_id % 65_535 + 1
        return self._packet_id

    def _take(self, head: int, body: bytes) -> None:
        assert self._writer is not None
        match head >> 4:
            case 3:
                self._take_publish(head, body)
            case 5:  # PUBREC
                self._writer.write(_packet(_PUBREL << 4 | 2, body[:2]))
            case 6:  # PUBREL
                self._received.discard(struct.unpack("!H", body[:2])[0])
                self._writer.write(_packet(_PUBCOMP << 4, body[:2]))
            case 7:  # PUBCOMP
                done = self._unconfirmed.pop(struct.unpack("!H", body[:2])[0], None)
                if done is not None and not done.done():
                    done.set_result(None)

    def _take_publish(self, head: int, body: bytes) -> None:
        assert self._writer is not None
        qos = head >> 1 & 3
        length = struct.unpack("!H", body[:2])[0]
        topic, rest = body[2 : 2 + length].decode(), body[2 + length :]
        if qos:
            packet_id, rest = struct.unpack("!H", rest[:2])[0], rest[2:]
            answer = _PUBREC if qos == 2 else _PUBACK
            self._writer.write(_packet(answer << 4, struct.pack("!H", packet_id)))
            if qos == 2:
                if packet_id in self._received:
                    return
                self._received.add(packet_id)
        if topic == self.answer["ctrl_chans"][1]:
            self._command(json.loads(rest))
        elif self._got is not None:
            name = next((n for n, t in self.topics.items() if t == topic), "")
            self._got(name, json.loads(rest))

    def _command(self, command: dict[str, str]) -> None:
        kind = "idf" if "idf" in command else "odf"
        name = command[kind]
        if command["command"] == "CONNECT":
            self.topics[name] = command["topic"]
            if kind == "odf":
                self._ins[name] = command["topic"]
                self._subscribe(command["topic"], 0)
        else:
            self.topics.pop(name, None)
            self._ins.pop(name, None)
        # In a task: its answer waits for the broker, and this is its reader.
        answer = self._say(json.dumps({"msg_id": command["msg_id"], "state": "ok"}))
        task = asyncio.create_task(answer)
        _running.add(task)
        task.add_done_callback(_running.discard)
        self.linked.set()


#: The event loop keeps only weak references to tasks.
_running: set[asyncio.Task[None]] = set()


async def _ping(writer: asyncio.StreamWriter) -> None:
    while True:
        await asyncio.sleep(KEEPALIVE_S / 2)
        writer.write(_packet(_PINGREQ << 4, b""))


async def _read(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """One packet: its first byte, and what follows the length."""
    head = (await reader.readexactly(1))[0]
    length, shift = 0, 0
    while True:
        digit = (await reader.readexactly(1))[0]
        length |= (digit & 0x7F) << shift
        shift += 7
        if not digit & 0x80:
            return head, await reader.readexactly(length)


async def http_json(
    host: str, port: int, method: str, path: str, body: dict[str, Any]
) -> tuple[int, dict[str, Any]]:
    """One HTTP request with a JSON body; status and JSON answer. Stdlib sockets, for many."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        raw = json.dumps(body).encode()
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n".encode()
            + raw
        )
        answer = await reader.read()
    finally:
        writer.close()
    head, _, text = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), json.loads(text)
