"""Messages as tables show them: with the state of each, and who stands behind the number."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.db.models import Q

from gridtalk.grid.models import Account, Circuit, Meter
from gridtalk.messaging.models import Message


@dataclass(frozen=True)
class MessageRow:
    """A message, its error in words, and the meter or circuit whose number it is."""

    message: Message
    error: str
    outcome: str
    meter: Meter | None
    circuit: Circuit | None


@dataclass(frozen=True)
class FeedRow:
    """A line of the feed: one message, or several reports that came one after the other.

    ``newest`` is the message that the line leads to, ``number`` how many there are, ``names`` the
    meters that sent them, each once, the newest first.
    """

    newest: MessageRow
    number: int
    names: tuple[str, ...]


#: What meters say by themselves, each hour: of interest is that they do.
REPORT_OUTCOMES = {"reports", "pcu log"}


def feed_rows(rows: Iterable[MessageRow]) -> list[FeedRow]:
    """The rows as a feed tells them: neighbouring reports are one line, errors stay alone."""
    found = []
    for is_report, group in groupby(rows, key=_is_report):
        if not is_report:
            found += [FeedRow(row, 1, ()) for row in group]
            continue
        reports = list(group)
        names = dict.fromkeys(
            row.meter.name if row.meter else row.message.number for row in reports
        )
        found.append(FeedRow(reports[0], len(reports), tuple(names)))
    return found


def _is_report(row: MessageRow) -> bool:
    return row.outcome in REPORT_OUTCOMES and not row.error


def message_rows(messages: Iterable[Message]) -> list[MessageRow]:
    """The messages with their facts; four queries at most, however many messages."""
    found = list(messages)
    incoming: dict[int, Any] = {
        row["pk"]: row
        for row in Message.objects.filter(
            pk__in=[message.pk for message in found if message.kind == "incoming"]
        ).values("pk", "incomingmessage__error", "incomingmessage__outcome")
    }
    numbers = {message.number for message in found if message.number}
    # A meter that is a device has an address instead of a number.
    known = Meter.objects.filter(Q(phone__in=numbers) | Q(device_address__in=numbers))
    meters = {
        str(name): meter for meter in known for name in (meter.phone, meter.device_address) if name
    }
    circuits: dict[str, Circuit] = {}
    others = numbers - meters.keys()
    if others:
        accounts = Account.objects.filter(phone__in=others)
        for circuit in (
            Circuit.objects.filter(account__in=accounts, retired_at__isnull=True)
            .select_related("account", "meter")
            .order_by("-pk")
        ):
            if circuit.account is not None:
                circuits[circuit.account.phone] = circuit
    rows = []
    for message in found:
        facts = incoming.get(message.pk, {})
        rows.append(
            MessageRow(
                message=message,
                error=message.last_error or facts.get("incomingmessage__error") or "",
                outcome=facts.get("incomingmessage__outcome") or "",
                meter=meters.get(message.number),
                circuit=circuits.get(message.number),
            )
        )
    return rows
