"""What was used in the last 30 days?"""

from datetime import timedelta
from decimal import Decimal

from gridtalk.core import clock
from gridtalk.gateway.consumer.base import ConsumerCommand, Request
from gridtalk.prepaid.selectors import circuit_usage

SPAN = timedelta(days=30)


class Usage(ConsumerCommand):
    """Credit consumed in the last 30 days, and the average Wh of a day."""

    action = "usage"
    only_asks = True

    def run(self, request: Request) -> str:
        """Answer; changes nothing."""
        now = clock.now()
        used = circuit_usage(circuit=request.circuit, start=now - SPAN, end=now)
        if used is None:
            request.answer("usage_no_report")
        else:
            request.answer("usage", credit=used.credit, wh=Decimal(used.energy_wh_a_day))
        return "usage"
