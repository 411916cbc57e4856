"""Who floods is thrown out, once, and for certain."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError

from gridtalk.core.errors import PeerError
from gridtalk.iottalk.mqtt import expelling
from gridtalk.iottalk.mqtt.conftest import FakeDatabase
from gridtalk.iottalk.mqtt.expelling import HOSTILE_A_SECOND, Expelling
from gridtalk.iottalk.services.expulsion import BAR


class Door(FakeDatabase):
    """Keeps who was thrown out; the first ``failures`` times that fails."""

    def __init__(self, *failures: Exception) -> None:
        super().__init__()
        self.expelled: list[list[str]] = []
        self._failures = list(failures)
        self.answers = {"_expel": self._expel}

    def _expel(self, handles: list[str]) -> None:
        self.expelled.append(handles)
        if self._failures:
            raise self._failures.pop(0)


def flood(one: Expelling, handle: str, now: float, messages: int = HOSTILE_A_SECOND + 9) -> int:
    """How many of these are worth a look."""
    return sum(one.bears(handle, now) for _ in range(messages))


async def _turns(one: Expelling, seconds: float = 0.02) -> None:
    task = asyncio.create_task(one.run())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def play(one: Expelling, seconds: float = 0.02) -> None:
    asyncio.run(_turns(one, seconds))


def test_only_who_floods_is_thrown_out_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    door, now = Door(), [1000.0]
    # Not the module itself: the loop of the test reads it too.
    monkeypatch.setattr(expelling, "time", SimpleNamespace(monotonic=lambda: now[0]))
    one = Expelling(door)
    assert flood(one, "calm", now[0], HOSTILE_A_SECOND) == HOSTILE_A_SECOND
    assert flood(one, "loud", now[0]) == HOSTILE_A_SECOND
    play(one)
    assert door.expelled == [["loud"]]
    # What it had sent before it was out is on its way still.
    now[0] += 1
    flood(one, "loud", now[0])
    play(one)
    assert door.expelled == [["loud"]]
    now[0] += BAR.total_seconds()
    flood(one, "loud", now[0])
    play(one)
    assert door.expelled == [["loud"], ["loud"]], "it came back and did the same"


@pytest.mark.parametrize(
    "failure", [OperationalError("away"), PeerError("the broker does not answer"), OSError("full")]
)
def test_what_fails_is_tried_again(
    failure: Exception, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(expelling, "_PAUSE_S", 0.001)
    door = Door(failure, failure)
    one = Expelling(door)
    flood(one, "loud", 1.0)
    play(one, 0.1)
    assert door.expelled == [["loud"]] * 3
    assert caplog.text.count("could not be thrown out") == 2
