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
from gridtalk.telemetry.services import CircuitChange, NewReading, Outcome, primary_logs_insert

#: Of the errors of a message, so many characters are kept for the operator.
LONGEST_ERROR = 2000


class StoredReadings(NamedTuple):
    """A stored message of hourly reports, parsed, with the meter that sent it."""

    message_id: int
    received_at: datetime
    meter_id: int
    time_zone: str
    parsed: PrimaryLogs


@dataclass(slots=True)
class MessageTaken:
    """What became of one message. ``stored`` counts the flagged reports (``ahead``) too."""

    message_id: int
    stored: int = 0
    duplicates: int = 0
    ahead: int = 0
    errors: list[EntryError] = field(default_factory=list)

    @property
    def error(self) -> str:
        """The errors as the operator reads them; empty where there is none."""
        reasons = [
            f"entry {error.entry}: {error.reason}" if error.entry else error.reason
            for error in self.errors
        ]
        if self.ahead:
            reasons.append(
                f"the meter's clock is over an hour ahead: {self.ahead} kept, circuits untouched"
            )
        return "; ".join(reasons)[:LONGEST_ERROR]


class ReadingsTaken(NamedTuple):
    """``messages`` in the order given; ``changes`` by circuit: for alerts, unconfirmed credit."""

    messages: list[MessageTaken]
    changes: list[CircuitChange]


def readings_take(*, messages: Sequence[StoredReadings]) -> ReadingsTaken:
    """Store the reports of many messages and mirror the newest of each circuit.

    In the caller's transaction, once: it locks the circuits in order of id. A report of a circuit
    that the meter does not have, or of a meter whose time zone is none, becomes an error of its
    entry; the others are stored. Queries: five to seven, however many messages. Numbers are rounded
    half to even to the two decimals of their columns. Sources: gateway.md 6, meter-protocol.md.
    """
    circuits = _circuits({message.meter_id for message in messages})
    times = _MeterTimes()
    taken = [MessageTaken(message.message_id) for message in messages]
    readings: list[NewReading] = []
    owners: list[MessageTaken] = []
    for message, result in zip(messages, taken, strict=True):
        parsed = message.parsed
        result.errors.extend(parsed.errors)
        for number, entry in enumerate(parsed.entries):
            try:
                circuit_id = circuits[message.meter_id, entry.cid]
                meter_time = times[message.time_zone, entry.meter_time]
            except KeyError:
                reason = f"the meter has no circuit {entry.cid}; add it, or mend the meter's list"
            except UserError as error:
                reason = f"the meter's time zone: {error}"
            else:
                readings.append(_new_reading(message, entry, circuit_id, meter_time))
                owners.append(result)
                continue
            result.errors.append(EntryError(_position(parsed, number), reason))
        result.errors.sort(key=lambda error: error.entry)
    inserted = primary_logs_insert(readings=readings)
    for owner, outcome in zip(owners, inserted.outcomes, strict=True):
        if outcome is Outcome.DUPLICATE:
            owner.duplicates += 1
            continue
        owner.stored += 1
        owner.ahead += outcome is Outcome.AHEAD
    return ReadingsTaken(taken, inserted.changes)


class IncomingHandled(NamedTuple):
    """What to write on an incoming message; ``outcome`` has at most 32 characters."""

    message_id: int
    outcome: str
    error: str = ""


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
    message: StoredReadings, entry: Reading, circuit_id: int, meter_time: datetime
) -> NewReading:
    return NewReading(
        circuit_id,
        meter_time,
        _two_places(entry.watthours),
        _two_places(entry.use_time_s),
        entry.status,
        None if entry.credit is None else _two_places(entry.credit),
        message.received_at,
        message.message_id,
    )


def _two_places(value: Decimal) -> Decimal:
    # Half to even, as everywhere (the default context's rounding).
    return value.quantize(CENT)


def _position(parsed: PrimaryLogs, number: int) -> int:
    """Where the ``number``th good entry (from 0) stood in its message (from 1)."""
    bad = {error.entry for error in parsed.errors}
    return next(islice((place for place in count(1) if place not in bad), number, None))


class _MeterTimes(dict[tuple[str, datetime], datetime]):
    """(zone, a meter's local time) → the instant, in UTC; few different ones in a batch."""

    def __missing__(self, key: tuple[str, datetime]) -> datetime:
        zone_name, local = key
        self[key] = instant = clock.from_meter(local, zone_name).astimezone(UTC)
        return instant
