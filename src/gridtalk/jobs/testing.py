"""Jobs for tests."""

from decimal import Decimal

from gridtalk.grid.models import Circuit
from gridtalk.jobs.models import AddCredit
from gridtalk.jobs.services import add_credit_request
from gridtalk.prepaid.services import token_batch_create


def redeem(circuit: Circuit, value: int = 500) -> AddCredit:
    """The job of a new token of that value, redeemed there."""
    token = token_batch_create(count=1, value=Decimal(value)).tokens.get()
    return add_credit_request(circuit=circuit, token_number=token.number)
