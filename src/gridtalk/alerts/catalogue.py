"""Every kind of alert, in an explicit list."""

from collections.abc import Sequence

from django.core.exceptions import ImproperlyConfigured

from gridtalk.alerts.kinds.base import AlertKind
from gridtalk.alerts.kinds.energy_max import EnergyMaxKind
from gridtalk.alerts.kinds.low_credit import LowCreditKind
from gridtalk.alerts.kinds.meter_fault import MeterFaultKind
from gridtalk.alerts.kinds.no_credit import NoCreditKind
from gridtalk.alerts.kinds.power_max import PowerMaxKind
from gridtalk.alerts.kinds.power_on import PowerOnKind
from gridtalk.alerts.kinds.unresponsive_circuit import UnresponsiveCircuitKind
from gridtalk.alerts.kinds.unresponsive_job import UnresponsiveJobKind
from gridtalk.core.errors import UserError


class Catalogue:
    """The kinds by name and by the meter's code.

    Raises :class:`ImproperlyConfigured` where two kinds claim one name or one code.
    """

    def __init__(self, kinds: Sequence[AlertKind]) -> None:
        self.kinds = tuple(kinds)
        self.by_kind: dict[str, AlertKind] = {}
        self.by_code: dict[str, AlertKind] = {}
        for kind in self.kinds:
            self._claim(self.by_kind, kind.model.KIND, kind, what="kind")
            for code in kind.codes:
                self._claim(self.by_code, code, kind, what="code")

    @staticmethod
    def _claim(names: dict[str, AlertKind], name: str, kind: AlertKind, *, what: str) -> None:
        if not name or name in names:
            raise ImproperlyConfigured(
                f"{type(kind).__name__}: the {what} “{name}” of an alert is empty or claimed "
                "twice; see alerts/catalogue.py"
            )
        names[name] = kind

    def kind_get(self, name: str) -> AlertKind:
        """The kind of that name; :class:`ImproperlyConfigured` where there is none: names come from
        our own code."""
        try:
            return self.by_kind[name]
        except KeyError:
            raise ImproperlyConfigured(
                f"there is no alert “{name}”; there are: {', '.join(self.by_kind)}"
            ) from None

    def code_get(self, code: str) -> AlertKind:
        """The kind that a meter's code raises; :class:`UserError` where there is none."""
        try:
            return self.by_code[code]
        except KeyError:
            raise UserError(
                f"“{code[:20]}” is not an alert code; there are: {', '.join(self.by_code)}"
            ) from None


ALERT_KINDS = Catalogue(
    [
        UnresponsiveCircuitKind(),
        PowerMaxKind(),
        EnergyMaxKind(),
        LowCreditKind(),
        NoCreditKind(),
        UnresponsiveJobKind(),
        PowerOnKind(),
        MeterFaultKind(),
    ]
)
