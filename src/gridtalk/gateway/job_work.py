"""Jobs whose time has come: sent again, or given up with an alert and a word to who asked."""

from django.db import transaction

from gridtalk.alerts.services import unresponsive_jobs_clear, unresponsive_jobs_raise
from gridtalk.gateway.replies import reply_job_unanswered
from gridtalk.grid.models import Circuit
from gridtalk.jobs.families import JOBS
from gridtalk.jobs.models import Job
from gridtalk.jobs.services import jobs_due_work


def jobs_work() -> int:
    """Work until no job is due; returns how many were."""
    done = 0
    while True:
        with transaction.atomic(durable=True):
            work = jobs_due_work()
            for alert in unresponsive_jobs_raise(jobs=work.given_up):
                job = JOBS.child(Job.objects.get(pk=alert.job_id))
                circuit = Circuit.objects.select_related("account").get(pk=job.circuit_id)
                reply_job_unanswered(job=job, circuit=circuit)
            unresponsive_jobs_clear()
        if not work.count:
            return done
        done += work.count
