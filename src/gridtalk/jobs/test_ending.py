"""How jobs end: by whomever, in one way; and credit that a person confirms."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from gridtalk.core import clock
from gridtalk.core.errors import Conflict, UserError
from gridtalk.grid.models import Circuit
from gridtalk.jobs import services as jobs
from gridtalk.jobs.credit import CreditSeen
from gridtalk.jobs.models import AddCredit, Job
from gridtalk.jobs.testing import redeem
from gridtalk.messaging.models import Message
from gridtalk.messaging.outcomes import MessageOutcome
from gridtalk.prepaid.models import LedgerEntry, Token
from gridtalk.users.models import AuditEntry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_at_the_end")]


def hand_over(job: Job, outcome: MessageOutcome = MessageOutcome.SENT) -> None:
    message = job.job_messages.latest("pk")
    with transaction.atomic():
        message.state = "sent" if outcome is MessageOutcome.SENT else "failed"
        message.save()
        jobs.job_message_outcome(message=message, outcome=outcome)


def an_hour_passes() -> None:
    with time_machine.travel(clock.now() + timedelta(minutes=61), tick=False):
        jobs.jobs_due_work()


def unconfirmed(circuit: Circuit, value: int = 500) -> AddCredit:
    job = redeem(circuit, value)
    hand_over(job)
    an_hour_passes()
    job.refresh_from_db()
    assert job.state == "unconfirmed"
    return job


def _acknowledged(circuit: Circuit, job: Job) -> None:
    jobs.job_acknowledge(job_id=job.pk, meter=circuit.meter, credit=Decimal(600))


def _seen(circuit: Circuit, job: Job) -> None:
    now = clock.now()
    seen = CreditSeen(circuit.pk, Decimal(100), now - timedelta(hours=2), Decimal(599), now)
    assert jobs.credits_seen_in_reports(seen=[seen]) == [job]


def _confirmed(circuit: Circuit, job: Job) -> None:
    jobs.credit_confirm(job=job, user=None, reason="seen there")


def _reversed(circuit: Circuit, job: Job) -> None:
    jobs.credit_reverse(job=job, user=None, reason="lost")


def _cancelled(circuit: Circuit, job: Job) -> None:
    jobs.job_cancel(job=job, user=None)


def _superseded(circuit: Circuit, job: Job) -> None:
    jobs.job_request(kind="turn_off", circuit=circuit)


def _given_up(circuit: Circuit, job: Job) -> None:
    an_hour_passes()


@pytest.mark.parametrize(
    ("kind", "before", "by", "state", "note"),
    [
        ("add_credit", "sent", _acknowledged, "done", ""),
        ("add_credit", "unconfirmed", _acknowledged, "done", ""),
        ("add_credit", "sent", _seen, "done", "seen in the meter's report"),
        ("add_credit", "unconfirmed", _confirmed, "done", "confirmed by a person: seen there"),
        ("add_credit", "queued", _reversed, "cancelled", "reversed: lost"),
        ("add_credit", "unconfirmed", _reversed, "cancelled", "reversed: lost"),
        ("add_credit", "refused", _given_up, "failed", "not handed over"),
        ("add_credit", "sent", _given_up, "unconfirmed", ""),
        ("turn_on", "queued", _cancelled, "cancelled", "cancelled by a person"),
        ("turn_on", "queued", _superseded, "cancelled", "a newer on or off took its place"),
        ("turn_on", "queued", _given_up, "failed", ""),
        ("turn_on", "sent", _given_up, "expired", ""),
        ("turn_on", "sent", _acknowledged, "done", ""),
    ],
)
def test_however_a_job_ends_nothing_of_it_goes_out_and_pages_are_told(
    circuit: Circuit,
    kind: str,
    before: str,
    by: Callable[[Circuit, Job], None],
    state: str,
    note: str,
) -> None:
    job: Job = redeem(circuit)
    if kind != "add_credit":
        jobs.credit_reverse(job=job, user=None, reason="not in this case")
        job = jobs.job_request(kind=kind, circuit=circuit)
    if before == "refused":
        hand_over(job, MessageOutcome.FAILED)
    elif before != "queued":
        hand_over(job)
    if before == "unconfirmed":
        an_hour_passes()
    with CaptureQueriesContext(connection) as queries:
        by(circuit, job)
    job.refresh_from_db()
    assert job.state == state
    assert (job.ended_at is None) == (state == "unconfirmed")
    assert job.next_attempt_at is None
    assert job.note.startswith(note)
    assert not job.job_messages.filter(state="queued").exists()
    # Its own event: what another job's message says, or an alert's, may not come.
    ends = [place for place, query in enumerate(queries) if 'UPDATE "jobs"' in query["sql"]]
    told = [query["sql"] for query in list(queries)[ends[0] :] if "pg_notify" in query["sql"]]
    assert any(f"meter:{circuit.meter_id}" in sql for sql in told), told


def test_a_meter_that_polls_tells_pages_that_it_has_the_job(circuit: Circuit) -> None:
    jobs.job_request(kind="turn_on", circuit=circuit)
    with CaptureQueriesContext(connection) as queries:
        assert len(jobs.jobs_for_poll(meter=circuit.meter)) == 1
    assert any("pg_notify" in query["sql"] for query in queries)
    Job.objects.update(state="done", ended_at=clock.now())
    with CaptureQueriesContext(connection) as queries:
        assert jobs.jobs_for_poll(meter=circuit.meter) == []
    assert not any("pg_notify" in query["sql"] for query in queries), "nothing has changed"


class TestConfirm:
    """A person has seen the credit at the meter."""

    def test_it_is_posted_once_and_the_token_is_used(self, circuit: Circuit) -> None:
        job = unconfirmed(circuit)
        jobs.credit_confirm(job=job, user=None, reason="the customer showed me")
        entry = LedgerEntry.objects.get(job_id=job.pk, cause="delivery")
        assert (entry.amount, entry.occurred_at) == (500, Job.objects.get(pk=job.pk).sent_at)
        assert Token.objects.get(add_credit=job.pk).state == "used"
        noted = AuditEntry.objects.get(action="credit_confirm")
        assert (noted.reason, noted.target) == ("the customer showed me", f"job {job.pk}")

    def test_what_comes_late_changes_nothing(self, circuit: Circuit) -> None:
        job = unconfirmed(circuit)
        jobs.credit_confirm(job=job, user=None, reason="seen")
        late = jobs.job_acknowledge(job_id=job.pk, meter=circuit.meter, credit=Decimal(600))
        assert not late.first
        hand_over(job, MessageOutcome.UNDELIVERED)
        job.refresh_from_db()
        assert job.state == "done"
        assert LedgerEntry.objects.filter(job_id=job.pk, cause="delivery").count() == 1

    def test_the_rise_of_its_credit_is_not_taken_for_another(self, circuit: Circuit) -> None:
        job, other = unconfirmed(circuit), unconfirmed(circuit)
        jobs.credit_confirm(job=job, user=None, reason="seen")
        circuit.refresh_from_db()
        assert circuit.credit_estimated, "the next report says what is there, and settles nothing"
        other.refresh_from_db()
        assert other.state == "unconfirmed"

    @pytest.mark.parametrize("state", ["queued", "sent", "failed", "done", "cancelled"])
    def test_only_unconfirmed_credit_can_be(self, circuit: Circuit, state: str) -> None:
        job = redeem(circuit)
        if state == "failed":
            hand_over(job, MessageOutcome.FAILED)
            an_hour_passes()
        elif state == "cancelled":
            jobs.credit_reverse(job=job, user=None, reason="lost")
        elif state != "queued":
            hand_over(job)
        if state == "done":
            _acknowledged(circuit, job)
        job.refresh_from_db()
        assert job.state == state
        with pytest.raises(Conflict, match="nothing to confirm"):
            jobs.credit_confirm(job=job, user=None, reason="seen")

    def test_not_while_a_sending_is_on_its_way(self, circuit: Circuit) -> None:
        job = unconfirmed(circuit)
        Message.objects.filter(pk=job.job_messages.get().pk).update(state="sending")
        with pytest.raises(Conflict, match="right now"):
            jobs.credit_confirm(job=job, user=None, reason="seen")

    def test_it_needs_a_reason_and_a_credit(self, circuit: Circuit) -> None:
        job = unconfirmed(circuit)
        with pytest.raises(UserError, match="say why"):
            jobs.credit_confirm(job=job, user=None, reason=" ")
        switch = jobs.job_request(kind="turn_on", circuit=circuit)
        with pytest.raises(UserError, match="not a credit"):
            jobs.credit_confirm(job=switch, user=None, reason="seen")
