"""Switch a circuit off."""

from gridtalk.jobs.kinds.base import JobKind
from gridtalk.jobs.models import TurnOff


class TurnOffKind(JobKind):
    """``(job=coff&jobid=N&cid=IP)``; takes the place of queued on and off jobs."""

    model = TurnOff
    word = "coff"
    supersedes = ("turn_on", "turn_off")
    done_text = "turn_off_done"
    unanswered_text = "turn_off_unanswered"
