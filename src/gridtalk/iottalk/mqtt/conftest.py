"""The device server without a broker."""

from collections.abc import Callable
from typing import Any

import pytest

from gridtalk.iottalk.mqtt.database import Database
from gridtalk.iottalk.mqtt.outbox import Outbox


class TestDatabase(Database):
    """As the real one, in threads; ``away`` makes its calls fail. For ``transaction=True``."""

    __test__ = False

    def __init__(self) -> None:
        super().__init__()
        self.away: Exception | None = None

    async def run(self, lane: Any, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self.away is not None:
            raise self.away
        return await super().run(lane, function, *args, **kwargs)


class FakeDatabase(Database):
    """No database: ``answers`` by the function's name; the calls are kept."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[..., Any]] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.away: Exception | None = None

    async def run(self, lane: Any, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self.away is not None:
            raise self.away
        self.calls.append((function.__name__, kwargs))
        answer = self.answers.get(function.__name__)
        return answer(*args, **kwargs) if answer else None


class ListOutbox(Outbox):
    """Keeps what goes out; ``error`` is why it does not."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes, int, bool]] = []
        self.error = ""

    def put(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        self.sent.append((topic, payload, qos, retain))

    async def deliver(self, messages: Any) -> list[str]:
        if not self.error:
            self.sent += [(topic, payload, 1, False) for topic, payload in messages]
        return [self.error for _ in messages]


@pytest.fixture
def outbox() -> ListOutbox:
    """What would go to the broker."""
    return ListOutbox()
