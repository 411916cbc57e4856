"""MQTT clients of the broker tests: the server's own, honest devices, and a hostile one."""

import contextlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from gridtalk.iottalk import credentials

PATIENCE = 5.0
REFUSED_GRANT = 0x80


def password_of(handle: str, *, epoch: int = 0) -> str:
    """The device's password, as the registration gives it."""
    if handle == credentials.SERVER_USER:
        return credentials.server_password()
    return credentials.device_password(handle=handle, key_epoch=epoch)


@dataclass
class Peer:
    """One MQTT 3.1.1 connection that writes down what it hears."""

    port: int
    username: str | None
    password: str | None
    client_id: str = field(default_factory=lambda: f"test-{secrets.token_hex(6)}")
    clean: bool = True
    will: tuple[str, bytes, int, bool] | None = None
    heard: list[tuple[str, bytes]] = field(default_factory=list)
    retained: list[str] = field(default_factory=list)
    connects: int = 0
    losses: int = 0
    refusal: str = ""

    def __post_init__(self) -> None:
        self._granted: dict[int | None, list[int]] = {}
        self._changed = threading.Condition()
        client = self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self.client_id,
            clean_session=self.clean,
            reconnect_on_failure=False,
        )
        if self.username is not None:
            client.username_pw_set(self.username, self.password)
        if self.will is not None:
            client.will_set(*self.will)
        client.max_inflight_messages_set(1000)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, code: Any, _props: Any) -> None:
        with self._changed:
            if code.is_failure:
                self.refusal = str(code)
            else:
                self.connects += 1
            self._changed.notify_all()

    def _on_disconnect(self, *_: Any) -> None:
        with self._changed:
            self.losses += 1
            self._changed.notify_all()

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        with self._changed:
            self.heard.append((message.topic, message.payload))
            if message.retain:
                self.retained.append(message.topic)
            self._changed.notify_all()

    def _on_subscribe(self, _c: Any, _d: Any, mid: int, codes: list[Any], _p: Any) -> None:
        with self._changed:
            self._granted[mid] = [code.value for code in codes]
            self._changed.notify_all()

    def wait(self, probe: Callable[[], Any], what: str, seconds: float = PATIENCE) -> None:
        """Until the probe is true; a failure says ``what``."""
        with self._changed:
            if not self._changed.wait_for(probe, seconds):
                pytest.fail(f"{self.username}: after {seconds:g} s still not: {what}")

    def connect(self) -> "Peer":
        """Try to enter; look at :attr:`connects` and :attr:`refusal`."""
        self._client.connect("127.0.0.1", self.port, keepalive=30)
        self._client.loop_start()
        self.wait(lambda: self.connects or self.refusal or self.losses, "an answer to CONNECT")
        return self

    def entered(self) -> "Peer":
        """Enter; a refusal is a failure of the test."""
        self.connect()
        assert self.connects == 1, (self.username, self.refusal)
        return self

    def subscribe(self, topic: str, qos: int = 1) -> bool:
        """Subscribe; whether it was granted."""
        _code, mid = self._client.subscribe(topic, qos)
        self.wait(lambda: mid in self._granted or self.losses, f"an answer to {topic}")
        return self._granted.get(mid, [REFUSED_GRANT])[0] != REFUSED_GRANT

    def publish(
        self, topic: str, payload: bytes = b"[1]", qos: int = 1, *, retain: bool = False
    ) -> None:
        """Publish, and wait until it was handed over or the connection is lost."""
        info = self._client.publish(topic, payload, qos, retain)
        deadline = time.monotonic() + PATIENCE
        # paho says so where the connection has gone; the test says whether it should have.
        with contextlib.suppress(RuntimeError):
            while not info.is_published() and not self.losses and time.monotonic() < deadline:
                time.sleep(0.005)

    def is_in(self) -> bool:
        """Whether the connection stands."""
        return self._client.is_connected()

    def leave(self) -> None:
        """Disconnect in order."""
        self._client.disconnect()
        self._stop()

    def vanish(self) -> None:
        """Close the connection without a word: the will is due."""
        self._client.loop_stop()
        self._client.socket().close()  # type: ignore[union-attr]
        self._stop()

    def _stop(self) -> None:
        """End its thread, and leave nothing in a circle with it: paho's own pair of sockets stays
        open until its client is forgotten, and the tests' collector rests."""
        client = self._client
        client.loop_stop()
        client.on_connect = client.on_disconnect = client.on_message = client.on_subscribe = None
