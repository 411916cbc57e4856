"""Stored messages, taken and acted on: the middle of the gateway. Read top to bottom.

``receive.py`` stored them before their provider heard 200; here each is handled exactly once:
what it does and the mark that it is handled are one commit. Nothing here talks to a network.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import Q
from psycopg.errors import DeadlockDetected

from gridtalk.alerts import services as alerts
from gridtalk.core import clock
from gridtalk.core.errors import UserError
from gridtalk.core.events import events_notify, meter_topic, number_topic
from gridtalk.core.models import SystemLog
from gridtalk.core.services import system_log_create
from gridtalk.gateway import limits
from gridtalk.gateway.consumer.dispatch import consumer_message_handle, only_asks
from gridtalk.gateway.meter import wire
from gridtalk.gateway.meter.handlers import Handled, meter_message_handle, ping_handle
from gridtalk.gateway.meter.readings import (
    IncomingHandled,
    StoredReadings,
    incoming_mark_handled,
    readings_take,
)
from gridtalk.gateway.replies import brought_by_device, reply_job_done
from gridtalk.grid.models import Circuit, Meter
from gridtalk.grid.selectors import meters_by_number
from gridtalk.jobs.credit import CreditSeen
from gridtalk.jobs.services import credits_seen_in_reports
from gridtalk.messaging.models import IncomingMessage
from gridtalk.telemetry.services import CircuitChange

log = logging.getLogger(__name__)

#: Messages that one transaction looks at; reports among them are stored together, and a circuit
#: that reported several times is updated once.
BATCH = 1500
#: Questions that share a transaction; each adds some milliseconds to the first one's answer.
QUESTIONS = 20
#: Pauses before a message that made us fail is tried again; after the last it is given up.
PAUSES = (1, 5, 30, 300)
#: Deadlocks that one drain bears before it leaves the rest to the next bell.
MEETINGS = 20
METER_LIMITS = wire.Limits(
    use_time_s=settings.METER_USE_TIME_MAX_S, watthours=Decimal(settings.METER_WATTHOURS_MAX)
)


@dataclass(frozen=True)
class Sorted:
    """A stored message and who sent what: the meter is null for everybody else."""

    incoming: IncomingMessage
    meter: Meter | None
    message: wire.MeterMessage | None


class Others(NamedTuple):
    """Messages that are no reports, by their ids in order; ``questions`` lock nothing."""

    ids: list[int]
    questions: bool


def handle_waiting() -> int:
    """Handle every message that is stored and due; returns how many. Run by the drain's task.

    Where two workers met and the database ended one of them (a deadlock), nothing of that
    transaction is left, and the message is taken again, at most ``MEETINGS`` times in one drain.
    Raises ``OperationalError`` beyond, and where the database is away: whatever waits then, waits
    for the next bell.
    """
    handled = 0
    meetings = 0
    while True:
        try:
            reports, others, meters = _reports_handle()
            if not reports and not others:
                return handled
            handled += reports
            for ids, questions in others:
                if questions and meters is not None:
                    handled += questions_handle(message_ids=ids, meters=meters)
                else:
                    handled += sum(message_handle(message_id=pk, meters=meters) for pk in ids)
        except OperationalError as error:
            meetings += 1
            if meetings > MEETINGS or not isinstance(error.__cause__, DeadlockDetected):
                raise
            log.info("two workers met: %s", error)


def _due() -> Q:
    return Q(handled_at__isnull=True) & (
        Q(next_attempt_at__isnull=True) | Q(next_attempt_at__lte=clock.now())
    )


def _reports_handle() -> tuple[int, list[Others], dict[str, Meter] | None]:
    """Take a batch; store the reports in it.

    Returns how many those were, the others, and the meters that are known by their numbers.
    """
    try:
        with transaction.atomic(durable=True):
            taken = list(
                IncomingMessage.objects.select_for_update(skip_locked=True, of=("self",))
                .filter(_due())
                .order_by("pk")
                .select_related("communication_interface")[:BATCH]
            )
            meters = meters_by_number(numbers=[incoming.number for incoming in taken])
            batch = messages_sort(taken, meters)
            reports = [item for item in batch if isinstance(item.message, wire.PrimaryLogs)]
            if reports:
                reports_store(reports)
            stored = {item.incoming.pk for item in reports}
            others = [item for item in batch if item.incoming.pk not in stored]
            return len(reports), _others_group(others), meters
    except OperationalError:
        raise  # see handle_waiting
    except Exception:
        # One of the reports makes us fail: alone, each shows which. Nothing of the batch is stored.
        log.exception("a batch of reports failed; its messages are handled one by one")
        waiting = IncomingMessage.objects.filter(_due()).order_by("pk")
        ids = list(waiting.values_list("pk", flat=True)[:BATCH])
        return 0, [Others(ids, questions=False)] if ids else [], None


def _others_group(items: Sequence[Sorted]) -> list[Others]:
    """The ids in order, neighbours that are questions together.

    At most ``QUESTIONS`` of them, and one of each number: what a number may still ask depends on
    what became of its last message.
    """
    grouped: list[Others] = []
    numbers: set[str] = set()
    for item in items:
        question, number = _is_question(item), item.incoming.number
        joins = grouped and question and grouped[-1].questions and number not in numbers
        if not joins or len(grouped[-1].ids) >= QUESTIONS:
            grouped.append(Others([], question))
            numbers.clear()
        grouped[-1].ids.append(item.incoming.pk)
        numbers.add(number)
    return grouped


def _is_question(item: Sorted) -> bool:
    said = item.incoming
    return item.message is None and bool(said.number) and only_asks(said.text)


def messages_sort(taken: Sequence[IncomingMessage], meters: Mapping[str, Meter]) -> list[Sorted]:
    """Whose each message is and, for a meter's, what it says; ``meters`` are by their number."""
    found = []
    for incoming in taken:
        meter = _whose(incoming, meters)
        spoken = None
        if wire.looks_like_meter(incoming.text):
            spoken = wire.parse(incoming.text, METER_LIMITS, device=brought_by_device(incoming))
            if meter is None and not isinstance(spoken, wire.GatewayPing):
                spoken = wire.MeterError(
                    "a meter's message, but no meter has this number: enter the number at the meter"
                )
        found.append(Sorted(incoming, meter, spoken))
    return found


def _whose(incoming: IncomingMessage, meters: Mapping[str, Meter]) -> Meter | None:
    """The meter that sent it. A device's address counts only where the device server brought the
    message, and a phone only elsewhere: whoever brings texts may write any sender on them.
    """
    meter = meters.get(incoming.number)
    if meter is None:
        return None
    known_as = meter.device_address if brought_by_device(incoming) else meter.phone
    return meter if known_as == incoming.number else None


def reports_store(reports: Sequence[Sorted]) -> None:
    """Store the readings of these messages, mark them handled, and draw the conclusions."""
    stored = [
        StoredReadings(message=item.incoming, meter=item.meter, logs=item.message)
        for item in reports
        if item.meter is not None and isinstance(item.message, wire.PrimaryLogs)
    ]
    result = readings_take(messages=stored)
    incoming_mark_handled(rows=result.handled)
    changes_follow(changes=result.changes)
    events_notify(meter_topic(message.meter.pk) for message in stored)


def changes_follow(*, changes: Sequence[CircuitChange]) -> None:
    """Alerts that reports raise or clear, and credit that shows in them though not confirmed."""
    settled = credits_seen_in_reports(
        seen=[
            CreditSeen(
                circuit_id=change.circuit_id,
                before=change.credit_before,
                before_at=change.credit_as_of_before,
                after=change.credit_after,
                meter_time=_credit_time(change),
            )
            for change in changes
            if change.credit_taken
            and not change.estimated_before
            and change.credit_as_of_before is not None
        ]
    )
    alerts.alerts_after_reports(
        changes=[
            alerts.CircuitChange(
                circuit_id=change.circuit_id,
                credit_before=change.credit_before,
                credit=change.credit_after if change.credit_taken else None,
                status=change.status_after if change.status_taken else None,
                origin_id=change.readings[-1].reading.message_id if change.readings else None,
            )
            for change in changes
        ]
    )
    for job in settled:
        circuit = Circuit.objects.select_related("account").get(pk=job.circuit_id)
        reply_job_done(job=job, circuit=circuit)


def _credit_time(change: CircuitChange) -> datetime:
    """When the meter had the credit that was taken: not the time of a clock that is ahead, nor of
    a later report without credit.
    """
    return max(
        logged.reading.meter_time
        for logged in change.readings
        if logged.reading.credit is not None and not logged.clock_ahead
    )


def questions_handle(*, message_ids: Sequence[int], meters: Mapping[str, Meter]) -> int:
    """Handle messages that lock nothing but themselves in one transaction; returns how many.

    So that many askers wait for the disk once. Where one makes us fail, each is handled alone.
    """
    try:
        with transaction.atomic(durable=True):
            taken = list(
                IncomingMessage.objects.select_for_update(skip_locked=True, of=("self",))
                .filter(_due(), pk__in=message_ids)
                .order_by("pk")
                .select_related("communication_interface")
            )
            rows = []
            for item in messages_sort(taken, meters):
                outcome = consumer_message_handle(incoming=item.incoming)
                rows.append(IncomingHandled(item.incoming.pk, outcome, ""))
            incoming_mark_handled(rows=rows)
            events_notify(number_topic(incoming.number) for incoming in taken)
            return len(taken)
    except OperationalError:
        raise
    except Exception:
        log.exception("a batch of questions failed; they are handled one by one")
        return sum(message_handle(message_id=pk, meters=meters) for pk in message_ids)


def message_handle(*, message_id: int, meters: Mapping[str, Meter] | None = None) -> int:
    """Handle one message in a transaction of its own; 1 where it was handled, else 0.

    ``meters``: those that were looked up a moment ago for the whole batch, by their number.

    What makes us fail is tried again after growing pauses, and then given up: stored, marked, and
    in the system log. It never stops the others.
    """
    try:
        with transaction.atomic(durable=True):
            incoming = (
                IncomingMessage.objects.select_for_update(skip_locked=True, of=("self",))
                .filter(_due(), pk=message_id)
                .select_related("communication_interface")
                .first()
            )
            if incoming is None:
                return 0  # another worker has it
            if meters is None:
                meters = meters_by_number(numbers=[incoming.number])
            handled = _handle(messages_sort([incoming], meters)[0])
            _mark(incoming, handled)
            return 1
    except OperationalError:
        raise
    except Exception as error:
        log.exception("message %s could not be handled", message_id)
        _failed(message_id, error)
        return 0


def _handle(item: Sorted) -> Handled:
    incoming, meter, spoken = item.incoming, item.meter, item.message
    if not incoming.number:
        return Handled("refused", "no number: nobody can be answered")
    if isinstance(spoken, wire.GatewayPing):
        if meter is None and limits.pings_used_up(number=incoming.number):
            return Handled("refused", "too many pings from a number that is no meter's")
        return ping_handle(incoming=incoming, ping=spoken)
    if isinstance(spoken, wire.PrimaryLogs):
        reports_store([item])
        incoming.refresh_from_db(fields=["outcome", "error"])
        return Handled(incoming.outcome, incoming.error)
    if spoken is None:
        try:
            with transaction.atomic():
                return Handled(consumer_message_handle(incoming=incoming))
        except UserError as error:
            # A rule that has no text of its own, for example a circuit retired this very moment.
            return Handled("error", str(error))
    if meter is None:
        assert isinstance(spoken, wire.MeterError)
        return Handled("refused", spoken.reason)
    return meter_message_handle(incoming=incoming, meter=meter, message=spoken)


def _mark(incoming: IncomingMessage, handled: Handled) -> None:
    incoming.handled_at = clock.now()
    incoming.outcome, incoming.error = handled.outcome, handled.error
    incoming.save(update_fields=["handled_at", "outcome", "error"])
    events_notify([number_topic(incoming.number)])


def _failed(message_id: int, error: Exception) -> None:
    """Note the failure in a transaction of its own, since the message's was rolled back."""
    with transaction.atomic(durable=True):
        incoming = IncomingMessage.objects.select_for_update(of=("self",)).get(pk=message_id)
        incoming.tries += 1
        incoming.error = f"{type(error).__name__}: {error}"[:500]
        if incoming.tries <= len(PAUSES):
            pause = timedelta(seconds=PAUSES[incoming.tries - 1])
            incoming.next_attempt_at = clock.now() + pause
            incoming.save(update_fields=["tries", "error", "next_attempt_at"])
            return
        incoming.handled_at, incoming.outcome = clock.now(), "failed"
        incoming.save(update_fields=["tries", "error", "handled_at", "outcome"])
        system_log_create(
            source="gateway",
            level=SystemLog.Level.ERROR,
            text=f"message {message_id} given up after {incoming.tries} tries: {incoming.error}",
        )
