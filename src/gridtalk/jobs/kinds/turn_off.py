"""Switch a circuit off."""

from gridtalk.grid.models import Circuit
from gridtalk.jobs.kinds.base import JobKind
from gridtalk.jobs.models import TurnOff


class TurnOffKind(JobKind):
    """``(job=coff&jobid=N&cid=IP)``; takes the place of open on and off jobs."""

    model = TurnOff
    word = "coff"
    supersedes = ("turn_on", "turn_off")
    status_after = Circuit.Status.OFF
    done_text = "turn_off_done"
    unanswered_text = "turn_off_unanswered"
