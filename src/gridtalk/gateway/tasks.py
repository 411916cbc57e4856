"""The gateway's background tasks: two drains, and the nightly posting of consumption."""

from procrastinate.contrib.django import app

from gridtalk.core.drains import drain_task
from gridtalk.gateway.inbound import handle_waiting
from gridtalk.gateway.job_work import jobs_work
from gridtalk.prepaid.consumption import consumption_post

#: Reports that come later than this change a day that was posted; once a month more is looked at.
DAYS_NIGHTLY = 8
DAYS_MONTHLY = 62


@drain_task("gridtalk.gateway.handle")
def handle() -> None:
    """Handle the messages that came in."""
    handle_waiting()


@drain_task("gridtalk.gateway.jobs")
def jobs() -> None:
    """Send again, or give up, the jobs that fall due."""
    jobs_work()


@app.periodic(cron="31 * * * *")
@app.task(name="gridtalk.gateway.consumption", queueing_lock="gridtalk.gateway.consumption")
def consumption(timestamp: int) -> None:  # noqa: ARG001  the clock's tick, which procrastinate gives
    """Post the consumption of the days that ended, hour by hour around the earth's time zones."""
    consumption_post(days=DAYS_NIGHTLY)


@app.periodic(cron="47 3 1 * *")
@app.task(
    name="gridtalk.gateway.consumption_late", queueing_lock="gridtalk.gateway.consumption_late"
)
def consumption_late(timestamp: int) -> None:  # noqa: ARG001
    """Once a month, look two months back for reports that came late."""
    consumption_post(days=DAYS_MONTHLY)
