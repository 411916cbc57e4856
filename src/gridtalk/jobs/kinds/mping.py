"""Ask a meter whether it is there."""

from gridtalk.jobs.kinds.base import JobKind
from gridtalk.jobs.models import Mping


class MpingKind(JobKind):
    """``(job=mping&jobid=N)``; belongs to the mains circuit."""

    model = Mping
    word = "mping"
    whole_meter = True
