"""What a kind of alert must say of itself."""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar

from gridtalk.alerts.models import Alert
from gridtalk.core.errors import UserError
from gridtalk.grid.models import Circuit


class Verdict(Enum):
    """What a report means for an alert."""

    NOTHING = "nothing"
    RAISE = "raise"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a circuit after its newest report.

    ``threshold`` is the meter's low-credit threshold, 0 where none is set. ``credit_before`` and
    ``credit`` are null where the report did not touch the credit (an older report, a mains), and so
    is ``status``. ``reported``: it was a report; an acknowledgement is none.
    """

    threshold: Decimal
    credit_before: Decimal | None
    credit: Decimal | None
    status: int | None
    reported: bool


class AlertKind:
    """One kind of alert: when it is raised and cleared, and what the consumer is told.

    A new one is a file beside this one, a line in ``alerts/catalogue.py``, a model with a migration
    and a line in ``alerts/families.py``, and its text where the consumer is told
    (``messaging/texts``). The class is stateless: no query, no clock, no network; the services call
    it and do the work.
    """

    #: Its model, a member of ``alerts/families.py``; ``model.KIND`` is the kind's name.
    model: ClassVar[type[Alert]]
    #: The codes by which a meter raises it (``meter-protocol.md``), in lower case.
    codes: ClassVar[tuple[str, ...]] = ()
    #: Text for the account's phone, at most once a day; empty: the consumer is never told. The text
    #: is given ``account`` (the pin) and ``credit``.
    text_key: ClassVar[str] = ""
    #: Whether it is an event: closed as soon as it is raised, one row for each.
    event: ClassVar[bool] = False
    #: Whether :meth:`after_report` is asked. A kind that leaves this false costs a report nothing.
    follows_reports: ClassVar[bool] = False

    def concerns_circuit(self, topic: str) -> bool:  # noqa: ARG002
        """Whether the alert belongs to a circuit, else to the meter, whatever circuit is named.

        Must depend on the kind and the topic alone. By default every alert needs a circuit.
        """
        return True

    def topic(self, code: str) -> str:  # noqa: ARG002
        """What tells several open alerts of this kind apart, at most 32 characters.

        Called with the meter's code. By default one is open for each circuit or meter.
        """
        return ""

    def child_fields(self, code: str) -> dict[str, Any]:  # noqa: ARG002
        """Columns of the child table for an alert that a meter raised; by default it has none."""
        return {}

    def after_report(self, seen: Seen) -> Verdict:  # noqa: ARG002
        """What the circuit's newest report means.

        Called once for each circuit in a batch of reports which has an open alert of a kind that
        follows reports, or credit at or below zero or below the threshold: a rule cannot raise for
        any other reason. ``CLEAR`` where none is open does nothing.
        """
        return Verdict.NOTHING

    def closed_by_acknowledgement(self, alert: Alert) -> bool:  # noqa: ARG002
        """Whether a person who acknowledges the alert closes it.

        For what nothing else would ever clear. By default an acknowledged alert stays open until
        its cause is gone.
        """
        return False

    def circuit_for(self, *, topic: str, circuit: Circuit | None) -> Circuit | None:
        """The circuit that the alert belongs to; :class:`UserError` where it lacks one."""
        if not self.concerns_circuit(topic):
            return None
        if circuit is None:
            name = self.model.KIND + (f" {topic}" if topic else "")
            raise UserError(f"the alert {name} must name a circuit (cid=192.168.1.2NN)")
        return circuit
