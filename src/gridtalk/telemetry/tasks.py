"""Background tasks: partitions are made before they are needed."""

from procrastinate.contrib.django import app

from gridtalk.telemetry.partitions import partitions_ensure


@app.periodic(cron="17 2 * * *")
@app.task(name="gridtalk.telemetry.partitions", queueing_lock="gridtalk.telemetry.partitions")
def partitions(timestamp: int) -> None:  # noqa: ARG001  the clock's tick, which procrastinate gives
    """Make the partitions of the coming months; what fails today is made tomorrow."""
    partitions_ensure()
