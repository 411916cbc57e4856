"""The background tasks of messaging: sending, and giving up what waited too long."""

from procrastinate.contrib.django import app

from gridtalk.core.drains import QUEUE, drain_task
from gridtalk.messaging.bells import SEND
from gridtalk.messaging.drain import messages_send
from gridtalk.messaging.services import messages_expire


@drain_task(SEND.name)
def send() -> None:
    """Hand over what is due; ring for the next drain where this one stopped before the end."""
    if messages_send().unfinished:
        SEND.enqueue()


@app.periodic(cron="* * * * *")
@app.task(name="gridtalk.messaging.expire", queue=QUEUE, queueing_lock="gridtalk.messaging.expire")
def expire(timestamp: int) -> None:  # noqa: ARG001  the periodic deferrer gives it
    """Every minute: give up the messages that waited too long."""
    messages_expire()
