"""What came of handing a job over, in every order that networks think of; and polling meters."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from gridtalk.core import clock
from gridtalk.core.errors import Conflict, UserError
from gridtalk.grid.models import Circuit, Meter
from gridtalk.grid.services import meter_retire
from gridtalk.jobs import services as jobs
from gridtalk.jobs.models import AddCredit, Job, JobMessage
from gridtalk.jobs.testing import redeem
from gridtalk.messaging.models import Message
from gridtalk.messaging.outcomes import MessageOutcome
from gridtalk.prepaid.models import LedgerEntry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_at_the_end")]

SENT, UNKNOWN, RETRY = MessageOutcome.SENT, MessageOutcome.UNKNOWN, MessageOutcome.RETRY
FAILED, DELIVERED = MessageOutcome.FAILED, MessageOutcome.DELIVERED
REFUSED = MessageOutcome.REFUSED
UNDELIVERED = MessageOutcome.UNDELIVERED
STATES = {SENT: "sent", UNKNOWN: "sent", RETRY: "queued", DELIVERED: "delivered"}


def tell(message: Message, outcome: MessageOutcome) -> None:
    """As messaging: the row's state and the owner's changes in one commit."""
    with transaction.atomic():
        message.state = STATES.get(outcome, "failed")
        message.save()
        jobs.job_message_outcome(message=message, outcome=outcome)


def last(job: Job) -> JobMessage:
    return JobMessage.objects.filter(job=job).latest("pk")


def test_open_pages_are_told_of_a_job_before_anything_is_sent(circuit: Circuit) -> None:
    with CaptureQueriesContext(connection) as queries:
        redeem(circuit)
    told = [query["sql"] for query in queries if "pg_notify" in query["sql"]]
    assert any(f"meter:{circuit.meter_id}" in sql for sql in told), told


def state(job: Job) -> str:
    job.refresh_from_db()
    return job.state


def waiting(job: Job) -> int:
    return job.job_messages.filter(state__in=["queued", "sending"]).count()


def minutes_later(minutes: float) -> Any:
    return time_machine.travel(clock.now() + timedelta(minutes=minutes), tick=False)


def unconfirmed(circuit: Circuit) -> AddCredit:
    job = redeem(circuit)
    tell(last(job), SENT)
    with minutes_later(61):
        jobs.jobs_due_work()
    assert state(job) == "unconfirmed"
    return job


@pytest.mark.parametrize(
    ("outcomes", "knows", "ends", "waits"),
    [
        ([SENT], False, "sent", 0),
        ([UNKNOWN], False, "sent", 0),
        ([DELIVERED], False, "sent", 0),
        ([SENT, DELIVERED], False, "sent", 0),
        ([RETRY], False, "queued", 1),
        ([RETRY, SENT], False, "sent", 0),
        ([UNKNOWN, SENT], False, "sent", 0),
        ([SENT, REFUSED], False, "queued", 0),
        ([SENT, REFUSED, DELIVERED], False, "sent", 0),
        ([UNKNOWN, REFUSED], False, "queued", 0),
        ([FAILED], False, "queued", 0),
        ([FAILED, DELIVERED], False, "sent", 0),
        ([SENT, REFUSED, DELIVERED], True, "sent", 0),
        ([SENT, UNDELIVERED], False, "sent", 0),
        ([UNDELIVERED, SENT], False, "sent", 0),
        ([SENT, UNDELIVERED], True, "queued", 0),
    ],
)
def test_outcomes_in_any_order(
    circuit: Circuit, outcomes: list[MessageOutcome], knows: bool, ends: str, waits: int
) -> None:
    Meter.objects.update(knows_job_ids=knows)
    job = redeem(circuit)
    for outcome in outcomes:
        tell(last(job), outcome)
    assert (state(job), waiting(job)) == (ends, waits)


def test_a_sending_taken_for_lost_that_arrived_stops_the_next(circuit: Circuit) -> None:
    """*Undelivered*, so it is queued again; then *delivered* after all, before that one left."""
    job = redeem(circuit)
    first = last(job)
    tell(first, SENT)
    tell(first, REFUSED)
    with minutes_later(5):
        jobs.jobs_due_work()
        assert waiting(job) == 1
        tell(first, DELIVERED)
        assert (state(job), waiting(job)) == ("sent", 0)
    with minutes_later(10):
        jobs.jobs_due_work()
        assert waiting(job) == 0


def test_undelivered_credit_of_a_meter_that_forgets_waits_for_a_person(circuit: Circuit) -> None:
    """Networks have said so of what arrived after all: it is not sent again by itself."""
    job = redeem(circuit)
    tell(last(job), SENT)
    tell(last(job), UNDELIVERED)
    jobs.jobs_due_work()
    assert (state(job), waiting(job)) == ("unconfirmed", 0)
    with minutes_later(90):
        jobs.jobs_due_work()
        assert (state(job), waiting(job)) == ("unconfirmed", 0)
    assert "not delivered" in Job.objects.get(pk=job.pk).note


def test_the_same_at_a_meter_that_knows_its_jobs_may_go_on(circuit: Circuit) -> None:
    Meter.objects.update(knows_job_ids=True)
    job = redeem(circuit)
    first = last(job)
    tell(first, SENT)
    tell(first, REFUSED)
    with minutes_later(5):
        jobs.jobs_due_work()
        tell(first, DELIVERED)
        assert (state(job), waiting(job)) == ("sent", 1)


def test_credit_given_up_as_never_handed_over_that_arrived_is_unconfirmed(circuit: Circuit) -> None:
    job = redeem(circuit)
    message = last(job)
    tell(message, FAILED)
    given_up = jobs.jobs_due_work().given_up
    assert ([found.pk for found in given_up], state(job)) == ([job.pk], "failed")
    tell(message, DELIVERED)
    assert state(job) == "unconfirmed"
    assert job.ended_at is None
    jobs.job_acknowledge(job_id=job.pk, meter=circuit.meter, credit=Decimal(600))
    assert state(job) == "done"


@pytest.mark.parametrize("outcome", [FAILED, REFUSED])
def test_what_a_person_sent_again_in_vain_is_the_persons_again(
    circuit: Circuit, outcome: MessageOutcome
) -> None:
    """The first sending may still have arrived: not sent by itself, and not forgotten."""
    job = unconfirmed(circuit)
    with minutes_later(70):
        jobs.credit_resend(job=job, user=None, reason="it did not arrive")
        if outcome is REFUSED:
            tell(last(job), SENT)
        tell(last(job), outcome)
    with minutes_later(140):
        jobs.jobs_due_work()
        assert (state(job), waiting(job)) == ("unconfirmed", 0)
        jobs.credit_resend(job=job, user=None, reason="once more")
        assert waiting(job) == 1


def test_nothing_is_done_for_what_was_reversed(circuit: Circuit) -> None:
    job = unconfirmed(circuit)
    jobs.credit_reverse(job=job, user=None, reason="lost")
    for outcome in (REFUSED, DELIVERED, RETRY, FAILED, SENT):
        tell(last(job), outcome)
        jobs.jobs_due_work()
        assert (state(job), waiting(job)) == ("cancelled", 0)
    assert not LedgerEntry.objects.filter(cause="delivery").exists()


def test_a_job_that_ended_while_its_message_was_refused_does_not_go_out(circuit: Circuit) -> None:
    job = redeem(circuit)
    Message.objects.filter(pk=last(job).pk).update(state="sending")
    jobs.job_acknowledge(job_id=job.pk, meter=circuit.meter)
    tell(last(job), RETRY)
    assert waiting(job) == 0


def test_a_meter_that_knows_is_not_sent_a_heap_when_its_provider_is_away(circuit: Circuit) -> None:
    Meter.objects.update(knows_job_ids=True)
    job = redeem(circuit)
    tell(last(job), SENT)
    for hours in range(1, 30):
        with minutes_later(hours * 61):
            jobs.jobs_due_work()
    assert state(job) == "unconfirmed"
    assert waiting(job) == 1


def test_on_and_off_are_given_up_and_credit_waits(circuit: Circuit) -> None:
    """While its provider is away."""
    credit, off = redeem(circuit), jobs.job_request(kind="turn_off", circuit=circuit)
    with minutes_later(61):
        jobs.jobs_due_work()
    assert (state(off), waiting(off)) == ("failed", 0)
    assert (state(credit), waiting(credit)) == ("queued", 1)


class TestPolling:
    """A meter that polls by HTTP."""

    def test_credit_is_handed_over_once(self, circuit: Circuit) -> None:
        job = redeem(circuit)
        text = f"(job=cr&jobid={job.pk}&cid=192.168.1.201&amt=500.0)"
        assert jobs.jobs_for_poll(meter=circuit.meter) == [text]
        assert (state(job), waiting(job)) == ("sent", 0)
        assert jobs.jobs_for_poll(meter=circuit.meter) == []

    def test_a_meter_that_knows_is_told_until_it_acknowledges(self, circuit: Circuit) -> None:
        Meter.objects.update(knows_job_ids=True)
        meter = Meter.objects.get(pk=circuit.meter_id)
        job = redeem(circuit)
        for _ in range(3):
            assert len(jobs.jobs_for_poll(meter=meter)) == 1
        jobs.job_acknowledge(job_id=job.pk, meter=meter)
        assert jobs.jobs_for_poll(meter=meter) == []

    @pytest.mark.parametrize("outcome", [FAILED, SENT, UNKNOWN, REFUSED])
    def test_credit_in_the_senders_hands_is_not_polled(
        self, circuit: Circuit, outcome: MessageOutcome
    ) -> None:
        """Else the failure of that message would send again what the poll gave."""
        job = redeem(circuit)
        Message.objects.filter(pk=last(job).pk).update(state="sending")
        assert jobs.jobs_for_poll(meter=circuit.meter) == []
        tell(last(job), outcome)
        assert len(jobs.jobs_for_poll(meter=circuit.meter)) == (outcome in {FAILED, REFUSED})
        with minutes_later(30):
            jobs.jobs_due_work()
        assert waiting(job) == 0

    def test_what_has_ended_is_not_polled(self, circuit: Circuit) -> None:
        first = jobs.job_request(kind="turn_off", circuit=circuit)
        second = jobs.job_request(kind="turn_on", circuit=circuit)
        assert state(first) == "cancelled"
        assert jobs.jobs_for_poll(meter=circuit.meter) == [
            f"(job=con&jobid={second.pk}&cid=192.168.1.201)"
        ]


class TestAcknowledging:
    """What a meter says that it has done."""

    @pytest.mark.parametrize("kind", ["turn_on", "cping", "mping"])
    def test_after_expiry_it_is_done_all_the_same(self, circuit: Circuit, kind: str) -> None:
        job = jobs.job_request(kind=kind, circuit=circuit)
        tell(last(job), SENT)
        with minutes_later(61):
            jobs.jobs_due_work()
        assert state(job) == "expired"
        assert jobs.job_acknowledge(job_id=job.pk, meter=circuit.meter, status=1).first
        assert state(job) == "done"

    def test_it_withdraws_what_was_still_to_be_sent(self, circuit: Circuit) -> None:
        Meter.objects.update(knows_job_ids=True)
        job = redeem(circuit)
        tell(last(job), SENT)
        with minutes_later(5):
            jobs.jobs_due_work()
        assert waiting(job) == 1
        jobs.job_acknowledge(job_id=job.pk, meter=circuit.meter)
        assert waiting(job) == 0

    @pytest.mark.parametrize("days", [400, -9000], ids=["ahead", "without its date"])
    def test_a_clock_that_is_far_off_does_not_decide_when_it_was(
        self, circuit: Circuit, days: int
    ) -> None:
        job = redeem(circuit)
        now = clock.now()
        jobs.job_acknowledge(
            job_id=job.pk,
            meter=circuit.meter,
            credit=Decimal(600),
            meter_time=now + timedelta(days=days),
            received_at=now,
        )
        circuit.refresh_from_db()
        assert circuit.credit_as_of == now

    def test_an_older_word_does_not_overwrite_a_newer_credit(self, circuit: Circuit) -> None:
        job = redeem(circuit)
        now = clock.now()
        Circuit.objects.filter(pk=circuit.pk).update(credit=590, credit_as_of=now)
        done = jobs.job_acknowledge(
            job_id=job.pk,
            meter=circuit.meter,
            credit=Decimal(600),
            meter_time=now - timedelta(hours=2),
        )
        circuit.refresh_from_db()
        assert (done.first, done.credit_taken, circuit.credit) == (True, False, 590)

    def test_the_largest_credit_fits(self, circuit: Circuit) -> None:
        job = redeem(circuit)
        edge = Decimal("99999999999999.99")
        jobs.job_acknowledge(job_id=job.pk, meter=circuit.meter, credit=edge)
        circuit.refresh_from_db()
        assert circuit.credit == edge


class TestRetired:
    """A circuit that is no longer in use."""

    def test_nothing_new_is_asked_of_it(self, circuit: Circuit) -> None:
        stale = Circuit.objects.select_related("meter").get(pk=circuit.pk)
        meter_retire(meter=circuit.meter)
        # The instance that the caller holds was read before.
        for ask in (
            lambda: jobs.credit_add(circuit=stale, amount=Decimal(1), user=None, reason="x"),
            lambda: redeem(stale),
            lambda: jobs.job_request(kind="turn_on", circuit=stale),
        ):
            with pytest.raises(Conflict, match="is retired"):
                ask()
        assert Job.objects.count() == 0

    def test_its_credit_is_reversed_and_not_sent_again(self, circuit: Circuit) -> None:
        job = unconfirmed(circuit)
        meter_retire(meter=circuit.meter)
        with pytest.raises(Conflict, match="is retired"):
            jobs.credit_resend(job=job, user=None, reason="again")
        token = jobs.credit_reverse(job=job, user=None, reason="gone", new_token=True)
        assert token is not None
        assert token.value == 500


def test_the_mains_has_no_credit(circuit: Circuit) -> None:
    mains = circuit.meter.circuits.get(is_main=True)
    with pytest.raises(UserError, match="mains"):
        redeem(mains)
    with pytest.raises(UserError, match="mains"):
        jobs.credit_add(circuit=mains, amount=Decimal(1), user=None, reason="x")


@pytest.mark.parametrize(
    ("amount", "says"),
    [("0", "above 0"), ("-5", "above 0"), ("1.001", "two decimals"), ("1E+3", "not an amount"),
     ("NaN", "not an amount"), ("100000000000000", "too large")],
)  # fmt: skip
def test_an_amount_that_is_none_is_refused(circuit: Circuit, amount: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        jobs.credit_add(circuit=circuit, amount=Decimal(amount), user=None, reason="x")
    assert Job.objects.count() == 0


@pytest.mark.parametrize(
    ("kind", "error"), [("add_credit", "with an amount"), ("fly", "there is no job")]
)
def test_a_job_that_may_not_be_asked_so(circuit: Circuit, kind: str, error: str) -> None:
    with pytest.raises(UserError, match=error):
        jobs.job_request(kind=kind, circuit=circuit)


def test_a_ping_of_the_meter_goes_to_its_mains(circuit: Circuit) -> None:
    job = jobs.job_request(kind="mping", circuit=circuit)
    assert job.circuit.is_main
    assert last(job).text == f"(job=mping&jobid={job.pk})"


def test_only_what_has_not_left_is_cancelled(circuit: Circuit) -> None:
    job = jobs.job_request(kind="turn_on", circuit=circuit)
    Message.objects.filter(pk=last(job).pk).update(state="sending")
    with pytest.raises(Conflict, match="right now"):
        jobs.job_cancel(job=job, user=None)
    Message.objects.filter(pk=last(job).pk).update(state="queued")
    jobs.job_cancel(job=job, user=None)
    assert (state(job), waiting(job)) == ("cancelled", 0)
    with pytest.raises(Conflict, match="cancelled"):
        jobs.job_cancel(job=job, user=None)
    with pytest.raises(UserError, match="reversed"):
        jobs.job_cancel(job=redeem(circuit), user=None)
