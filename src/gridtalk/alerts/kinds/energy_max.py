"""A circuit used its energy of the day and was switched off."""

from gridtalk.alerts.kinds.base import AlertKind, Seen, Verdict
from gridtalk.alerts.models import EnergyMax
from gridtalk.grid.models import Circuit


class EnergyMaxKind(AlertKind):
    """Raised by the meter; cleared by the next report with the circuit on."""

    model = EnergyMax
    codes = ("emax",)
    text_key = "energy_max"
    follows_reports = True

    def after_report(self, seen: Seen) -> Verdict:
        """The relay is on again."""
        return Verdict.CLEAR if seen.status == Circuit.Status.ON else Verdict.NOTHING
