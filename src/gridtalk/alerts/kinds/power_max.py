"""A circuit drew more power than its limit and was switched off."""

from gridtalk.alerts.kinds.base import AlertKind, Seen, Verdict
from gridtalk.alerts.models import PowerMax
from gridtalk.grid.models import Circuit


class PowerMaxKind(AlertKind):
    """Raised by the meter; cleared by the next report with the circuit on."""

    model = PowerMax
    codes = ("pmax",)
    text_key = "power_max"
    follows_reports = True

    def after_report(self, seen: Seen) -> Verdict:
        """The relay is on again."""
        return Verdict.CLEAR if seen.status == Circuit.Status.ON else Verdict.NOTHING
