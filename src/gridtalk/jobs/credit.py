"""Credit on its way to meters: the jobs that make money. Credit is given exactly once.

A person who does something here must say why; it is in the audit trail and in the ledger.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.utils.translation import gettext_lazy

from gridtalk.core import money
from gridtalk.core.errors import Conflict, UserError
from gridtalk.core.models import SystemLog
from gridtalk.core.services import system_log_create
from gridtalk.grid.models import Circuit
from gridtalk.grid.services import circuit_state_take
from gridtalk.jobs.models import OPEN_STATES, AddCredit, Job, JobMessage
from gridtalk.jobs.sending import job_end, job_message_queue, job_messages_withdraw
from gridtalk.messaging.models import IncomingMessage, Message
from gridtalk.prepaid import ledger
from gridtalk.prepaid.models import LedgerEntry, Token
from gridtalk.prepaid.services import (
    reason_required,
    token_batch_create,
    token_reserve,
    token_taken_back,
    token_used,
)
from gridtalk.users import audit
from gridtalk.users.models import User

State = Job.State


def add_credit_request(
    *, circuit: Circuit, token_number: str, incoming: IncomingMessage | None = None
) -> AddCredit:
    """Redeem a token for a circuit: token, ledger, job and message in the caller's one transaction.

    Raises what :func:`prepaid.services.token_reserve` raises; then nothing is changed.
    """
    circuit = _locked_for_credit(circuit)
    token = token_reserve(number=token_number)
    job = AddCredit(
        circuit=circuit,
        credit=token.value,
        token=token,
        requested_by=Job.Requester.CONSUMER,
        incoming=incoming,
    )
    job.save()
    ledger.redemption_post(token=token, job_id=job.pk)
    job_message_queue(job=job)
    return job


@transaction.atomic
def credit_add(
    *,
    circuit: Circuit,
    amount: Decimal,
    user: User | None,
    reason: str,
    requested_by: str = Job.Requester.USER,
) -> AddCredit:
    """Give a circuit credit without a token; needs a reason. ``requested_by``: by which way.

    Raises :class:`UserError` for an amount that is not positive or a missing reason.
    """
    reason = reason_required(reason)
    circuit = _locked_for_credit(circuit)
    amount = money.parse(str(amount))
    if amount <= 0:
        raise UserError("give an amount above 0")
    job = AddCredit(
        circuit=circuit,
        credit=amount,
        requested_by=requested_by,
        requested_by_user=user,
        note=reason,
    )
    job.save()
    ledger.gift_post(amount=amount, job_id=job.pk, user=user, reason=reason)
    job_message_queue(job=job)
    audit.audit(
        user=user,
        action="credit_add",
        target=f"job {job.pk}",
        reason=reason,
        data={"amount": str(amount), "circuit": circuit.pk},
    )
    return job


def _locked_for_credit(circuit: Circuit) -> Circuit:
    locked = (
        Circuit.objects.select_for_update(of=("self",), no_key=True)
        .select_related("meter__communication_interface")
        .get(pk=circuit.pk)
    )
    _fit_for_credit(locked)
    return locked


def _fit_for_credit(circuit: Circuit) -> None:
    if circuit.is_main:
        raise UserError("the mains has no credit")
    if circuit.retired_at is not None:
        raise Conflict("circuit %(circuit)s is retired", circuit=circuit.ip_address)


def credit_delivered(*, job: AddCredit, at: datetime) -> None:
    """The meter has the credit: post it, the token is used. Assumes circuit and job are locked."""
    ledger.delivery_post(circuit=job.circuit, amount=job.credit, job_id=job.pk, occurred_at=at)
    if job.token is not None:
        token_used(token=job.token, at=at)


def credit_applied_after_reversal(*, job: AddCredit, at: datetime) -> bool:
    """A meter confirms credit that was reversed: the consumer has it, so the ledger must say so.

    Returns whether this was the first time. Assumes circuit and job are locked.
    """
    if LedgerEntry.objects.filter(job_id=job.pk, cause=LedgerEntry.Cause.DELIVERY).exists():
        return False
    ledger.delivery_post(
        circuit=job.circuit, amount=job.credit, job_id=job.pk, occurred_at=at, after_reversal=True
    )
    system_log_create(
        source="jobs",
        level=SystemLog.Level.ERROR,
        text=(
            f"the meter applied job {job.pk} ({job.credit}) after it had been reversed; where a "
            "new token was made for it, the consumer may have the credit twice"
        ),
    )
    return True


@transaction.atomic
def credit_resend(*, job: Job, user: User | None, reason: str) -> AddCredit:
    """Send unconfirmed or failed credit once more, because a person knows that it did not arrive.

    Raises :class:`UserError` without a reason, :class:`Conflict` in any other state, and where the
    circuit is retired: its meter's word would not be heard.
    """
    reason = reason_required(reason)
    locked = _locked(job)
    _fit_for_credit(locked.circuit)
    if locked.state not in {State.UNCONFIRMED, State.FAILED}:
        raise Conflict(
            "job %(job)s is %(state)s: it is not sent again",
            job=job.pk,
            state=gettext_lazy(locked.get_state_display()),
        )
    if not job_messages_withdraw(job_ids=[locked.pk]):
        raise Conflict(
            "job %(job)s is being handed over right now; look again in a minute", job=job.pk
        )
    locked.state, locked.ended_at = State.QUEUED, None
    locked.sent_at = locked.expires_at = locked.next_attempt_at = None
    locked.save(update_fields=["state", "ended_at", "sent_at", "expires_at", "next_attempt_at"])
    job_message_queue(job=locked)
    audit.audit(user=user, action="credit_resend", target=f"job {job.pk}", reason=reason)
    return locked


@transaction.atomic
def credit_confirm(*, job: Job, user: User | None, reason: str) -> AddCredit:
    """Note that the meter has unconfirmed credit, because a person saw it there.

    Posted as delivered at the hand-over: reports since then may show it already. The circuit's
    credit stays what the meter last said, marked as estimated until it says more, so that the rise
    which its next report may show is not taken for other open credit. An acknowledgement that comes
    after all changes nothing.

    Raises :class:`UserError` without a reason, :class:`Conflict` in any other state, or where a
    sending of it is on its way right now.
    """
    reason = reason_required(reason)
    locked = _locked(job)
    if locked.state != State.UNCONFIRMED:
        raise Conflict(
            "job %(job)s is %(state)s: there is nothing to confirm",
            job=job.pk,
            state=gettext_lazy(locked.get_state_display()),
        )
    if not job_messages_withdraw(job_ids=[locked.pk]):
        raise Conflict(
            "job %(job)s is being handed over right now; look again in a minute", job=job.pk
        )
    at = locked.sent_at or locked.started_at
    credit_delivered(job=locked, at=at)
    job_end(job=locked, state=State.DONE, note=f"confirmed by a person: {reason}")
    circuit_state_take(
        circuit=locked.circuit, at=at, status=None, credit=None, credit_expected=True
    )
    audit.audit(
        user=user,
        action="credit_confirm",
        target=f"job {job.pk}",
        reason=reason,
        data={"amount": str(locked.credit)},
    )
    return locked


@transaction.atomic
def credit_reverse(
    *, job: Job, user: User | None, reason: str, new_token: bool = False
) -> Token | None:
    """Take back credit that did not arrive: the token becomes void, a new one is made if wanted.

    Raises :class:`UserError` without a reason, :class:`Conflict` where the meter has it, or it is
    on its way right now.
    """
    reason = reason_required(reason)
    locked = _locked(job)
    never_left = locked.state == State.QUEUED and locked.sent_at is None
    if not (never_left or locked.state in {State.UNCONFIRMED, State.FAILED}):
        raise Conflict(
            "job %(job)s is %(state)s: it cannot be reversed",
            job=job.pk,
            state=gettext_lazy(locked.get_state_display()),
        )
    if not job_messages_withdraw(job_ids=[locked.pk]):
        raise Conflict(
            "job %(job)s is being handed over right now; look again in a minute", job=job.pk
        )
    job_end(job=locked, state=State.CANCELLED, note=f"reversed: {reason}")
    ledger.reversal_post(
        amount=locked.credit, job_id=locked.pk, token=locked.token, user=user, reason=reason
    )
    if locked.token is not None:
        token_taken_back(token=locked.token)
    audit.audit(
        user=user,
        action="credit_reverse",
        target=f"job {job.pk}",
        reason=reason,
        data={"amount": str(locked.credit), "new_token": new_token},
    )
    if not new_token:
        return None
    batch = token_batch_create(
        count=1,
        value=locked.credit,
        user=user,
        note=f"in place of the credit of job {job.pk}",
        reason=reason,
    )
    return batch.tokens.get()


def _locked(job: Job) -> AddCredit:
    Circuit.objects.select_for_update(no_key=True).get(pk=job.circuit_id)
    Job.objects.select_for_update(no_key=True).get(pk=job.pk)
    locked = AddCredit.objects.select_related("token", "circuit__meter").filter(pk=job.pk).first()
    if locked is None:
        raise UserError("job %(job)s is not a credit", job=job.pk)
    return locked


@dataclass(frozen=True)
class CreditSeen:
    """A circuit's credit before (and since when) and after its newest report, both as it said."""

    circuit_id: int
    before: Decimal
    before_at: datetime
    after: Decimal
    meter_time: datetime


def credits_seen_in_reports(*, seen: Iterable[CreditSeen]) -> list[AddCredit]:
    """Settle credit that was never acknowledged but shows in a report. Assumes locked circuits.

    Nothing but added credit makes a circuit's credit rise. Where the rise since the report before
    the hand-over is more than half of all open credit of the circuit, less the smallest of them
    missing would not explain it: all of it was applied. Anything less clear is left to a person:
    above all a rise that other credit may explain, which was handed over later than the report says
    (clocks differ) or was acknowledged without a credit since the report before.
    """
    rises = {item.circuit_id: item for item in seen if item.after > item.before}
    if not rises:
        return []
    candidates = list(
        AddCredit.objects.select_for_update(of=("self", "job"), no_key=True)
        .filter(circuit__in=list(rises), state__in=OPEN_STATES)
        .select_related("token", "circuit__meter")
        .order_by("pk")
    )
    by_circuit: dict[int, list[AddCredit]] = {}
    for job in candidates:
        by_circuit.setdefault(job.circuit_id, []).append(job)
    settled = []
    for circuit_id, jobs in by_circuit.items():
        item = rises[circuit_id]
        open_jobs = [job for job in jobs if job.sent_at and job.sent_at <= item.meter_time]
        others = [job for job in jobs if job not in open_jobs]
        if not open_jobs or not _shows_all(item, open_jobs) or _explained(item, others):
            continue
        for job in open_jobs:
            credit_delivered(job=job, at=item.meter_time)
            job_end(
                job=job,
                state=State.DONE,
                note="seen in the meter's report; no acknowledgement came",
            )
            settled.append(job)
    return settled


def _shows_all(item: CreditSeen, jobs: list[AddCredit]) -> bool:
    total = sum((job.credit for job in jobs), money.ZERO)
    least = min(job.credit for job in jobs)
    return total - least / 2 < item.after - item.before <= total


def _explained(item: CreditSeen, others: list[AddCredit]) -> bool:
    """Whether something else may have made the credit rise. ``others``: open, not handed over when
    the report was made, as far as we know.
    """
    may_have_left = [Message.State.SENDING, Message.State.SENT, Message.State.DELIVERED]
    return (
        any(job.sent_at is not None for job in others)
        or JobMessage.objects.filter(job__in=others, state__in=may_have_left).exists()
        or LedgerEntry.objects.filter(
            credit_account__circuit=item.circuit_id,
            cause=LedgerEntry.Cause.DELIVERY,
            occurred_at__gt=item.before_at,
        ).exists()
    )
