"""What came of handing messages over, written down: states, pauses, errors, the owners told."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import F
from psycopg.errors import DeadlockDetected

from gridtalk.core import clock
from gridtalk.core.events import events_notify, number_topic
from gridtalk.core.models import SystemLog
from gridtalk.core.services import system_log_create
from gridtalk.messaging.interfaces.base import Way
from gridtalk.messaging.interfaces.catalogue import kinds
from gridtalk.messaging.models import CommunicationInterface, Message
from gridtalk.messaging.outcomes import MessageOutcome, outcome_tell
from gridtalk.messaging.services import interface_error_note
from gridtalk.messaging.wire import HandOver, Outcome

log = logging.getLogger(__name__)
State = Message.State

#: Pauses after the 1st, 2nd, … refusal; the last one goes on.
PAUSES_S = (5, 15, 60, 300, 900, 3600)
#: Pauses where the provider could not be reached: trying costs little, it comes back as a whole.
UNREACHED_PAUSES_S = (5, 5, 10, 20, 30, 60)
#: What a job's message says where nobody knows whether it arrived.
WITHOUT_ANSWER = "handed over without an answer"
#: Where writing a result failed by a bug, so long until it is looked at again.
AFTER_BUG = timedelta(minutes=5)

_RESULT_SQL = """
    UPDATE messages m SET state = d.state, last_error = d.error, next_attempt_at = d.next_at,
        lease_until = d.lease_until, sent_at = coalesce(m.sent_at, d.sent_at),
        provider_id = CASE WHEN d.provider_id = '' THEN m.provider_id ELSE d.provider_id END
    FROM unnest(%s::bigint[], %s::int[], %s::text[], %s::text[], %s::timestamptz[],
                %s::timestamptz[], %s::timestamptz[], %s::text[])
        AS d(id, attempts, state, error, next_at, lease_until, sent_at, provider_id)
    WHERE m.id = d.id AND m.attempts = d.attempts AND m.state = 'sending'
    RETURNING m.id, m.number
"""


class IsLeased(Protocol):
    """The part of a leased message that its result needs."""

    @property
    def id(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def attempts(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Result:
    """What one attempt makes of its message."""

    message_id: int
    kind: str
    attempts: int
    hand_over: HandOver
    state: Message.State
    outcome: MessageOutcome
    error: str = ""
    next_attempt_at: datetime | None = None
    lease_until: datetime | None = None
    sent_at: datetime | None = None

    @classmethod
    def of(cls, leased: IsLeased, hand_over: HandOver) -> "Result":
        """The result of handing over a leased message now."""
        return cls(
            message_id=leased.id,
            kind=leased.kind,
            attempts=leased.attempts,
            hand_over=hand_over,
            **_changes(leased, hand_over, clock.now()),
        )

    @property
    def accepted(self) -> bool:
        """Whether the provider took the message."""
        return self.hand_over.outcome is Outcome.ACCEPTED

    def columns(self) -> tuple[Any, ...]:
        """The values for one row of ``_RESULT_SQL``."""
        return (
            self.message_id,
            self.attempts,
            str(self.state),
            self.error,
            self.next_attempt_at,
            self.lease_until,
            self.sent_at,
            self.hand_over.provider_id[:128],
        )


def _changes(leased: IsLeased, hand_over: HandOver, now: datetime) -> dict[str, Any]:
    match hand_over.outcome:
        case Outcome.ACCEPTED:
            return {"state": State.SENT, "outcome": MessageOutcome.SENT, "sent_at": now}
        case Outcome.REFUSED_TEMPORARY:
            return {
                "state": State.QUEUED,
                "outcome": MessageOutcome.RETRY,
                "error": hand_over.detail,
                "next_attempt_at": now + _pause(leased.attempts, reached=hand_over.reached),
            }
        case Outcome.REFUSED_PERMANENT:
            return {
                "state": State.FAILED,
                "outcome": MessageOutcome.FAILED,
                "error": hand_over.detail,
            }
        case Outcome.UNKNOWN if leased.kind not in settings.MESSAGE_OUTCOME_HOOKS:
            # At least once: after the grace for a delivery report it is sent again (leases_end).
            return {
                "state": State.SENDING,
                "outcome": MessageOutcome.UNKNOWN,
                "error": hand_over.detail,
                "next_attempt_at": now,
                "lease_until": now,
            }
        case Outcome.UNKNOWN:
            # A job may carry money: it counts as sent, and jobs decides what to do.
            return {
                "state": State.SENT,
                "outcome": MessageOutcome.UNKNOWN,
                "error": f"{WITHOUT_ANSWER}: {hand_over.detail}",
                "sent_at": now,
            }


def _pause(attempts: int, *, reached: bool) -> timedelta:
    pauses = PAUSES_S if reached else UNREACHED_PAUSES_S
    return timedelta(seconds=pauses[min(max(attempts, 1), len(pauses)) - 1])


def texts_write(results: Sequence[Result]) -> None:
    """Write the results of messages without an owner; assumes the caller's transaction."""
    texts = [result for result in results if result.kind not in settings.MESSAGE_OUTCOME_HOOKS]
    if texts:
        _write(texts)


def owned_write(results: Sequence[Result]) -> None:
    """Write the results of messages with an owner, each in a transaction with its owner's changes.

    Called outside transactions.
    """
    for result in results:
        if result.kind in settings.MESSAGE_OUTCOME_HOOKS:
            _write_and_tell(result)


def interface_note(*, interface_id: int, results: Sequence[Result], success: bool) -> None:
    """Write down how an interface does. ``success``: the last good hand-over is to be noted."""
    if success:
        CommunicationInterface.objects.filter(pk=interface_id).update(last_sent_at=clock.now())
    errors = [result for result in results if result.error]
    if errors:
        interface_error_note(interface_id=interface_id, error=errors[-1].hand_over.detail)


def interface_came_back(*, interface_id: int) -> None:
    """Make due now what the provider was too ill to take: it need not wait out its long pauses."""
    now = clock.now()
    Message.objects.filter(
        communication_interface_id=interface_id,
        state=State.QUEUED,
        attempts__gt=0,
        next_attempt_at__gt=now,
    ).update(next_attempt_at=now)


def _write(results: Sequence[Result]) -> set[int]:
    """Write the results whose leases still hold; the ids of these. Open pages are told."""
    columns = [list(column) for column in zip(*(r.columns() for r in results), strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(_RESULT_SQL, columns)
        written = cursor.fetchall()
    events_notify(number_topic(number) for _, number in written)
    return {message_id for message_id, _ in written}


def _write_and_tell(result: Result) -> None:
    try:
        for tries_left in (2, 1, 0):
            try:
                with transaction.atomic():
                    if _write([result]):
                        outcome_tell(Message.objects.get(pk=result.message_id), result.outcome)
                return
            except OperationalError as error:
                # Two met, and nothing of ours is left: what came of it must not be lost.
                if not isinstance(error.__cause__, DeadlockDetected) or not tries_left:
                    raise
    except Exception as error:  # noqa: BLE001  logged below
        # The owner's bug must not hold up the other messages. The row stays leased, and the end of
        # its lease tells the owner again.
        _owner_failed(result.message_id, error)


def _owner_failed(message_id: int, error: Exception) -> None:
    log.error("the owner of message %s failed to take its result", message_id, exc_info=error)
    later = clock.now() + AFTER_BUG
    Message.objects.filter(pk=message_id, state=State.SENDING).update(
        lease_until=later, next_attempt_at=later
    )
    system_log_create(
        source="messaging",
        level=SystemLog.Level.ERROR,
        text=f"message {message_id}: its result could not be written: {type(error).__name__}",
    )


def leases_end() -> None:
    """Settle the messages whose sender was killed, or heard nothing, while handing them over.

    A text to a person waits ``REPORT_GRACE`` longer for a delivery report, then it is queued again:
    at least once. A message with an owner (a job's) counts as sent, and its owner is told that
    nobody knows; so do those in the device server's hands.
    """
    now = clock.now()
    pushed = Message.objects.filter(
        state=State.SENDING,
        next_attempt_at__lte=now,
        lease_until__lte=now,
        communication_interface__kind__in=kinds(Way.PUSHED, Way.DEVICES, Way.NOT_YET),
    )
    texts = pushed.exclude(kind__in=settings.MESSAGE_OUTCOME_HOOKS)
    ids = list(
        texts.filter(lease_until__lte=now - settings.REPORT_GRACE).values_list("pk", flat=True)
    )
    if ids:
        Message.objects.filter(pk__in=ids, state=State.SENDING, lease_until__lte=now).update(
            state=State.QUEUED, lease_until=None, next_attempt_at=F("lease_until")
        )
    owned = pushed.filter(kind__in=settings.MESSAGE_OUTCOME_HOOKS).values_list("pk", flat=True)
    for pk in list(owned):
        _count_as_sent(pk, now)


def _count_as_sent(pk: int, now: datetime) -> None:
    try:
        with transaction.atomic():
            message = (
                Message.objects.select_for_update(skip_locked=True)
                .filter(pk=pk, state=State.SENDING, lease_until__lte=now)
                .first()
            )
            if message is None:
                return
            message.state = State.SENT
            message.sent_at = message.sent_at or now
            message.last_error = f"{WITHOUT_ANSWER}: the sender was stopped meanwhile"
            message.lease_until = message.next_attempt_at = None
            message.save(
                update_fields=["state", "sent_at", "last_error", "lease_until", "next_attempt_at"]
            )
            outcome_tell(message, MessageOutcome.UNKNOWN)
    except Exception as error:  # noqa: BLE001  logged below
        _owner_failed(pk, error)
