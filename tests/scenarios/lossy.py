"""A bad network between devices and their broker: it loses messages, and connections.

A TCP proxy that understands MQTT's framing. It carries whole packets only, remembers all that
devices publish (before anything is lost: this is what they have said), and loses what MQTT itself
would not send again: publishes of QoS 0, in both directions.
"""

import contextlib
import itertools
import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

PUBLISH = 3
#: A packet longer than that is none of ours.
LARGEST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Published:
    """What a device published at QoS 0: the last levels of its topic, and its values."""

    handle: str
    feature: int
    values: list[Any]


class Lossy:
    """The proxy, from entering it to leaving it. Change the attributes while it runs.

    ``loss`` is the part of the publishes of QoS 0 that vanish, in each direction. Connections are
    cut after a time drawn around ``cut_after_s`` seconds; 0 cuts none.
    """

    def __init__(self, broker_port: int, *, seed: int) -> None:
        self.loss = 0.0
        self.cut_after_s = 0.0
        self.said: list[Published] = []
        self.lost = {"up": 0, "down": 0}
        self.carried = {"up": 0, "down": 0}
        self.cuts = 0
        self._broker_port = broker_port
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=self._cut, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        with self._lock:
            closing = list(self._open)
        for one in closing:
            _shut(one)

    def said_by(self, handle: str) -> list[Published]:
        """All that this device published of its inputs."""
        with self._lock:
            return [one for one in self.said if one.handle == handle]

    def _listen(self) -> None:
        while True:
            try:
                device, _address = self._listener.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection(("127.0.0.1", self._broker_port), timeout=5)
            except OSError:  # it is just being restarted: the device tries again
                device.close()
                continue
            broker.settimeout(None)
            with self._lock:
                self._open |= {device, broker}
            for way, source, target in (("up", device, broker), ("down", broker, device)):
                threading.Thread(
                    target=self._carry, args=(way, source, target), daemon=True
                ).start()

    def _carry(self, way: str, source: socket.socket, target: socket.socket) -> None:
        """One direction of one connection, to its end; then the other ends, too."""
        try:
            for packet in _packets(source):
                if not self._is_lost(way, packet):
                    target.sendall(packet)
        except OSError:
            pass  # a connection that breaks is what this is for
        finally:
            with self._lock:
                self._open -= {source, target}
            _shut(source)
            _shut(target)

    def _is_lost(self, way: str, packet: bytes) -> bool:
        if packet[0] >> 4 != PUBLISH or packet[0] & 0b110:
            return False
        with self._lock:
            self.carried[way] += 1
            if way == "up" and (published := _published(packet)) is not None:
                self.said.append(published)
            lost = self._chance.random() < self.loss
            self.lost[way] += lost
            return lost

    def _cut(self) -> None:
        while self._listener.fileno() >= 0:
            if self.cut_after_s <= 0:
                time.sleep(0.1)
                continue
            time.sleep(self._chance.uniform(0.3, 1.7) * self.cut_after_s)
            with self._lock:
                if not self._open or self.cut_after_s <= 0:
                    continue
                one = self._chance.choice(sorted(self._open, key=lambda each: each.fileno()))
                self.cuts += 1
            _shut(one)


def _packets(source: socket.socket) -> Iterator[bytes]:
    """Whole MQTT packets; a part of one at the end of the connection is none."""
    with source.makefile("rb") as stream:
        while head := stream.read(1):
            length, size = 0, bytearray()
            for place in itertools.count():
                if place == 4:
                    raise OSError("no MQTT packet is that long")
                octet = stream.read(1)
                if not octet:
                    return
                size += octet
                length |= (octet[0] & 0x7F) << (7 * place)
                if not octet[0] & 0x80:
                    break
            if length > LARGEST_BYTES:
                raise OSError("no device sends that much")
            body = stream.read(length)
            if len(body) < length:
                return
            yield head + bytes(size) + body


def _published(packet: bytes) -> Published | None:
    """What a publish of QoS 0 says of an input; None for anything else."""
    place = 1
    while packet[place] & 0x80:
        place += 1
    start = place + 3
    end = start + int.from_bytes(packet[place + 1 : start], "big")
    root, _shard, handle, way, *number = packet[start:end].decode().split("/")
    if root != "gt" or way != "i":
        return None
    values = json.loads(packet[end:], parse_float=Decimal)
    return Published(handle, int(number[0]), values)


def _shut(one: socket.socket) -> None:
    """End a connection at once, also for who waits on it."""
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
