"""DeviceTalk's background tasks."""

from procrastinate.contrib.django import app

from gridtalk.devicetalk.services import checking
from gridtalk.devicetalk.services.cleanup import cleanup


@app.periodic(cron="0 5 * * *")
@app.task(name="gridtalk.devicetalk.cleanup", queueing_lock="gridtalk.devicetalk.cleanup")
def cleanup_daily(timestamp: int) -> None:  # noqa: ARG001  the clock's tick, which procrastinate gives
    """Every day at 05:00 UTC; what fails today is cleaned tomorrow."""
    cleanup()


@app.task(name=checking.TASK, queue=checking.QUEUE)
def check(check_id: int) -> None:
    """One check of a device's code; what a killed worker left is begun again."""
    checking.device_check_run(check_id=check_id)
