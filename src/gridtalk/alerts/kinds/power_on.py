"""A meter came on."""

from gridtalk.alerts.kinds.base import AlertKind
from gridtalk.alerts.models import PowerOn


class PowerOnKind(AlertKind):
    """Raised by the meter (``ml05 online``, or ``alert=online``); an event, closed at once."""

    model = PowerOn
    codes = ("online",)
    event = True

    def concerns_circuit(self, topic: str) -> bool:  # noqa: ARG002
        """It is the whole meter that came on."""
        return False
