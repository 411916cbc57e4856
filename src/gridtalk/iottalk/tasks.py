"""Background tasks of the device server: what is old is deleted; who is silent, who forgotten."""

from procrastinate.contrib.django import app

from gridtalk.core import clock
from gridtalk.iottalk.services.forgetting import devices_forget
from gridtalk.iottalk.services.retention import retention_apply
from gridtalk.iottalk.services.v1 import v1_devices_silent

#: When this worker started, and so about when the server did.
_STARTED_AT = clock.now()


@app.periodic(cron="41 * * * *")
@app.task(name="gridtalk.device_retention", queueing_lock="gridtalk.device_retention")
def device_retention(timestamp: int) -> None:  # noqa: ARG001  the clock's tick
    """Every hour: samples, log lines and sent values that are older than the settings say."""
    retention_apply()


@app.periodic(cron="* * * * * */15")
@app.task(name="gridtalk.iottalk.silent", queueing_lock="gridtalk.iottalk.silent")
def silent(timestamp: int) -> None:  # noqa: ARG001  the clock's tick, which procrastinate gives
    """Mark v1 devices offline that have not been heard for long."""
    v1_devices_silent(listening_since=_STARTED_AT)


@app.periodic(cron="23 * * * *")
@app.task(name="gridtalk.iottalk.forget", queueing_lock="gridtalk.iottalk.forget")
def forget(timestamp: int) -> None:  # noqa: ARG001
    """Forget the devices that nobody will miss."""
    devices_forget()
