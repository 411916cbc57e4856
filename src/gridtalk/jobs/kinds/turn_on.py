"""Switch a circuit on."""

from gridtalk.jobs.kinds.base import JobKind
from gridtalk.jobs.models import TurnOn


class TurnOnKind(JobKind):
    """``(job=con&jobid=N&cid=IP)``; takes the place of queued on and off jobs."""

    model = TurnOn
    word = "con"
    supersedes = ("turn_on", "turn_off")
    done_text = "turn_on_done"
    unanswered_text = "turn_on_unanswered"
