"""Add credit: the one job that makes money."""

from gridtalk.jobs.kinds.base import JobKind
from gridtalk.jobs.models import AddCredit, Job
from gridtalk.jobs.wire import job_text


class AddCreditKind(JobKind):
    """``(job=cr&jobid=N&cid=IP&amt=500.0)``."""

    model = AddCredit
    word = "cr"
    money = True
    done_text = "add_credit_done"
    unanswered_text = "add_credit_unanswered"

    def text(self, job: Job) -> str:
        """With the amount."""
        assert isinstance(job, AddCredit)
        return job_text(
            word=self.word, job_id=job.pk, address=job.circuit.ip_address, amount=job.credit
        )
