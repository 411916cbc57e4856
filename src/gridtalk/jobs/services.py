"""Jobs: asked for, acknowledged, cancelled. Credit has a file of its own, ``credit.py``."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import cast

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy

from gridtalk.core import clock, money
from gridtalk.core.errors import Conflict, NotFound, UserError
from gridtalk.grid.models import Circuit, Meter
from gridtalk.grid.selectors import mains_get
from gridtalk.grid.services import circuit_state_take
from gridtalk.jobs.catalogue import BY_KIND, kind_get
from gridtalk.jobs.credit import (
    add_credit_request,
    credit_add,
    credit_applied_after_reversal,
    credit_confirm,
    credit_delivered,
    credit_resend,
    credit_reverse,
    credits_seen_in_reports,
)
from gridtalk.jobs.families import JOBS
from gridtalk.jobs.models import OPEN_STATES, AddCredit, Job
from gridtalk.jobs.sending import (
    job_end,
    job_message_outcome,
    job_message_queue,
    job_messages_withdraw,
    jobs_due_work,
    jobs_for_poll,
)
from gridtalk.messaging.models import IncomingMessage
from gridtalk.prepaid.models import Device
from gridtalk.users import audit
from gridtalk.users.models import User

__all__ = [
    "Acknowledged",
    "add_credit_request",
    "credit_add",
    "credit_confirm",
    "credit_resend",
    "credit_reverse",
    "credits_seen_in_reports",
    "job_acknowledge",
    "job_cancel",
    "job_message_outcome",
    "job_request",
    "job_superseded",
    "jobs_due_work",
    "jobs_for_poll",
]

State = Job.State
#: A meter's clock may be ahead by this much; beyond, our time of receipt counts.
CLOCK_TOLERANCE = timedelta(hours=1)
#: One that is behind by more has lost its date (its battery is empty: it begins in 2000 or 1970).
CLOCK_LOST = timedelta(days=366)


@transaction.atomic
def job_request(
    *,
    kind: str,
    circuit: Circuit,
    requested_by: str = Job.Requester.USER,
    user: User | None = None,
    device: Device | None = None,
    incoming: IncomingMessage | None = None,
) -> Job:
    """Ask a meter for something other than credit, and queue the message.

    A ping of the meter goes to its mains circuit, whichever circuit is given. A new on or off ends
    every open one of its circuit (see :func:`_supersede`), so at most one is open. Raises
    :class:`UserError` for an unknown kind, or for credit, which :func:`credit_add` and
    :func:`add_credit_request` give; :class:`Conflict` for a retired circuit.
    """
    job_kind = kind_get(kind)
    if job_kind.money:
        raise UserError("credit is added with an amount and a reason, or with a token")
    if job_kind.whole_meter and not circuit.is_main:
        circuit = mains_get(meter=circuit.meter)
    locked = Circuit.objects.select_for_update(no_key=True).get(pk=circuit.pk)
    if locked.retired_at is not None:
        raise Conflict("circuit %(circuit)s is retired", circuit=circuit.ip_address)
    if job_kind.supersedes:
        _supersede(circuit=circuit, kinds=job_kind.supersedes, incoming=incoming)
    now = clock.now()
    job: Job = job_kind.model(
        circuit=circuit,
        requested_by=requested_by,
        requested_by_user=user,
        requested_by_device=device,
        incoming=incoming,
        started_at=now,
        expires_at=now + settings.JOB_LIFETIME,
        next_attempt_at=now + settings.JOB_LIFETIME,
    )
    job.save()
    job_message_queue(job=job)
    if user is not None:
        audit.audit(user=user, action=f"job_{kind}", target=f"job {job.pk}")
    return job


def _supersede(
    *, circuit: Circuit, kinds: tuple[str, ...], incoming: IncomingMessage | None
) -> None:
    """End the open jobs of these kinds, for a newer wish; also what a meter may have already.

    Sent again later, an old one would undo the newer. One that is on its way right now still leaves
    (the newer one follows it), and its acknowledgement is taken when it comes; no alert is raised,
    for nobody waits for it. Who asked is told, by the function that
    ``settings.JOB_SUPERSEDED_HOOK`` names. Assumes that the circuit is locked.
    """
    old = Job.objects.select_for_update(no_key=True, of=("self",)).filter(
        circuit=circuit, kind__in=kinds, state__in=OPEN_STATES
    )
    hook = cast("Callable[..., None]", import_string(settings.JOB_SUPERSEDED_HOOK))
    for job in old.select_related("incoming__communication_interface").order_by("pk"):
        job.circuit = circuit
        job_end(job=job, state=State.CANCELLED, note="a newer on or off took its place")
        hook(job=job, by=incoming)


def job_superseded(*, job: Job, by_done: bool = False) -> bool:
    """Whether a newer job took the place of this one (``by_done``: and the meter has done that)."""
    newer = Job.objects.filter(
        circuit=job.circuit_id, kind__in=BY_KIND[job.kind].supersedes, pk__gt=job.pk
    )
    if by_done:
        return newer.filter(state=State.DONE).exists()
    return newer.exclude(state=State.CANCELLED).exists()


@dataclass(frozen=True)
class Acknowledged:
    """What an acknowledgement did: ``first`` is false for one that changed nothing.

    ``status_said``: it said whether the circuit is on or off.
    """

    job: Job
    circuit: Circuit
    first: bool
    credit_before: Decimal
    credit_taken: bool
    status_said: bool


@transaction.atomic
def job_acknowledge(
    *,
    job_id: int,
    meter: Meter,
    status: int | None = None,
    credit: Decimal | None = None,
    meter_time: datetime | None = None,
    received_at: datetime | None = None,
) -> Acknowledged:
    """A meter says that it has carried out a job; a repeated acknowledgement changes nothing.

    A job that was given up, or whose place a newer one took, is done all the same; only reversed
    credit stays reversed.
    ``meter_time`` is aware; without it, or where it is over an hour ahead or over a year behind,
    the receipt counts. Raises :class:`NotFound` where the job is none of that meter's.
    Source: gateway.md 4.
    """
    found = Job.objects.filter(pk=job_id, circuit__meter=meter).values("circuit_id").first()
    if found is None:
        raise NotFound("job %(job)s is not one of meter “%(meter)s”", job=job_id, meter=meter.name)
    circuit = Circuit.objects.select_for_update(no_key=True).get(pk=found["circuit_id"])
    circuit.meter = meter
    job = JOBS.child(Job.objects.select_for_update(no_key=True).get(pk=job_id))
    job.circuit = circuit
    received_at = received_at or clock.now()
    at = _acknowledged_at(circuit=circuit, meter_time=meter_time, received_at=received_at)
    before = circuit.credit
    first = job.state != State.DONE
    if isinstance(job, AddCredit) and job.state == State.CANCELLED:
        first = credit_applied_after_reversal(job=job, at=at)
    elif first:
        if isinstance(job, AddCredit):
            credit_delivered(job=job, at=at)
        job_end(job=job, state=State.DONE, at=received_at)
    taken = False
    # Texts overtake each other: without the meter's time, the later job says how it stands.
    old_news = meter_time is None and status is not None and job_superseded(job=job, by_done=True)
    if first:
        taken = circuit_state_take(
            circuit=circuit,
            at=at,
            status=None if old_news else status,
            credit=None if credit is None else money.rounded(credit),
            credit_expected=BY_KIND[job.kind].money,
        )
    return Acknowledged(
        job=job,
        circuit=circuit,
        first=first and job.state == State.DONE,
        credit_before=before,
        credit_taken=taken,
        status_said=status is not None,
    )


def _acknowledged_at(
    *, circuit: Circuit, meter_time: datetime | None, received_at: datetime
) -> datetime:
    """When the meter did it, by its own clock; by ours where it does not say, or has lost its date.

    A meter whose clock is ahead of ours has reported in what is our future. What came after that
    report was done after it: else the credit would count as included in it.
    """
    soon = received_at + CLOCK_TOLERANCE
    if meter_time is not None and received_at - CLOCK_LOST <= meter_time <= soon:
        return meter_time
    heard = circuit.last_reported_at
    said = max(filter(None, (circuit.credit_as_of, circuit.status_as_of)), default=received_at)
    if heard is not None and heard <= received_at < said <= soon:
        return said + timedelta(microseconds=1)
    return received_at


@transaction.atomic
def job_cancel(*, job: Job, user: User | None) -> Job:
    """Take back a job that no provider has yet. Credit is reversed instead: it needs a reason.

    Raises :class:`Conflict` where it was handed over, or is being.
    """
    locked = Job.objects.select_for_update(no_key=True).get(pk=job.pk)
    if BY_KIND[locked.kind].money:
        raise UserError("credit is not cancelled but reversed, with a reason")
    if locked.state != State.QUEUED or locked.sent_at is not None:
        raise Conflict(
            "job %(job)s is %(state)s: it cannot be taken back",
            job=job.pk,
            state=gettext_lazy(locked.get_state_display()),
        )
    if not job_messages_withdraw(job_ids=[locked.pk]):
        raise Conflict(
            "job %(job)s is being handed over right now; look again in a minute", job=job.pk
        )
    job_end(job=locked, state=State.CANCELLED, note="cancelled by a person")
    audit.audit(user=user, action="job_cancel", target=f"job {job.pk}")
    return locked
