"""The drain, with a transport that hands nothing over."""

import threading
import time
import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.conf import LazySettings
from django.db import OperationalError, connection
from psycopg.errors import DeadlockDetected

from gridtalk.core import clock, secrets
from gridtalk.core.models import SystemLog
from gridtalk.messaging import drain, drain_results
from gridtalk.messaging.drain import Drained, messages_send
from gridtalk.messaging.models import CommunicationInterface, Message, TwilioInterface
from gridtalk.messaging.outcomes import MessageOutcome
from gridtalk.messaging.services import delivery_report_take, message_queue
from gridtalk.messaging.testing import (
    ACCEPTED,
    AWAY,
    BUSY,
    SILENT,
    WRONG,
    FakeTransport,
    base,
    kannel,
    netbook,
)
from gridtalk.messaging.wire import DeliveryReport, HandOver, HttpRequest, Report

pytestmark = pytest.mark.django_db
State = Message.State
told: list[tuple[str, MessageOutcome]] = []
broken = False


def hook(*, message: Message, outcome: MessageOutcome) -> None:
    """Stands for ``jobs``."""
    told.append((message.state, outcome))
    if broken:
        raise ZeroDivisionError


@pytest.fixture(autouse=True)
def _nobody_told(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.MESSAGE_OUTCOME_HOOKS = {"job": "gridtalk.messaging.test_drain.hook"}
    told.clear()
    monkeypatch.setattr("gridtalk.messaging.test_drain.broken", False)


def queued(interface: CommunicationInterface, *, job: bool = False, **changed: Any) -> Message:
    message = message_queue(
        interface=interface,
        number=changed.pop("number", f"+2237{Message.objects.count():07}"),
        text=changed.pop("text", "hello"),
    )
    if job:
        changed["kind"] = "job"  # what this app sees of a JobMessage
    if changed:
        Message.objects.filter(pk=message.pk).update(**changed)
    return Message.objects.get(pk=message.pk)


def now_of(message: Message) -> Message:
    return Message.objects.get(pk=message.pk)


def test_a_due_text_is_handed_over_once(settings: LazySettings) -> None:
    settings.PUBLIC_URL = "https://grid.example.org"
    interface = kannel()
    message = queued(interface)
    transport = FakeTransport()
    assert messages_send(transport=transport) == Drained(1, unfinished=False)
    assert messages_send(transport=transport) == Drained(0, unfinished=False)
    row = now_of(message)
    assert (row.state, row.attempts, row.last_error) == (State.SENT, 1, "")
    assert row.sent_at is not None
    assert row.next_attempt_at is row.lease_until is None
    fields = parse_qs(urlsplit(transport.requests[0].url).query)
    assert fields["to"] == [message.number]
    signed = secrets.signature("report", str(message.uuid))
    assert fields["dlr-url"] == [
        f"https://grid.example.org/sms/report/{message.uuid}?sig={signed}&type=%d&answer=%A"
    ]
    assert base(interface).last_sent_at is not None


def test_only_due_messages_of_active_interfaces_that_push_are_taken() -> None:
    pushed, off = kannel(), kannel("Off", active=False)
    later = queued(pushed, next_attempt_at=clock.now() + timedelta(minutes=1))
    polled, silent, sent = queued(netbook()), queued(off), queued(pushed, state=State.SENT)
    assert messages_send(transport=FakeTransport()).attempts == 0
    assert {now_of(m).state for m in (later, polled, silent)} == {State.QUEUED}
    assert now_of(sent).attempts == 0


def test_a_kind_that_cannot_send_yet_fails_with_a_reason() -> None:
    interface = TwilioInterface.objects.create(name="T", account_id="a", token="t")
    message = queued(interface)
    assert messages_send(transport=FakeTransport()).attempts == 1
    row = now_of(message)
    assert row.state == State.FAILED
    assert "Twilio cannot send yet" in row.last_error
    assert "Twilio cannot send yet" in base(interface).last_error


@pytest.mark.parametrize(
    ("answer", "attempts", "seconds"),
    [
        pytest.param(BUSY, 0, 5, id="refused, first"),
        pytest.param(BUSY, 1, 15, id="refused, second"),
        pytest.param(BUSY, 5, 3600, id="refused, sixth"),
        pytest.param(BUSY, 5000, 3600, id="refused, very often"),
        pytest.param(AWAY, 0, 5, id="not reached, first"),
        pytest.param(AWAY, 9, 60, id="not reached, tenth"),
    ],
)
def test_a_temporary_refusal_is_tried_again_after_growing_pauses(
    answer: HandOver, attempts: int, seconds: int
) -> None:
    interface = kannel()
    message = queued(interface, attempts=attempts)
    with time_machine.travel(clock.now(), tick=False):
        messages_send(transport=FakeTransport(answer))
        row = now_of(message)
        assert (row.state, row.last_error) == (State.QUEUED, answer.detail)
        assert row.next_attempt_at == clock.now() + timedelta(seconds=seconds)
    assert row.attempts == attempts + 1
    assert base(interface).last_error == answer.detail
    assert SystemLog.objects.get().text == f"Malitel: {answer.detail}"
    with time_machine.travel(clock.now() + timedelta(seconds=seconds + 1)):
        messages_send(transport=FakeTransport())
        assert now_of(message).state == State.SENT


@pytest.mark.parametrize(
    ("answer", "state", "outcome"),
    [
        pytest.param(ACCEPTED, State.SENT, MessageOutcome.SENT, id="accepted"),
        pytest.param(BUSY, State.QUEUED, MessageOutcome.RETRY, id="temporary"),
        pytest.param(WRONG, State.FAILED, MessageOutcome.FAILED, id="permanent"),
        pytest.param(SILENT, State.SENT, MessageOutcome.UNKNOWN, id="unknown"),
        pytest.param(RuntimeError("gw:hush@k"), State.SENT, MessageOutcome.UNKNOWN, id="our bug"),
    ],
)
def test_the_owner_of_a_job_message_is_told(
    answer: HandOver | Exception, state: State, outcome: MessageOutcome
) -> None:
    message = queued(kannel(), job=True)
    messages_send(transport=FakeTransport(answer))
    assert told == [(state, outcome)]
    row = now_of(message)
    assert row.state == state
    assert "hush" not in row.last_error
    if outcome is MessageOutcome.UNKNOWN:
        assert row.last_error.startswith("handed over without an answer")


def test_a_text_without_an_answer_waits_for_a_report_and_is_sent_again() -> None:
    silent, reported = (queued(kannel(name)) for name in "ab")
    messages_send(transport=FakeTransport(SILENT))
    assert {now_of(m).state for m in (silent, reported)} == {State.SENDING}
    delivery_report_take(report=DeliveryReport(reported.uuid, Report.TAKEN))
    transport = FakeTransport()
    with time_machine.travel(clock.now() + timedelta(seconds=59)):
        assert messages_send(transport=transport).attempts == 0
    with time_machine.travel(clock.now() + timedelta(seconds=61)):
        assert messages_send(transport=transport).attempts == 1
    assert (now_of(silent).state, now_of(silent).attempts) == (State.SENT, 2)
    assert (now_of(reported).state, now_of(reported).attempts) == (State.SENT, 1)


def test_a_killed_senders_text_is_sent_again_and_its_job_is_not() -> None:
    interface = kannel()
    leased = {"state": State.SENDING, "attempts": 1}
    ends = clock.now() + drain.LEASE
    text = queued(interface, **leased, lease_until=ends, next_attempt_at=ends)
    job = queued(interface, job=True, **leased, lease_until=ends, next_attempt_at=ends)
    transport = FakeTransport()
    assert messages_send(transport=transport).attempts == 0
    assert told == []
    with time_machine.travel(ends + timedelta(seconds=1)):
        assert messages_send(transport=transport).attempts == 0
    assert told == [(State.SENT, MessageOutcome.UNKNOWN)]
    assert now_of(job).last_error.startswith("handed over without an answer")
    assert now_of(text).state == State.SENDING
    with time_machine.travel(ends + timedelta(seconds=61)):
        assert messages_send(transport=transport).attempts == 1
    assert now_of(text).state == State.SENT
    assert (now_of(job).state, now_of(job).attempts) == (State.SENT, 1)
    assert len(told) == 1


def test_a_bridges_messages_have_no_lease_to_end() -> None:
    message = queued(netbook(), state=State.SENDING, attempts=1)
    with time_machine.travel(clock.now() + timedelta(hours=1)):
        messages_send(transport=FakeTransport())
    assert now_of(message).state == State.SENDING


def test_a_report_that_is_faster_than_the_answer_stands() -> None:
    message = queued(kannel(), job=True)

    class Reporting(FakeTransport):
        def __call__(self, request: HttpRequest, provider: object) -> HandOver:
            # The drain's thread sees what another connection would have written meanwhile.
            written.set()
            return super().__call__(request, provider)

    written = threading.Event()
    lane_land = drain._land

    def land(lane: Any) -> Any:
        if written.is_set():
            written.clear()
            delivery_report_take(report=DeliveryReport(message.uuid, Report.DELIVERED))
        return lane_land(lane)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drain, "_land", land)
        messages_send(transport=Reporting())
    assert now_of(message).state == State.DELIVERED
    assert told == [(State.DELIVERED, MessageOutcome.DELIVERED)]


def test_two_texts_to_one_number_go_in_order_and_one_at_a_time() -> None:
    interface = kannel()
    for index in range(30):
        queued(interface, number=f"+2237000{index % 3:04}", text=f"text {index:02}")
    lock, flying, order = threading.Lock(), set(), []

    def transport(request: HttpRequest, provider: object) -> HandOver:
        fields = parse_qs(urlsplit(request.url).query)
        number, text = fields["to"][0], fields["text"][0]
        with lock:
            assert number not in flying
            flying.add(number)
            order.append((number, text))
        time.sleep(0.002)
        with lock:
            flying.remove(number)
        return ACCEPTED

    assert messages_send(transport=transport).attempts == 30
    assert not Message.objects.exclude(state=State.SENT).exists()
    for number in {number for number, _ in order}:
        texts = [text for to, text in order if to == number]
        assert texts == sorted(texts)


def test_a_dead_provider_does_not_hold_up_another() -> None:
    dead, alive = kannel("Dead", host="dead"), kannel("Alive", host="alive")
    for _ in range(20):
        queued(dead)
    for _ in range(20):
        queued(alive)
    release, sent_before = threading.Event(), []

    def transport(request: HttpRequest, provider: object) -> HandOver:
        if urlsplit(request.url).hostname == "dead":
            release.wait(10)
            return AWAY
        sent_before.append(request)
        if len(sent_before) == 20:
            release.set()
        return ACCEPTED

    drained = messages_send(transport=transport)
    assert release.is_set()
    assert len(sent_before) == 20
    # The dead lane rested after its first round: the others were not tried in vain.
    assert drained.attempts == 20 + drain.SLOTS
    assert Message.objects.filter(attempts=0, state=State.QUEUED).count() == 20 - drain.SLOTS


def test_a_provider_in_a_streak_is_probed_and_comes_back_as_a_whole() -> None:
    interface = kannel()
    waiting = [queued(interface) for _ in range(12)]
    refused = queued(interface, attempts=4, next_attempt_at=clock.now() + timedelta(minutes=10))
    CommunicationInterface.objects.filter(pk=interface.pk).update(last_error_at=clock.now())
    assert messages_send(transport=FakeTransport(AWAY)).attempts == 1
    assert messages_send(transport=FakeTransport()).attempts >= 12
    assert {now_of(message).state for message in waiting} == {State.SENT}
    messages_send(transport=FakeTransport())
    assert now_of(refused).state == State.SENT


def test_an_owner_that_fails_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    interface = kannel()
    job, text = queued(interface, job=True), queued(interface)
    monkeypatch.setattr("gridtalk.messaging.test_drain.broken", True)
    messages_send(transport=FakeTransport())
    assert now_of(text).state == State.SENT
    assert now_of(job).state == State.SENDING
    assert "ZeroDivisionError" in SystemLog.objects.get().text
    monkeypatch.setattr("gridtalk.messaging.test_drain.broken", False)
    with time_machine.travel(clock.now() + drain_results.AFTER_BUG + timedelta(seconds=1)):
        messages_send(transport=FakeTransport())
    assert now_of(job).state == State.SENT
    assert told[-1] == (State.SENT, MessageOutcome.UNKNOWN)


def test_a_deadlock_costs_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    queued(kannel(), job=True)
    met: list[int] = []

    def meeting_once(row: Message, outcome: MessageOutcome) -> None:
        met.append(row.pk)
        if len(met) == 1:
            raise OperationalError("deadlock detected") from DeadlockDetected()
        told.append((row.state, outcome))

    monkeypatch.setattr(drain_results, "outcome_tell", meeting_once)
    messages_send(transport=FakeTransport(WRONG))
    assert told == [(State.FAILED, MessageOutcome.FAILED)]
    assert len(met) == 2


def test_a_password_that_cannot_be_read_is_said_and_loses_nothing() -> None:
    interface, other = kannel(), kannel("Other")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE kannel_interfaces SET password = 'x' WHERE id = %s", [interface.pk])
    stuck, text = queued(interface), queued(other)
    assert messages_send(transport=FakeTransport()).attempts == 1
    assert (now_of(stuck).state, now_of(stuck).attempts) == (State.QUEUED, 0)
    assert now_of(text).state == State.SENT
    assert "secrets file" in base(interface).last_error


def test_a_long_drain_lets_the_next_one_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    interface = kannel()
    for _ in range(drain.SLOTS + 5):
        queued(interface)
    monkeypatch.setattr(drain, "LONGEST_DRAIN_S", 0.05)

    def transport(request: HttpRequest, provider: object) -> HandOver:
        time.sleep(0.1)
        return ACCEPTED

    assert messages_send(transport=transport) == Drained(drain.SLOTS, unfinished=True)
    assert not Message.objects.filter(state=State.SENDING).exists()
    assert messages_send(transport=transport).attempts == 5


def test_a_report_url_is_signed() -> None:
    message_uuid = uuid.uuid4()
    signed = parse_qs(urlsplit(drain.report_url(message_uuid)).query)["sig"][0]
    assert secrets.signature_matches("report", str(message_uuid), signed)
    assert not secrets.signature_matches("report", str(uuid.uuid4()), signed)
