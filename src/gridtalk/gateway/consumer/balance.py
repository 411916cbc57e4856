"""How much is left?"""

from gridtalk.core import clock
from gridtalk.gateway.consumer.base import ConsumerCommand, Request
from gridtalk.gateway.replies import credit_to_say


class Balance(ConsumerCommand):
    """Account, credit (and whether it is estimated), the time of the last report in the meter's
    zone.
    """

    action = "balance"
    only_asks = True

    def run(self, request: Request) -> str:
        """Answer; changes nothing."""
        circuit = request.circuit
        credit = credit_to_say(circuit)
        if circuit.last_meter_time is None:
            request.answer("balance_no_report", credit=credit)
        else:
            zone = clock.zone(circuit.meter.time_zone)
            request.answer("balance", credit=credit, time=circuit.last_meter_time.astimezone(zone))
        return "balance"
