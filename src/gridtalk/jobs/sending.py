"""How a job travels: its messages, what came of them, sending again, giving up.

Lock order, here and everywhere: circuit, then job, then token; all ``FOR NO KEY UPDATE``, for rows
that point to them (alerts, messages, ledger) are inserted meanwhile by others. The hook comes in
with its message row locked and takes the job; whoever holds a job touches only messages that are
``queued``, and one in the sender's hands is ``sending``: so the two do not wait for each other.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from gridtalk.core import clock
from gridtalk.core.events import events_notify, meter_topic
from gridtalk.grid.models import Meter
from gridtalk.grid.selectors import meter_number
from gridtalk.jobs.catalogue import BY_KIND
from gridtalk.jobs.families import JOBS
from gridtalk.jobs.models import OPEN_STATES, AddCredit, Job, JobMessage
from gridtalk.messaging.models import IncomingMessage, Message
from gridtalk.messaging.outcomes import MessageOutcome
from gridtalk.messaging.services import message_prepare, message_ring

State = Job.State
#: Pauses between sendings, in units of settings.JOB_RESEND_PAUSE.
GROWTH = (1, 2, 5, 10, 20, 30)
#: A meter that knows job ids gets unconfirmed credit again at this pace, for MESSAGE_LIFETIME from
#: the first hand-over.
UNCONFIRMED_PAUSE = timedelta(hours=1)
LONGEST_NOTE = 500


def pause(attempts: int) -> timedelta:
    """How long to wait for the acknowledgement of the sending number ``attempts`` (from 1)."""
    step = GROWTH[min(max(attempts, 1), len(GROWTH)) - 1]
    return timedelta(seconds=settings.JOB_RESEND_PAUSE.total_seconds() * step)


def job_message_queue(*, job: Job, incoming: IncomingMessage | None = None) -> JobMessage:
    """Queue one sending of the job to its meter, and tell open pages that it waits.

    Assumes the transaction that needs it.
    """
    meter: Meter = job.circuit.meter
    message = JobMessage(job_id=job.pk, incoming=incoming or job.incoming)
    interface = meter.communication_interface
    message_prepare(
        message=message,
        interface=interface,
        number=meter_number(meter=meter),
        text=BY_KIND[job.kind].text(job),
    )
    message.save()
    message_ring(message=message, interface=interface)
    events_notify([meter_topic(meter.pk)])
    return message


def job_end(*, job: Job, state: str, note: str = "", at: datetime | None = None) -> None:
    """Write that the job is over, take back its waiting messages, and tell open pages.

    The one place where a job ends. ``state`` is done, failed, expired or cancelled; ``note``
    replaces the present one, ``at`` is now by default. Assumes the job is locked. Whether a message
    may be on its way right now is for the caller to ask first (:func:`job_messages_withdraw`).
    """
    job.state = state
    job.ended_at = at or clock.now()
    job.next_attempt_at = None
    job.note = (note or job.note)[:LONGEST_NOTE]
    job.save(update_fields=["state", "ended_at", "next_attempt_at", "note"])
    job_messages_withdraw(job_ids=[job.pk])
    events_notify([meter_topic(job.circuit.meter_id)])


def may_send_again(job: Job) -> bool:
    """Whether a second sending can do no harm though the first may have arrived."""
    return not BY_KIND[job.kind].money or job.circuit.meter.knows_job_ids


def job_message_outcome(*, message: Message, outcome: MessageOutcome) -> None:
    """What came of handing over a job's message; called by messaging in its transaction.

    ``job.sent_at`` stays null as long as no sending can have reached the meter: only then may a
    credit be sent again (gateway.md 4).
    """
    job_id = JobMessage.objects.values_list("job_id", flat=True).get(pk=message.pk)
    job = Job.objects.select_for_update(no_key=True).get(pk=job_id)
    now = clock.now()
    if outcome in {MessageOutcome.SENT, MessageOutcome.UNKNOWN, MessageOutcome.DELIVERED}:
        _handed_over(job=job, at=now)
    elif outcome == MessageOutcome.RETRY:
        if job.state not in OPEN_STATES:
            # Cancelled or reversed while the provider refused it: it must not go out any more.
            _withdraw(Message.objects.filter(pk=message.pk))
    elif outcome == MessageOutcome.UNDELIVERED and not may_send_again(_with_circuit(job)):
        _not_delivered(job=job, message=message, at=now)
    elif outcome in {MessageOutcome.FAILED, MessageOutcome.REFUSED, MessageOutcome.UNDELIVERED}:
        _not_handed_over(job=job, message=message, outcome=outcome, at=now)


def _handed_over(*, job: Job, at: datetime) -> None:
    if job.state == State.QUEUED:
        job_handed_over(job=job, at=at)
        if not may_send_again(_with_circuit(job)):
            # A report that came late, of a sending that had been taken for lost: the next one,
            # which waits already, would be the second.
            job_messages_withdraw(job_ids=[job.pk])
    elif job.state == State.FAILED and BY_KIND[job.kind].money:
        # The same, but a person was told meanwhile that it never left: now nobody knows.
        job.state, job.ended_at, job.sent_at = State.UNCONFIRMED, None, at
        job.save(update_fields=["state", "ended_at", "sent_at"])


def job_handed_over(*, job: Job, at: datetime) -> None:
    """The meter may have the job from now on. Assumes the job is locked and queued."""
    # What the network refused was handed over too: only the first time starts the hour, but for
    # money, whose hour begins when it may have left.
    first = job.expires_at is None if BY_KIND[job.kind].money else job.attempts == 0
    job.state = State.SENT
    job.attempts += 1
    if job.sent_at is None:
        job.sent_at = at
        if first:
            job.expires_at = at + settings.JOB_LIFETIME
    _next_attempt_set(job=job, at=at)
    job.save(update_fields=["state", "attempts", "sent_at", "expires_at", "next_attempt_at"])


def _next_attempt_set(*, job: Job, at: datetime) -> None:
    again = _with_circuit(job)
    expires = job.expires_at or at + settings.JOB_LIFETIME
    job.next_attempt_at = (
        min(at + pause(job.attempts), expires) if may_send_again(again) else expires
    )


def _not_delivered(*, job: Job, message: Message, at: datetime) -> None:
    """Networks have reported *undeliverable* of what arrived after all: no proof, so credit for a
    meter that forgets becomes unconfirmed at once, and a person decides.
    """
    if job.state == State.QUEUED and job.sent_at is None:
        job_handed_over(job=job, at=at)  # the report came before the provider's answer
    if job.state == State.SENT:
        job.expires_at = job.next_attempt_at = at
    job.note = f"not delivered: {message.last_error}"[:LONGEST_NOTE]
    job.save(update_fields=["expires_at", "next_attempt_at", "note"])


def _not_handed_over(*, job: Job, message: Message, outcome: MessageOutcome, at: datetime) -> None:
    if job.state not in OPEN_STATES:
        return
    others = JobMessage.objects.filter(job=job).exclude(pk=message.pk)
    if others.filter(state__in=[Message.State.QUEUED, Message.State.SENDING]).exists():
        return  # another sending of it is under way
    if others.filter(state__in=[Message.State.SENT, Message.State.DELIVERED]).exists():
        _earlier_may_have_arrived(job=job, message=message, at=at)
        return
    job.sent_at = None
    job.state = State.QUEUED
    job.note = f"not handed over: {message.last_error}"[:LONGEST_NOTE]
    if outcome == MessageOutcome.FAILED:
        job.expires_at = at  # the provider will never take it: give up, a person decides
        job.next_attempt_at = at
    else:
        job.next_attempt_at = at + pause(job.attempts)
        if BY_KIND[job.kind].money:
            if job.started_at > at - settings.MESSAGE_LIFETIME:
                job.expires_at = None  # the next hand-over starts the hour anew
        elif job.expires_at is not None:
            job.next_attempt_at = min(job.next_attempt_at, job.expires_at)
    job.save(update_fields=["sent_at", "state", "note", "expires_at", "next_attempt_at"])


def _earlier_may_have_arrived(*, job: Job, message: Message, at: datetime) -> None:
    if job.state != State.QUEUED:
        return
    # A person sent it again, and that sending failed: as before, nobody knows about the first.
    job.state, job.note = State.SENT, f"not handed over: {message.last_error}"[:LONGEST_NOTE]
    job.sent_at = job.expires_at = job.next_attempt_at = at
    job.save(update_fields=["state", "note", "sent_at", "expires_at", "next_attempt_at"])


def job_messages_withdraw(*, job_ids: Iterable[int]) -> bool:
    """Take back the waiting messages of these jobs; false where one may be on its way already.

    Assumes the jobs are locked.
    """
    ids = JobMessage.objects.filter(job__in=list(job_ids)).values_list("pk", flat=True)
    messages = Message.objects.filter(pk__in=list(ids))
    _withdraw(messages)
    return not messages.filter(state=Message.State.SENDING).exists()


def _withdraw(messages: QuerySet[Message]) -> None:
    messages.filter(state=Message.State.QUEUED).update(
        state=Message.State.EXPIRED, next_attempt_at=None, last_error="its job has ended"
    )


@dataclass
class DueWork:
    """What one round over the due jobs did."""

    sent_again: int = 0
    #: Jobs that nobody answered: expired, failed or newly unconfirmed.
    given_up: list[Job] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many jobs were due."""
        return self.sent_again + len(self.given_up)


def jobs_due_work(*, limit: int = 200) -> DueWork:
    """Send again, or give up, the jobs whose time has come. Assumes a transaction.

    Rows that another worker holds are left to it. The caller raises the alerts and tells who asked,
    in the same transaction.
    """
    now = clock.now()
    due = list(
        Job.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
        .filter(next_attempt_at__lte=now, state__in=OPEN_STATES)
        .order_by("next_attempt_at")[:limit]
    )
    work = DueWork()
    for job in JOBS.children(due):
        if job.state == State.UNCONFIRMED:
            _unconfirmed_again(job, now)
            work.sent_again += 1
        elif job.expires_at is not None and job.expires_at <= now:
            _give_up(job, now)
            work.given_up.append(job)
        else:
            _send_again(job, now)
            work.sent_again += 1
    return work


def _waits(job: Job) -> bool:
    on_its_way = [Message.State.QUEUED, Message.State.SENDING]
    return job.job_messages.filter(state__in=on_its_way).exists()


def _send_again(job: Job, now: datetime) -> None:
    if not _waits(job) and (job.sent_at is None or may_send_again(job)):
        job_message_queue(job=job)
        job.attempts += 1
    expires = job.expires_at or now + settings.JOB_LIFETIME
    job.next_attempt_at = min(now + pause(job.attempts), expires)
    job.save(update_fields=["attempts", "next_attempt_at"])


def _unconfirmed_again(job: Job, now: datetime) -> None:
    # For a device that was away it may have waited for days before it was handed over.
    fresh = (job.sent_at or job.started_at) > now - settings.MESSAGE_LIFETIME
    job.next_attempt_at = now + UNCONFIRMED_PAUSE if fresh and may_send_again(job) else None
    if job.next_attempt_at is not None and not _waits(job):
        job_message_queue(job=job)
        job.attempts += 1
    job.save(update_fields=["attempts", "next_attempt_at"])


def _give_up(job: Job, now: datetime) -> None:
    if job.sent_at is None:
        job_end(job=job, state=State.FAILED, at=now)
    elif isinstance(job, AddCredit):
        _unconfirmed(job, now)
    else:
        job_end(job=job, state=State.EXPIRED, at=now)


def _unconfirmed(job: Job, now: datetime) -> None:
    """It may have been applied: only an acknowledgement, a report or a person can tell."""
    job.state = State.UNCONFIRMED
    job.next_attempt_at = now + UNCONFIRMED_PAUSE if may_send_again(job) else None
    job.save(update_fields=["state", "next_attempt_at"])
    job_messages_withdraw(job_ids=[job.pk])
    events_notify([meter_topic(job.circuit.meter_id)])


@transaction.atomic
def jobs_send_again(*, meter_id: int, handed_over_before: datetime) -> int:
    """A meter that was away is back: send now what it may not have heard; how many jobs that is.

    Those that were handed over, are still awaited, and can do no harm twice; of which no sending
    waits or was handed over since ``handed_over_before``.
    """
    now = clock.now()
    lately = JobMessage.objects.filter(job=OuterRef("pk"), sent_at__gte=handed_over_before)
    rows = list(
        Job.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
        .filter(
            ~Exists(lately),
            Q(expires_at__isnull=True) | Q(expires_at__gt=now) | Q(state=State.UNCONFIRMED),
            circuit__meter=meter_id,
            state__in=[State.SENT, State.UNCONFIRMED],
            next_attempt_at__isnull=False,
        )
        .order_by("id")
    )
    again = [job for job in JOBS.children(rows) if may_send_again(job) and not _waits(job)]
    for job in again:
        if job.state == State.UNCONFIRMED:
            _unconfirmed_again(job, now)
        else:
            _send_again(job, now)
    return len(again)


def _with_circuit(job: Job) -> Job:
    return Job.objects.select_related("circuit__meter").get(pk=job.pk)


@transaction.atomic
def jobs_for_poll(*, meter: Meter) -> list[str]:
    """The texts of the open jobs of a meter that polls by HTTP; they count as handed over.

    Credit that was handed over before is given again only to a meter that knows job ids.
    """
    now = clock.now()
    rows = list(
        Job.objects.select_for_update(of=("self",), no_key=True)
        .filter(circuit__meter=meter, state__in=OPEN_STATES)
        .order_by("id")
    )
    texts = []
    for job in JOBS.children(rows):
        again = may_send_again(job)
        if job.sent_at is not None and not again:
            continue
        # The poll takes the place of the message; one that is just being handed over is the one.
        if not job_messages_withdraw(job_ids=[job.pk]) and not again:
            continue
        texts.append(BY_KIND[job.kind].text(job))
        if job.state == State.QUEUED:
            job_handed_over(job=job, at=now)
    if texts:
        events_notify([meter_topic(meter.pk)])
    return texts
