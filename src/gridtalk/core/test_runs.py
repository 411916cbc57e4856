"""One run of a drain in a process at a time, and no bell lost by it."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from gridtalk.core import bells, drains
from gridtalk.core.runs import RUNS, Runs

NAME = "gridtalk.test.runs"


def test_who_comes_while_it_runs_leaves_word() -> None:
    runs = Runs()
    assert not runs.look_again(NAME)
    assert runs.begin(NAME)
    assert runs.may_end(NAME)
    assert runs.begin(NAME)
    assert not runs.begin(NAME)
    assert not runs.may_end(NAME), "word was left"
    assert runs.look_again(NAME)
    assert not runs.may_end(NAME), "word was left"
    assert runs.may_end(NAME)
    assert runs.begin("another")
    assert runs.begin(NAME), "one drain does not hold up another"


@pytest.fixture
def drain() -> Iterator[Callable[[Callable[[], None]], Any]]:
    """Makes a drain's task of a function; forgotten after the test."""
    yield drains.drain_task(NAME)
    app.tasks.pop(NAME, None)
    assert not RUNS.look_again(NAME), "a run was left behind"


def test_a_drain_called_while_it_runs_runs_once_more_and_never_beside_itself(drain: Any) -> None:
    running, calls, most = [0], [0], [0]
    entered, go_on = threading.Event(), threading.Event()

    def work() -> None:
        running[0] += 1
        calls[0] += 1
        most[0] = max(most[0], running[0])
        entered.set()
        assert go_on.wait(5)
        running[0] -= 1

    task = drain(work)
    first = threading.Thread(target=task)
    first.start()
    assert entered.wait(5)
    began = time.monotonic()
    for _ in range(3):
        task()
    assert time.monotonic() - began < 1, "who comes meanwhile holds no place of the worker"
    go_on.set()
    first.join(5)
    assert (calls[0], most[0]) == (2, 1)


def test_a_drain_that_fails_can_run_again(drain: Any) -> None:
    calls = []

    def work() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("a bug")

    task = drain(work)
    with pytest.raises(ValueError, match="a bug"):
        task()
    task()
    assert len(calls) == 2


@pytest.mark.django_db
def test_a_drain_that_finds_ever_more_lets_a_new_task_go_on(
    drain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drains, "LONGEST_RUN_S", 0.0)
    calls = []

    def work() -> None:
        calls.append(1)
        RUNS.look_again(NAME)

    drain(work)()
    assert len(calls) == 1
    assert ProcrastinateJob.objects.get(task_name=NAME).status == "todo"


def test_a_bell_for_a_drain_of_this_process_needs_no_task(
    settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.GRIDTALK_BELLS = True
    left = threading.Event()
    monkeypatch.setattr(
        bells.RUNS, "look_again", lambda name, look=RUNS.look_again: look(name) and not left.set()
    )
    enqueued = threading.Event()
    bell = bells.Bell(NAME, enqueued.set)
    assert RUNS.begin(NAME)
    bell.ring()
    assert left.wait(5)
    assert not enqueued.is_set()
    assert RUNS.end(NAME), "word was left"
    bell.ring()
    assert enqueued.wait(5), "where it does not run, its task is enqueued"


@pytest.mark.django_db(transaction=True)
def test_a_bell_does_not_wait_for_the_disk_and_nothing_else_hurries() -> None:
    seen = []

    def look(execute: Any, sql: str, *rest: Any) -> Any:
        done = execute(sql, *rest)
        if "procrastinate_defer" in sql:
            with connection.connection.cursor() as cursor:
                seen.append(cursor.execute("SHOW synchronous_commit").fetchone()[0])
        return done

    with connection.execute_wrapper(look):
        drains.drain_enqueue(NAME)
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        seen.append(cursor.fetchone()[0])
    assert seen == ["off", "on"]
    ProcrastinateJob.objects.filter(task_name=NAME).update(status="succeeded")
