"""A circuit's credit is low."""

from gridtalk.alerts.kinds.base import AlertKind, Seen, Verdict
from gridtalk.alerts.models import LowCredit


class LowCreditKind(AlertKind):
    """Raised by the meter, or by a report below the meter's threshold; cleared by credit above it.

    Where the meter has no threshold here, it alone knows what is low: then any rise of the credit
    clears. Used-up credit is not low credit: it neither raises nor clears.
    """

    model = LowCredit
    codes = ("lcw",)
    text_key = "low_credit"
    follows_reports = True

    def after_report(self, seen: Seen) -> Verdict:
        """Compare with the threshold, or with the credit before."""
        if seen.credit is None or seen.credit <= 0:
            return Verdict.NOTHING
        if seen.threshold > 0:
            if seen.credit == seen.threshold:
                return Verdict.NOTHING
            return Verdict.RAISE if seen.credit < seen.threshold else Verdict.CLEAR
        rose = seen.credit_before is not None and seen.credit > seen.credit_before
        return Verdict.CLEAR if rose else Verdict.NOTHING
