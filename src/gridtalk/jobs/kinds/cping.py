"""Ask a circuit for its state."""

from gridtalk.jobs.kinds.base import JobKind
from gridtalk.jobs.models import Cping


class CpingKind(JobKind):
    """``(job=cping&jobid=N&cid=IP)``."""

    model = Cping
    word = "cping"
