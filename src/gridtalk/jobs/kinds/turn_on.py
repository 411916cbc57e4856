"""Switch a circuit on."""

from gridtalk.grid.models import Circuit
from gridtalk.jobs.kinds.base import JobKind
from gridtalk.jobs.models import TurnOn


class TurnOnKind(JobKind):
    """``(job=con&jobid=N&cid=IP)``; takes the place of open on and off jobs."""

    model = TurnOn
    word = "con"
    supersedes = ("turn_on", "turn_off")
    status_after = Circuit.Status.ON
    done_text = "turn_on_done"
    unanswered_text = "turn_on_unanswered"
