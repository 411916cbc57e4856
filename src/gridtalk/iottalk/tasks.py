"""Background tasks of the device server: what is old is deleted."""

from procrastinate.contrib.django import app

from gridtalk.iottalk.services.retention import retention_apply


@app.periodic(cron="41 * * * *")
@app.task(name="gridtalk.device_retention", queueing_lock="gridtalk.device_retention")
def device_retention(timestamp: int) -> None:  # noqa: ARG001  the clock's tick
    """Every hour: samples, log lines and sent values that are older than the settings say."""
    retention_apply()
