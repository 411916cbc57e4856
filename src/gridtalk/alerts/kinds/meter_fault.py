"""A meter reported a fault of its own."""

from typing import Any

from gridtalk.alerts.kinds.base import AlertKind
from gridtalk.alerts.models import Alert, MeterFault


class MeterFaultKind(AlertKind):
    """Raised by the meter, one for each code; a person who acknowledges it closes it.

    A component that failed (``ce``) belongs to its circuit; ``md`` and ``sdc`` belong to the meter,
    also where the message names a circuit (meters of 2012 did).
    """

    model = MeterFault
    codes = tuple(MeterFault.Code.values)

    def concerns_circuit(self, topic: str) -> bool:
        """Only a component has a circuit."""
        return topic == MeterFault.Code.COMPONENT

    def topic(self, code: str) -> str:
        """The code: several faults may be open at once."""
        return code

    def child_fields(self, code: str) -> dict[str, Any]:
        """The code, which the child keeps."""
        return {"code": code}

    def closed_by_acknowledgement(self, alert: Alert) -> bool:  # noqa: ARG002
        """No meter says that a fault is mended."""
        return True
