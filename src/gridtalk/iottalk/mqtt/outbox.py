"""What goes out over MQTT: in the order given, with a limit to what the broker has not confirmed.

Messages for a broker that is away are dropped, not kept: what matters is asked for again (CONNECT
by the sessions, jobs and values by their rows, acknowledgements by the devices).
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import aiomqtt

#: Messages that the broker has not confirmed.
IN_FLIGHT = 100
#: Messages that wait; CONNECT for all features of a large district.
LONGEST_QUEUE = 200_000
_AWAY = "the MQTT broker is away"


class _Item(NamedTuple):
    topic: str
    payload: bytes
    qos: int
    retain: bool
    done: "asyncio.Future[str] | None"


class Outbox:
    """Publishes through the client of the present connection."""

    def __init__(self) -> None:
        self._client: aiomqtt.Client | None = None
        self._items: deque[_Item] = deque()
        self._waiting = asyncio.Event()
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._under_way: set[asyncio.Task[None]] = set()

    def put(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Publish it, if the broker is there."""
        self._add(_Item(topic, payload, qos, retain, None))

    async def deliver(self, messages: Sequence[tuple[str, bytes]]) -> list[str]:
        """Publish (topic, payload) at QoS 1; of each, why it was not handed over, or empty."""
        loop = asyncio.get_running_loop()
        waits = []
        for topic, payload in messages:
            done: asyncio.Future[str] = loop.create_future()
            if not self._add(_Item(topic, payload, 1, False, done)):
                done.set_result(_AWAY)
            waits.append(done)
        return list(await asyncio.gather(*waits))

    def _add(self, item: _Item) -> bool:
        if self._client is None or len(self._items) >= LONGEST_QUEUE:
            return False
        self._items.append(item)
        self._waiting.set()
        return True

    async def run(self, client: aiomqtt.Client) -> None:
        """Publish through this client until cancelled; what was not handed over then is told."""
        self._client = client
        try:
            while True:
                await self._waiting.wait()
                self._waiting.clear()
                while self._items:
                    await self._room.acquire()
                    task = asyncio.create_task(self._publish(client, self._items.popleft()))
                    self._under_way.add(task)
                    task.add_done_callback(self._under_way.discard)
        finally:
            self._client = None
            for task in list(self._under_way):
                task.cancel()
            while self._items:
                _tell(self._items.popleft(), _AWAY)

    async def _publish(self, client: aiomqtt.Client, item: _Item) -> None:
        try:
            await client.publish(item.topic, item.payload, qos=item.qos, retain=item.retain)
            _tell(item, "")
        except (aiomqtt.MqttError, ValueError) as error:
            # ValueError: paho refuses a topic or a payload that MQTT cannot carry.
            _tell(item, str(error) or type(error).__name__)
        except asyncio.CancelledError:
            _tell(item, _AWAY)
            raise
        finally:
            self._room.release()


def _tell(item: _Item, error: str) -> None:
    if item.done is not None and not item.done.done():
        item.done.set_result(error)
