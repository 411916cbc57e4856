"""Bells, drains, the clock and what is left of killed workers."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob
from procrastinate.jobs import Job, Status

from gridtalk.core import tasks
from gridtalk.core.bells import Bell
from gridtalk.core.drains import bells, drain_bell, drain_enqueue

NAME = "gridtalk.test.drain"


@pytest.mark.django_db
def test_a_drain_waits_in_the_queue_once() -> None:
    for _ in range(3):
        drain_enqueue(NAME)
    job = ProcrastinateJob.objects.get(task_name=NAME)
    assert (job.status, job.queueing_lock, job.lock) == ("todo", NAME, None)


@pytest.mark.django_db
def test_a_drain_that_runs_does_not_stop_the_next_from_waiting() -> None:
    drain_enqueue(NAME)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET status = 'doing'")
    drain_enqueue(NAME)
    assert sorted(ProcrastinateJob.objects.values_list("status", flat=True)) == ["doing", "todo"]


@pytest.mark.django_db(transaction=True)
def test_two_who_ring_at_once_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    drain_enqueue(NAME)
    monkeypatch.setattr("gridtalk.core.drains._WAITING", "SELECT 1 WHERE %s IS NULL")
    drain_enqueue(NAME)
    assert ProcrastinateJob.objects.count() == 1


def test_every_bell_of_the_settings_has_its_task() -> None:
    app.perform_import_paths()
    names = [bell.name for bell in bells()]
    assert "gridtalk.messaging.send" in names
    assert len(set(names)) == len(names)
    assert [name for name in names if name not in app.tasks] == []
    for name in names:
        assert app.tasks[name].queueing_lock == name
        assert app.tasks[name].lock is None
        assert app.tasks[name].retry_strategy is None


def test_a_bell_that_is_none_is_an_error(settings: LazySettings) -> None:
    settings.BELLS = ["gridtalk.core.drains.no_such_bell"]
    with pytest.raises(ImportError):
        bells()


@pytest.mark.django_db
def test_the_clock_rings_all_bells() -> None:
    tasks.clock(timestamp=0)
    waiting = set(ProcrastinateJob.objects.values_list("task_name", flat=True))
    assert waiting == {bell.name for bell in bells()}


def test_a_bell_that_is_rung_without_its_task_is_a_bell() -> None:
    assert isinstance(drain_bell(NAME), Bell)


class FakeManager:
    def __init__(self, *jobs: Job) -> None:
        self.jobs = jobs
        self.calls: list[tuple[Any, ...]] = []

    async def get_stalled_jobs(self, *, seconds_since_heartbeat: float) -> tuple[Job, ...]:
        assert seconds_since_heartbeat > 10
        return self.jobs

    async def retry_job(self, job: Job) -> None:
        self.calls.append(("retry", job.id))

    async def finish_job(self, job: Job, *, status: Status, delete_job: bool) -> None:
        self.calls.append(("finish", job.id, status, delete_job))


def stalled(job_id: int, queueing_lock: str | None) -> Job:
    return Job(
        id=job_id, queue="drains", lock=None, queueing_lock=queueing_lock, task_name=NAME,
        scheduled_at=datetime.now(UTC) - timedelta(minutes=5),
    )  # fmt: skip


def test_a_killed_drain_ends_and_any_other_task_is_tried_again() -> None:
    manager = FakeManager(stalled(1, NAME), stalled(2, None))
    asyncio.run(tasks.settle_stalled(manager))
    assert manager.calls == [("finish", 1, Status.FAILED, True), ("retry", 2)]
