"""The clock that rings all bells, and the tidying of the task queue."""

import logging
from typing import Any

from procrastinate import JobContext
from procrastinate.contrib.django import app
from procrastinate.jobs import Status

from gridtalk.core.drains import QUEUE, bells

log = logging.getLogger(__name__)

#: A worker that gave no sign of life for so long is dead (its heartbeat comes every 10 s).
STALLED_AFTER_S = 30
#: Failed tasks are kept so long, for the operator to look at.
KEPT_HOURS = 72


@app.periodic(cron="* * * * * */5")
@app.task(name="gridtalk.clock", queue=QUEUE, queueing_lock="gridtalk.clock")
def clock(timestamp: int) -> None:  # noqa: ARG001  the periodic deferrer gives it
    """Ring all bells, every 5 seconds: a bell can be lost, and a row can fall due by itself."""
    for bell in bells():
        bell.enqueue()


@app.periodic(cron="* * * * *")
@app.task(
    name="gridtalk.queue_tidy", queue=QUEUE, queueing_lock="gridtalk.queue_tidy", pass_context=True
)
async def queue_tidy(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Every minute: settle the tasks of killed workers, delete old ones.

    A drain that was killed is not tried again, since its rows and the clock call a new one; any
    other task is.
    """
    await settle_stalled(context.app.job_manager)
    await context.app.job_manager.delete_old_jobs(
        nb_hours=KEPT_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
    )


async def settle_stalled(manager: Any) -> None:
    """Retry the tasks whose worker died; end those that have a queueing lock."""
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_AFTER_S):
        log.warning("task %s %s was left by a worker that died", job.task_name, job.id)
        if job.queueing_lock is None:
            await manager.retry_job(job)
        else:
            await manager.finish_job(job, status=Status.FAILED, delete_job=True)
