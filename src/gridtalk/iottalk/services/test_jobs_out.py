"""Jobs to meters that are devices: leased, handed over, sent again; credit with more care."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection

from gridtalk.core import clock
from gridtalk.grid.models import Meter
from gridtalk.iottalk.models import RegisteredDevice, RegisteredFeature
from gridtalk.iottalk.notices import CHANNEL, Notice, notice_read
from gridtalk.iottalk.services.jobs_out import (
    device_jobs_again,
    device_jobs_sent,
    device_jobs_take,
)
from gridtalk.iottalk.services.testing_meters import DeviceMeter, device_make, device_meter_make
from gridtalk.jobs.credit import credit_add
from gridtalk.jobs.models import Job, JobMessage
from gridtalk.jobs.sending import jobs_due_work
from gridtalk.jobs.services import job_acknowledge, job_request
from gridtalk.messaging.drain import messages_send
from gridtalk.messaging.drain_results import leases_end
from gridtalk.messaging.models import CommunicationInterface, IoTtalkInterface
from gridtalk.messaging.services import message_queue, messages_expire
from gridtalk.messaging.testing import FakeTransport, kannel

pytestmark = pytest.mark.django_db


@pytest.fixture
def bound(db: None) -> DeviceMeter:
    return device_meter_make()


def credit(bound: DeviceMeter, amount: str = "500") -> Job:
    return credit_add(circuit=bound.circuit, amount=Decimal(amount), user=None, reason="a test")


def take(bound: DeviceMeter, **options: Any) -> list[list[Any]]:
    """Take what waits and hand it over."""
    taken = device_jobs_take(handles=[bound.handle], **options)
    device_jobs_sent(taken=taken)
    return [job.values for job in taken]


def states(job: Job) -> tuple[str, list[str]]:
    job.refresh_from_db()
    messages = JobMessage.objects.filter(job=job.pk).order_by("pk")
    return job.state, list(messages.values_list("state", flat=True))


@pytest.mark.parametrize(
    ("kind", "word", "cid"),
    [
        ("turn_on", "con", "192.168.1.201"),
        ("turn_off", "coff", "192.168.1.201"),
        ("cping", "cping", "192.168.1.201"),
        ("mping", "mping", "192.168.1.200"),
    ],
)
def test_a_job_as_the_device_takes_it(bound: DeviceMeter, kind: str, word: str, cid: str) -> None:
    job = job_request(kind=kind, circuit=bound.circuit)
    assert take(bound) == [[word, job.pk, cid, Decimal("0.00")]]
    assert states(job) == ("sent", ["sent"])
    assert take(bound) == []


@pytest.mark.parametrize("amount", ["500", "0.01", "12345678.9"])
def test_credit_has_two_decimals(bound: DeviceMeter, amount: str) -> None:
    job = credit(bound, amount)
    ((word, job_id, cid, given),) = take(bound)
    assert (word, job_id, cid, given) == ("cr", job.pk, "192.168.1.201", Decimal(amount))
    assert given.as_tuple().exponent == -2


def test_the_oldest_go_first_and_no_more_than_wanted(bound: DeviceMeter) -> None:
    ids = [credit(bound).pk for _ in range(3)]
    assert [values[1] for values in take(bound, most=1)] == ids[:1]
    assert [values[1] for values in take(bound)] == ids[1:]


def test_what_is_leased_is_not_taken_twice(bound: DeviceMeter) -> None:
    job = credit(bound)
    taken = device_jobs_take(handles=[bound.handle])
    assert [one.attempts for one in taken] == [1]
    assert states(job) == ("queued", ["sending"])
    assert device_jobs_take(handles=[bound.handle]) == []


@pytest.mark.parametrize(
    "case", ["no handles", "another's", "no Job-O", "unbound", "another meter's", "switched off"]
)
def test_what_waits(bound: DeviceMeter, case: str) -> None:
    job = credit(bound)
    handles = [bound.handle]
    match case:
        case "no handles":
            handles = []
        case "another's":
            handles = [device_make("other").handle]
        case "no Job-O":
            RegisteredFeature.objects.filter(name="Job-O").update(present=False)
        case "unbound":
            RegisteredDevice.objects.update(meter=None)
        case "another meter's":
            other = Meter.objects.create(
                name="ml02", phone="+1", communication_interface=bound.interface
            )
            RegisteredDevice.objects.update(meter=other)
        case "switched off":
            CommunicationInterface.objects.filter(kind="iottalk").update(active=False)
    assert device_jobs_take(handles=handles) == []
    assert states(job) == ("queued", ["queued"])


def test_the_senders_of_sms_leave_it_alone(bound: DeviceMeter) -> None:
    job = credit(bound)
    assert messages_send(transport=FakeTransport()).attempts == 0
    assert states(job) == ("queued", ["queued"])


def test_a_hand_over_that_failed_waits_and_is_seen_on_the_interface(bound: DeviceMeter) -> None:
    job = credit(bound)
    device_jobs_sent(
        taken=device_jobs_take(handles=[bound.handle]), error="the broker could not be reached"
    )
    assert states(job) == ("queued", ["queued"])
    interface = IoTtalkInterface.objects.get()
    assert interface.last_error == "the broker could not be reached"
    assert device_jobs_take(handles=[bound.handle]) == []
    with time_machine.travel(clock.now() + timedelta(seconds=6)):
        assert len(take(bound)) == 1
    assert states(job) == ("sent", ["sent"])
    interface.refresh_from_db()
    assert interface.last_sent_at is not None


def test_a_killed_hand_over_counts_as_sent(bound: DeviceMeter) -> None:
    """The device may have it: credit for one that forgets must not be sent again."""
    Meter.objects.update(knows_job_ids=False)
    job = credit(bound)
    taken = device_jobs_take(handles=[bound.handle])
    leases_end()
    assert states(job) == ("queued", ["sending"]), "the lease runs"
    with time_machine.travel(clock.now() + timedelta(seconds=31)):
        leases_end()
        assert states(job) == ("sent", ["sent"])
        device_jobs_sent(taken=taken, error="it never left, says one whose lease has ended")
        assert states(job) == ("sent", ["sent"])
        assert take(bound) == []


def test_for_a_device_that_is_away_credit_waits_and_a_switch_is_given_up(
    bound: DeviceMeter,
) -> None:
    money, switch = credit(bound), job_request(kind="turn_off", circuit=bound.circuit)
    with time_machine.travel(clock.now() + timedelta(hours=71)):
        jobs_due_work()
        messages_expire()
        assert states(money) == ("queued", ["queued"])
        assert states(switch) == ("failed", ["expired"])
        assert [values[0] for values in take(bound)] == ["cr"]
    assert states(money) == ("sent", ["sent"])


@pytest.mark.parametrize("knows", [True, False])
def test_credit_waits_for_a_device_however_long_it_is_away(bound: DeviceMeter, knows: bool) -> None:
    """Nothing of it has left us, so it can be nowhere twice; then its hour begins."""
    Meter.objects.update(knows_job_ids=knows)
    job = credit(bound)
    start = clock.now()
    for days in (3.1, 30, 400):
        with time_machine.travel(start + timedelta(days=days)):
            messages_expire()
            jobs_due_work()
            assert states(job) == ("queued", ["queued"])
    with time_machine.travel(start + timedelta(days=400)):
        assert device_jobs_again(handle=bound.handle) == 0
        assert [values[1] for values in take(bound)] == [job.pk]
        assert states(job) == ("sent", ["sent"])
    with time_machine.travel(start + timedelta(days=400, hours=3)):
        jobs_due_work()
        assert states(job)[0] == "unconfirmed"
        assert device_jobs_again(handle=bound.handle) == int(knows)
        jobs_due_work()
        assert [values[1] for values in take(bound)] == [job.pk] * knows


def test_a_text_by_sms_is_still_given_up(bound: DeviceMeter) -> None:
    text = message_queue(interface=kannel(name="village"), number="+22370000002", text="hello")
    job = credit(bound)
    with time_machine.travel(clock.now() + timedelta(hours=73)):
        assert messages_expire() == 1
    text.refresh_from_db()
    assert (text.state, states(job)[1]) == ("expired", ["queued"])


class TestAgain:
    """At an online."""

    def test_a_pause_ends(self, bound: DeviceMeter) -> None:
        credit(bound)
        device_jobs_sent(taken=device_jobs_take(handles=[bound.handle]), error="away")
        assert device_jobs_again(handle=bound.handle) == 0
        assert len(take(bound)) == 1

    @pytest.mark.parametrize("knows", [True, False])
    @pytest.mark.parametrize("kind", ["credit", "switch"])
    def test_what_was_handed_over_is_sent_again_where_it_does_no_harm(
        self, bound: DeviceMeter, kind: str, knows: bool
    ) -> None:
        Meter.objects.update(knows_job_ids=knows)
        if kind == "credit":
            job = credit(bound)
        else:
            job = job_request(kind="turn_on", circuit=bound.circuit)
        take(bound)
        harmless = knows or kind == "switch"
        with time_machine.travel(clock.now() + timedelta(seconds=10)):
            assert device_jobs_again(handle=bound.handle) == int(harmless)
            assert device_jobs_again(handle=bound.handle) == 0, "it waits already"
            assert [values[1] for values in take(bound)] == [job.pk] * harmless
            assert device_jobs_again(handle=bound.handle) == 0, "it left a moment ago"

    @pytest.mark.parametrize("answered", [True, False])
    @pytest.mark.parametrize(("old", "new"), [("con", "coff"), ("coff", "con")])
    def test_an_old_switch_is_not_among_it(
        self, bound: DeviceMeter, old: str, new: str, answered: bool
    ) -> None:
        """It would undo the newer one."""
        kinds = {"con": "turn_on", "coff": "turn_off"}
        first = job_request(kind=kinds[old], circuit=bound.circuit)
        assert [values[0] for values in take(bound)] == [old]
        second = job_request(kind=kinds[new], circuit=bound.circuit)
        assert [values[0] for values in take(bound)] == [new]
        if answered:
            job_acknowledge(job_id=second.pk, meter=bound.meter)
        start = clock.now()
        for minutes in (1, 2, 10, 59):
            with time_machine.travel(start + timedelta(minutes=minutes)):
                jobs_due_work()
                device_jobs_again(handle=bound.handle)
                words = [values[0] for values in take(bound)]
                assert words == ([] if answered else [new])
        assert job_acknowledge(job_id=first.pk, meter=bound.meter).first

    def test_a_switch_that_waits_out_a_pause_gives_way(self, bound: DeviceMeter) -> None:
        job_request(kind="turn_on", circuit=bound.circuit)
        device_jobs_sent(taken=device_jobs_take(handles=[bound.handle]), error="away")
        job_request(kind="turn_off", circuit=bound.circuit)
        device_jobs_again(handle=bound.handle)
        assert [values[0] for values in take(bound)] == ["coff"]

    def test_unconfirmed_credit_too_but_not_what_is_done(self, bound: DeviceMeter) -> None:
        unconfirmed, done = credit(bound), credit(bound)
        take(bound)
        job_acknowledge(job_id=done.pk, meter=bound.meter)
        with time_machine.travel(clock.now() + timedelta(minutes=61)):
            jobs_due_work()
            assert states(unconfirmed)[0] == "unconfirmed"
            assert device_jobs_again(handle=bound.handle) == 1
            assert [values[1] for values in take(bound)] == [unconfirmed.pk]
        assert states(unconfirmed)[0] == "unconfirmed"

    @pytest.mark.parametrize("handle", ["", "nobody"])
    def test_of_a_device_without_a_meter_nothing(self, bound: DeviceMeter, handle: str) -> None:
        credit(bound)
        take(bound)
        assert device_jobs_again(handle=handle) == 0


@pytest.mark.django_db(transaction=True)
def test_the_device_server_hears_of_a_job_when_it_is_committed() -> None:
    bound = device_meter_make()
    with connection.cursor() as cursor:
        cursor.execute(f"LISTEN {CHANNEL}")
    try:
        job_request(kind="cping", circuit=bound.circuit)
        connection.ensure_connection()
        heard = list(connection.connection.notifies(timeout=2, stop_after=1))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("UNLISTEN *")
    assert [notice_read(notice.payload) for notice in heard] == [
        (Notice.SEND, bound.device.shard, bound.device.pk)
    ]
