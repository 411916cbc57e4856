"""Switch the circuit on."""

from gridtalk.gateway.consumer.base import ConsumerCommand, Request
from gridtalk.jobs.models import Job
from gridtalk.jobs.services import job_request


class TurnOn(ConsumerCommand):
    """Refused at zero credit, where the meter said so; else nothing is said until the meter
    acknowledges.
    """

    action = "turn_on"

    def run(self, request: Request) -> str:
        """Queue the job."""
        circuit = request.circuit
        # After a recharge whose acknowledgement said no credit, ours is the old one: the meter
        # knows better, and leaves off what it must.
        if circuit.credit <= 0 and not circuit.credit_estimated:
            request.answer("on_refused_no_credit", credit=circuit.credit)
            return "no credit"
        job_request(
            kind="turn_on",
            circuit=circuit,
            requested_by=Job.Requester.CONSUMER,
            incoming=request.incoming,
        )
        return "turn on"
