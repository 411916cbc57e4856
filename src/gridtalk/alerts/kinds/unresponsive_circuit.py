"""A circuit that reported before has been silent (``settings.CIRCUIT_SILENCE``)."""

from gridtalk.alerts.kinds.base import AlertKind, Seen, Verdict
from gridtalk.alerts.models import UnresponsiveCircuit


class UnresponsiveCircuitKind(AlertKind):
    """Raised by the gateway's own check; cleared by the circuit's next report, however old."""

    model = UnresponsiveCircuit
    follows_reports = True

    def after_report(self, seen: Seen) -> Verdict:
        """Any report breaks the silence."""
        return Verdict.CLEAR if seen.reported else Verdict.NOTHING
