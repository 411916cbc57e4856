"""On and off: a newer one takes the place of an older one for good; and the hour that they have."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.db import transaction

from gridtalk.core import clock
from gridtalk.core.errors import Conflict
from gridtalk.grid.models import Circuit, Meter
from gridtalk.jobs import services as jobs
from gridtalk.jobs.models import Job, JobMessage
from gridtalk.jobs.testing import redeem
from gridtalk.messaging.models import Message
from gridtalk.messaging.outcomes import MessageOutcome
from gridtalk.telemetry.testing import circuit_make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_at_the_end")]

SENT, REFUSED = MessageOutcome.SENT, MessageOutcome.REFUSED
KINDS = ("turn_on", "turn_off")
NOTE = "a newer on or off took its place"
BOTH_WAYS = pytest.mark.parametrize(("old", "new"), [KINDS, KINDS[::-1], ("turn_on", "turn_on")])


def told(message: Message, outcome: MessageOutcome) -> None:
    """As messaging: the row's state and the job's changes in one commit."""
    states = {SENT: "sent", REFUSED: "failed", MessageOutcome.RETRY: "queued"}
    with transaction.atomic():
        message.state = states.get(outcome, "failed")
        message.save()
        jobs.job_message_outcome(message=message, outcome=outcome)


def hand_over(outcome: MessageOutcome = SENT) -> list[int]:
    """Hand over whatever waits; the jobs that were in it."""
    waiting = list(JobMessage.objects.filter(state="queued").order_by("pk"))
    for message in waiting:
        told(message, outcome)
    return [message.job_id for message in waiting]


def asked(circuit: Circuit, kind: str) -> Job:
    return jobs.job_request(kind=kind, circuit=circuit)


def state(job: Job) -> tuple[str, str]:
    job.refresh_from_db()
    return job.state, job.note


def sent_within_two_hours() -> list[int]:
    """The jobs that were sent (again) in the time in which an on is."""
    sent = []
    start = clock.now()
    for minutes in (2, 5, 12, 25, 50, 70, 120):
        with time_machine.travel(start + timedelta(minutes=minutes), tick=False):
            jobs.jobs_due_work()
            sent += hand_over()
    return sent


@BOTH_WAYS
def test_an_old_one_is_not_sent_again_after_a_newer_was_done(
    circuit: Circuit, old: str, new: str
) -> None:
    first = asked(circuit, old)
    hand_over()
    second = asked(circuit, new)
    assert state(first) == ("cancelled", NOTE)
    assert hand_over() == [second.pk]
    assert jobs.job_acknowledge(job_id=second.pk, meter=circuit.meter).first
    assert sent_within_two_hours() == []


@BOTH_WAYS
def test_of_two_that_nobody_answers_only_the_newer_goes_on_and_is_given_up(
    circuit: Circuit, old: str, new: str
) -> None:
    first = asked(circuit, old)
    hand_over()
    second = asked(circuit, new)
    assert set(sent_within_two_hours()) == {second.pk}
    assert (state(first)[0], state(second)[0]) == ("cancelled", "expired")


def test_what_waited_to_be_sent_again_is_taken_back(circuit: Circuit) -> None:
    first = asked(circuit, "turn_on")
    hand_over()
    with time_machine.travel(clock.now() + timedelta(minutes=2)):
        jobs.jobs_due_work()
        assert first.job_messages.filter(state="queued").count() == 1
        second = asked(circuit, "turn_off")
        assert hand_over() == [second.pk]


@pytest.mark.parametrize("outcome", list(MessageOutcome))
@pytest.mark.parametrize("again", [False, True])
def test_one_in_the_senders_hands_is_not_sent_a_second_time(
    circuit: Circuit, outcome: MessageOutcome, again: bool
) -> None:
    """Whatever comes of it: it may be there, the newer one follows it, and that is all."""
    first = asked(circuit, "turn_on")
    if again:
        hand_over()
        with time_machine.travel(clock.now() + timedelta(minutes=2)):
            jobs.jobs_due_work()
    message = first.job_messages.get(state="queued")
    Message.objects.filter(pk=message.pk).update(state="sending")
    second = asked(circuit, "turn_off")
    told(message, outcome)
    assert set(sent_within_two_hours()) == {second.pk}
    assert jobs.job_acknowledge(job_id=first.pk, meter=circuit.meter, status=1).first
    assert state(first) == ("done", NOTE)


@BOTH_WAYS
def test_a_poll_gives_the_newer_one_alone(circuit: Circuit, old: str, new: str) -> None:
    first = asked(circuit, old)
    (text,) = jobs.jobs_for_poll(meter=circuit.meter)
    assert f"jobid={first.pk}&" in text
    second = asked(circuit, new)
    for _ in range(2):
        (text,) = jobs.jobs_for_poll(meter=circuit.meter)
        assert f"jobid={second.pk}&" in text
    jobs.job_acknowledge(job_id=second.pk, meter=circuit.meter)
    assert jobs.jobs_for_poll(meter=circuit.meter) == []


def test_a_late_acknowledgement_is_taken(circuit: Circuit) -> None:
    first = asked(circuit, "turn_off")
    hand_over()
    asked(circuit, "turn_on")
    late = jobs.job_acknowledge(job_id=first.pk, meter=circuit.meter, status=0)
    assert late.first
    circuit.refresh_from_db()
    assert (state(first)[0], circuit.status) == ("done", 0)
    assert not jobs.job_acknowledge(job_id=first.pk, meter=circuit.meter, status=1).first


@pytest.mark.parametrize("says_time", [False, True])
def test_a_late_acknowledgement_does_not_hide_what_a_newer_job_did(
    circuit: Circuit, says_time: bool
) -> None:
    now = clock.now()
    first = asked(circuit, "turn_on")
    hand_over()
    second = asked(circuit, "turn_off")
    hand_over()
    for job, status, ago in ((second, 0, 0), (first, 1, 1)):
        time = now - timedelta(minutes=ago) if says_time else None
        jobs.job_acknowledge(
            job_id=job.pk, meter=circuit.meter, status=status, meter_time=time, received_at=now
        )
        now += timedelta(seconds=5)
    circuit.refresh_from_db()
    assert (state(first)[0], state(second)[0], circuit.status) == ("done", "done", 0)


def test_other_circuits_credit_and_pings_are_left_alone(circuit: Circuit) -> None:
    other = circuit_make(circuit.meter, last=2)
    kept = [redeem(circuit), asked(circuit, "cping"), asked(circuit, "mping")]
    kept.append(asked(other, "turn_on"))
    hand_over()
    asked(circuit, "turn_off")
    assert {state(job)[0] for job in kept} == {"sent"}


def test_a_newer_one_that_is_taken_back_does_not_bring_the_old_one_back(circuit: Circuit) -> None:
    """Else the meter would be told what nobody remembers having asked for."""
    first = asked(circuit, "turn_on")
    hand_over()
    second = asked(circuit, "turn_off")
    jobs.job_cancel(job=second, user=None)
    with pytest.raises(Conflict):
        jobs.job_cancel(job=first, user=None)
    assert sent_within_two_hours() == []


def _refused_by_the_network(circuit: Circuit, job: Job, minutes: int) -> Job:
    """The provider takes each sending, and the network then refuses it, for so long."""
    start = clock.now()
    for minute in range(0, minutes, 2):
        with time_machine.travel(start + timedelta(minutes=minute), tick=False):
            jobs.jobs_due_work()
            for message in list(job.job_messages.filter(state="queued")):
                told(message, SENT)
                told(message, REFUSED)
    job.refresh_from_db()
    return job


@pytest.mark.parametrize("kind", ["turn_on", "turn_off", "cping", "mping"])
def test_the_hour_is_not_begun_anew_by_each_refusal(circuit: Circuit, kind: str) -> None:
    start = clock.now()
    job = _refused_by_the_network(circuit, asked(circuit, kind), minutes=60)
    assert job.state == "queued"
    assert job.job_messages.count() > 4
    assert job.expires_at is not None
    assert timedelta(0) <= job.expires_at - start - timedelta(hours=1) < timedelta(minutes=1)
    with time_machine.travel(start + timedelta(minutes=61), tick=False):
        assert [one.pk for one in jobs.jobs_due_work().given_up] == [job.pk]
    assert state(job)[0] == "failed", "nothing of it ever arrived"
    assert not job.job_messages.filter(state="queued").exists()


def test_the_hour_of_on_begins_when_its_provider_takes_it(circuit: Circuit) -> None:
    job = asked(circuit, "turn_on")
    start = clock.now()
    with time_machine.travel(start + timedelta(minutes=50), tick=False):
        hand_over()
    with time_machine.travel(start + timedelta(minutes=109), tick=False):
        jobs.jobs_due_work()
        assert state(job)[0] == "sent"
    with time_machine.travel(start + timedelta(minutes=111), tick=False):
        jobs.jobs_due_work()
        assert state(job)[0] == "expired"


@pytest.mark.parametrize("knows", [True, False])
def test_credit_that_the_network_refuses_keeps_its_time(circuit: Circuit, knows: bool) -> None:
    """It never left, so it goes on; unlike a switch it is not too late."""
    Meter.objects.update(knows_job_ids=knows)
    job = _refused_by_the_network(circuit, redeem(circuit), minutes=300)
    assert (job.state, job.expires_at) == ("queued", None)


_Ask = Callable[[Circuit], Job]


@pytest.mark.parametrize(
    ("asks", "superseded"),
    [
        ((), False),
        ((lambda circuit: asked(circuit, "cping"),), False),
        ((redeem,), False),
        ((lambda circuit: asked(circuit, "turn_on"),), True),
    ],
    ids=["nothing", "a ping", "credit", "on"],
)
def test_what_supersedes(circuit: Circuit, asks: tuple[_Ask, ...], superseded: bool) -> None:
    job = asked(circuit, "turn_off")
    hand_over()
    for ask in asks:
        ask(circuit)
    assert jobs.job_superseded(job=job) == superseded
    assert not jobs.job_superseded(job=job, by_done=True)
