"""Switch the circuit on."""

from gridtalk.gateway.consumer.base import ConsumerCommand, Request
from gridtalk.jobs.models import Job
from gridtalk.jobs.services import job_request


class TurnOn(ConsumerCommand):
    """Refused at zero credit; else nothing is said until the meter acknowledges."""

    action = "turn_on"

    def run(self, request: Request) -> str:
        """Queue the job."""
        if request.circuit.credit <= 0:
            request.answer("on_refused_no_credit", credit=request.circuit.credit)
            return "no credit"
        job_request(
            kind="turn_on",
            circuit=request.circuit,
            requested_by=Job.Requester.CONSUMER,
            incoming=request.incoming,
        )
        return "turn on"
