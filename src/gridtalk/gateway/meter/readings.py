"""From parsed meter messages to logs and circuits, in bulk.

The drain takes some hundreds of stored messages, parses them, and gives all hourly reports among
them to :func:`readings_take` at once. Per message it hears what was stored and what was wrong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count, islice
from typing import NamedTuple

from django.db import connection

from gridtalk.core import clock
from gridtalk.core.errors import UserError
from gridtalk.core.money import CENT
from gridtalk.core.texts import storable
from gridtalk.gateway.meter.wire import EntryError, PrimaryLogs, Reading
from gridtalk.grid.models import Meter
from gridtalk.messaging.models import IncomingMessage
from gridtalk.telemetry.services import CircuitChange, NewReading, Outcome, primary_logs_insert

#: Of the errors of a message, so many characters are kept for the operator.
LONGEST_ERROR = 2000


class StoredReadings(NamedTuple):
    """A stored message of hourly reports, parsed, with the meter that sent it."""

    message: IncomingMessage
    meter: Meter
    logs: PrimaryLogs


@dataclass(slots=True)
class MessageTaken:
    """What became of one message. ``stored`` counts the flagged reports (``ahead``) too."""

    message_id: int
    stored: int = 0
    duplicates: int = 0
    ahead: int = 0
    errors: list[EntryError] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        """``reports`` where at least one was stored, ``duplicate`` where all were there already,
        ``error`` where no entry was good.
        """
        if self.stored:
            return "reports"
        return "duplicate" if self.duplicates else "error"

    @property
    def error(self) -> str:
        """The errors as the operator reads them; empty where there is none.

        Duplicates are told where the outcome does not tell them: beside reports that were stored.
        """
        reasons = [
            f"entry {error.entry}: {error.reason}" if error.entry else error.reason
            for error in self.errors
        ]
        if self.ahead:
            reasons.append(
                f"the meter's clock is over an hour ahead: {self.ahead} kept, circuits untouched"
            )
        if self.stored and self.duplicates:
            reasons.append(f"{self.duplicates} there already, not stored twice")
        if not (self.stored or self.duplicates or reasons):
            reasons.append("the message holds no entry")
        return "; ".join(reasons)[:LONGEST_ERROR]


class IncomingHandled(NamedTuple):
    """What to write on an incoming message; ``outcome`` has at most 32 characters."""

    message_id: int
    outcome: str
    error: str = ""


class ReadingsTaken(NamedTuple):
    """``messages`` in the order given; ``changes`` by circuit: for alerts, unconfirmed credit."""

    messages: list[MessageTaken]
    changes: list[CircuitChange]

    @property
    def handled(self) -> list[IncomingHandled]:
        """What to write on each message."""
        return [
            IncomingHandled(taken.message_id, taken.outcome, taken.error) for taken in self.messages
        ]


def readings_take(*, messages: Sequence[StoredReadings]) -> ReadingsTaken:
    """Store the reports of many messages and mirror the newest of each circuit.

    In the caller's transaction, once: it locks the circuits in order of id. A report of a circuit
    that the meter does not have, or of a meter whose time zone is none, becomes an error of its
    entry; the others are stored. Queries: six to eight, however many messages. Numbers are rounded
    half to even to the two decimals of their columns. Sources: gateway.md 6, meter-protocol.md.
    """
    circuits = _circuits({message.meter.id for message in messages})
    times = _MeterTimes()
    taken = [MessageTaken(message.message.id) for message in messages]
    readings: list[NewReading] = []
    owners: list[MessageTaken] = []
    for message, result in zip(messages, taken, strict=True):
        meter = message.meter
        for number, entry in enumerate(message.logs.entries):
            try:
                circuit_id = circuits[meter.id, entry.cid]
                meter_time = times[meter.time_zone, entry.meter_time]
            except KeyError:
                reason = f"the meter has no circuit {entry.cid}; add it, or mend the meter's list"
            except UserError as error:
                reason = f"the meter's time zone: {error}"
            else:
                readings.append(_new_reading(message.message, entry, circuit_id, meter_time))
                owners.append(result)
                continue
            result.errors.append(EntryError(_position(message.logs, number), reason))
        result.errors.extend(message.logs.errors)
        result.errors.sort(key=lambda error: error.entry)
    inserted = primary_logs_insert(readings=readings)
    for owner, outcome in zip(owners, inserted.outcomes, strict=True):
        if outcome is Outcome.DUPLICATE:
            owner.duplicates += 1
            continue
        owner.stored += 1
        owner.ahead += outcome is Outcome.AHEAD
    return ReadingsTaken(taken, inserted.changes)


def incoming_mark_handled(*, rows: Sequence[IncomingHandled]) -> int:
    """Mark incoming messages as handled, in one statement; the number of those marked.

    In the caller's transaction, which holds the locks of these rows.
    """
    if not rows:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE incoming_messages AS m SET handled_at = %s, outcome = v.outcome,"
            " error = v.error"
            " FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS v(id, outcome, error)"
            " WHERE m.id = v.id",
            [
                clock.now(),
                [row.message_id for row in rows],
                [row.outcome for row in rows],
                [storable(row.error) for row in rows],
            ],
        )
        return int(cursor.rowcount)


def _circuits(meter_ids: set[int]) -> Mapping[tuple[int, str], int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT meter_id, ip_address, id FROM circuits WHERE meter_id = ANY(%s)",
            [list(meter_ids)],
        )
        return {(meter_id, address): id_ for meter_id, address, id_ in cursor.fetchall()}


def _new_reading(
    message: IncomingMessage, entry: Reading, circuit_id: int, meter_time: datetime
) -> NewReading:
    return NewReading(
        circuit_id,
        meter_time,
        _two_places(entry.watthours),
        _two_places(entry.use_time_s),
        entry.status,
        None if entry.credit is None else _two_places(entry.credit),
        message.created_at,
        message.id,
    )


def _two_places(value: Decimal) -> Decimal:
    # Half to even, as everywhere (the default context's rounding).
    return value.quantize(CENT)


def _position(logs: PrimaryLogs, number: int) -> int:
    """Where the ``number``th good entry (from 0) stood in its message (from 1)."""
    bad = {error.entry for error in logs.errors}
    return next(islice((place for place in count(1) if place not in bad), number, None))


class _MeterTimes(dict[tuple[str, datetime], datetime]):
    """(zone, a meter's local time) → the instant, in UTC; few different ones in a batch."""

    def __missing__(self, key: tuple[str, datetime]) -> datetime:
        zone_name, local = key
        self[key] = instant = clock.from_meter(local, zone_name).astimezone(UTC)
        return instant
