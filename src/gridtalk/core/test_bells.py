"""Bells: gathered, rung after the commit, and never a reason to fail."""

import threading
import time
from collections.abc import Callable

import pytest
from django.conf import LazySettings
from django.db import DatabaseError, transaction

from gridtalk.core import bells
from gridtalk.core.bells import Bell


class Rung:
    """A bell's queue: counts how often it was enqueued."""

    def __init__(self) -> None:
        self.times = 0
        self.errors: list[Exception] = []
        self.happened = threading.Event()

    def __call__(self) -> None:
        self.times += 1
        self.happened.set()
        if self.errors:
            raise self.errors.pop()


@pytest.fixture
def rung(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Rung:
    settings.GRIDTALK_BELLS = True
    monkeypatch.setattr(bells, "_ringer", bells._Ringer())
    return Rung()


def _until(true: Callable[[], bool]) -> bool:
    ends = time.monotonic() + 5
    while not true() and time.monotonic() < ends:
        threading.Event().wait(0.005)
    return true()


def test_what_is_rung_together_is_enqueued_once(
    rung: Rung, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bells, "GATHER_SECONDS", 0.2)
    bell = Bell("a", rung)
    for _ in range(1000):
        bell.ring()
    assert rung.happened.wait(5)
    threading.Event().wait(0.3)
    assert rung.times == 1


def test_bells_of_different_names_do_not_swallow_each_other(rung: Rung) -> None:
    other = Rung()
    Bell("a", rung).ring()
    Bell("b", other).ring()
    assert rung.happened.wait(5)
    assert other.happened.wait(5)


def test_what_is_rung_later_is_enqueued_again(rung: Rung) -> None:
    bell = Bell("a", rung)
    bell.ring()
    assert rung.happened.wait(5)
    rung.happened.clear()
    bell.ring()
    assert rung.happened.wait(5)


def test_a_database_that_fails_does_not_end_the_ringing(rung: Rung) -> None:
    rung.errors = [DatabaseError("away")]
    bell = Bell("a", rung)
    bell.ring()
    assert rung.happened.wait(5)
    bell.ring()
    assert _until(lambda: rung.times == 2)


@pytest.mark.django_db
def test_a_bell_in_a_transaction_rings_when_it_commits(
    rung: Rung, django_capture_on_commit_callbacks: Callable[..., object]
) -> None:
    bell = Bell("a", rung)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        with transaction.atomic():
            bell.ring_on_commit()
        assert rung.times == 0
    assert rung.happened.wait(5)


def test_switched_off_bells_are_silent(rung: Rung, settings: LazySettings) -> None:
    settings.GRIDTALK_BELLS = False
    Bell("a", rung).ring()
    assert not rung.happened.wait(0.1)
    Bell("a", rung).enqueue()
    assert rung.times == 1, "the clock enqueues without the thread"
