"""Redeem a token."""

from django.conf import settings

from gridtalk.core import clock
from gridtalk.gateway.consumer.base import ConsumerCommand, Request
from gridtalk.jobs.models import AddCredit as AddCreditJob
from gridtalk.jobs.services import add_credit_request
from gridtalk.prepaid.models import Token
from gridtalk.prepaid.services import TokenPending, TokenSpent, TokenUnknown


class AddCredit(ConsumerCommand):
    """A token becomes an add-credit job; the confirmation goes out when the meter acknowledges."""

    action = "add_credit"

    def run(self, request: Request) -> str:
        """Reserve the token and queue the job, or say in one text why not."""
        try:
            add_credit_request(
                circuit=request.circuit,
                token_number=request.argument,
                incoming=request.incoming,
            )
        except TokenUnknown:
            request.answer("token_unknown")
            return "wrong token"
        except TokenSpent as error:
            _say_spent(request, error.token)
            return "wrong token"
        except TokenPending:
            request.answer("token_pending")
            return "token pending"
        if settings.ACKNOWLEDGE_RECEIPT:
            request.answer("add_credit_received")
        return "add credit"


def _say_spent(request: Request, token: Token) -> None:
    """When it was used is said only where it was used: not to a stranger who found the paper."""
    circuit = request.circuit
    here = AddCreditJob.objects.filter(token=token, circuit=circuit).exists()
    if here and token.used_at is not None:
        time = token.used_at.astimezone(clock.zone(circuit.meter.time_zone))
        request.answer("token_spent_here", time=time)
    else:
        request.answer("token_spent")
