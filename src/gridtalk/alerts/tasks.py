"""The alerts' own clock."""

from django.db import transaction
from procrastinate.contrib.django import app

from gridtalk.alerts.services import unresponsive_jobs_clear
from gridtalk.alerts.silence import unresponsive_circuits_check
from gridtalk.core import clock


@app.periodic(cron="*/5 * * * *")
@app.task(name="gridtalk.alerts.check", queueing_lock="gridtalk.alerts.check")
def check(timestamp: int) -> None:  # noqa: ARG001  procrastinate says for when it was due
    """Look for circuits that have fallen silent, and for jobs that have ended since."""
    with transaction.atomic(durable=True):
        unresponsive_jobs_clear()
    unresponsive_circuits_check(now=clock.now())
