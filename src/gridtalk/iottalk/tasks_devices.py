"""Background tasks about devices: who is silent, who is forgotten."""

from procrastinate.contrib.django import app

from gridtalk.core import clock
from gridtalk.iottalk.services.forgetting import devices_forget
from gridtalk.iottalk.services.v1 import v1_devices_silent

#: When this worker started, and so about when the server did.
_STARTED_AT = clock.now()


@app.periodic(cron="* * * * * */15")
@app.task(name="gridtalk.iottalk.silent", queueing_lock="gridtalk.iottalk.silent")
def silent(timestamp: int) -> None:  # noqa: ARG001  the clock's tick, which procrastinate gives
    """Mark v1 devices offline that have not been heard for long."""
    v1_devices_silent(listening_since=_STARTED_AT)


@app.periodic(cron="23 4 * * *")
@app.task(name="gridtalk.iottalk.forget", queueing_lock="gridtalk.iottalk.forget")
def forget(timestamp: int) -> None:  # noqa: ARG001
    """Forget the devices that nobody will miss."""
    devices_forget()
