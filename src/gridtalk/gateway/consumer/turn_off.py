"""Switch the circuit off."""

from gridtalk.gateway.consumer.base import ConsumerCommand, Request
from gridtalk.jobs.models import Job
from gridtalk.jobs.services import job_request


class TurnOff(ConsumerCommand):
    """Nothing is said until the meter acknowledges."""

    action = "turn_off"

    def run(self, request: Request) -> str:
        """Queue the job."""
        job_request(
            kind="turn_off",
            circuit=request.circuit,
            requested_by=Job.Requester.CONSUMER,
            incoming=request.incoming,
        )
        return "turn off"
