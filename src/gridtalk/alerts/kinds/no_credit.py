"""A circuit's credit is used up."""

from gridtalk.alerts.kinds.base import AlertKind, Seen, Verdict
from gridtalk.alerts.models import NoCredit


class NoCreditKind(AlertKind):
    """Raised by the meter, or by a report of zero or less; cleared by credit above zero."""

    model = NoCredit
    codes = ("nocw",)
    text_key = "no_credit"
    follows_reports = True

    def after_report(self, seen: Seen) -> Verdict:
        """Compare with zero."""
        if seen.credit is None:
            return Verdict.NOTHING
        return Verdict.RAISE if seen.credit <= 0 else Verdict.CLEAR
