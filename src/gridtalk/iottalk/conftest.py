"""What the device server's tests share."""

from collections.abc import Iterator, Sequence

import pytest
import time_machine

from gridtalk.iottalk import limits
from gridtalk.iottalk.services.registration import unbound_forget
from gridtalk.iottalk.testing_v1 import BEGAN, DUMMY, Board


@pytest.fixture(autouse=True)
def fresh_limits() -> Iterator[None]:
    """Each test begins with full buckets."""
    limits.forget()
    unbound_forget()
    yield
    limits.forget()
    unbound_forget()


@pytest.fixture
def admitted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A broker which lets everybody in; the handles that it was asked for."""
    handles: list[str] = []

    def admit(*, handles: Sequence[str], timeout_s: float = 5, asked: list[str] = handles) -> None:
        asked.extend(handles)

    monkeypatch.setattr("gridtalk.iottalk.http_v2.credentials_admit", admit)
    return handles


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A broker that is told who may come in no more; the handles of these."""
    handles: list[str] = []

    def end(*, handles: Sequence[str], told: list[str] = handles) -> None:
        told.extend(handles)

    for place in ("http_v2", "services.forgetting"):
        monkeypatch.setattr(f"gridtalk.iottalk.{place}.credentials_end", end)
    return handles


@pytest.fixture
def moment() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(BEGAN, tick=False) as traveller:
        yield traveller


@pytest.fixture
def board(moment: time_machine.Traveller) -> Board:
    made = Board(*DUMMY)
    assert made.registers().status_code == 200
    return made
