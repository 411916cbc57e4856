"""Queueing, delivery reports, the bridge's words, interfaces."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.conf import LazySettings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gridtalk.core import clock, secrets
from gridtalk.core.errors import NotFound, UserError
from gridtalk.core.models import SystemLog
from gridtalk.messaging import services
from gridtalk.messaging.models import (
    CommunicationInterface,
    IncomingMessage,
    KannelInterface,
    Message,
    OutgoingMessage,
)
from gridtalk.messaging.outcomes import MessageOutcome
from gridtalk.messaging.testing import base, kannel, netbook
from gridtalk.messaging.wire import DeliveryReport, Report

pytestmark = pytest.mark.django_db
State = Message.State
told: list[tuple[uuid.UUID, str, MessageOutcome]] = []


def hook(*, message: Message, outcome: MessageOutcome) -> None:
    """Stands for ``jobs``: notes what it is told, and the state that it sees in the database."""
    told.append((message.uuid, Message.objects.get(pk=message.pk).state, outcome))


@pytest.fixture(autouse=True)
def _told(settings: LazySettings) -> None:
    settings.MESSAGE_OUTCOME_HOOKS = {"outgoing": "gridtalk.messaging.test_services.hook"}
    told.clear()


def queued(interface: CommunicationInterface, **changed: Any) -> OutgoingMessage:
    message = services.message_queue(interface=interface, number="+22370008888", text="hello")
    if changed:
        Message.objects.filter(pk=message.pk).update(**changed)
    return message


def state_of(message: Message) -> tuple[str, str]:
    row = Message.objects.get(pk=message.pk)
    return row.state, row.last_error


def test_a_queued_text_is_due_at_once() -> None:
    interface = kannel()
    incoming = IncomingMessage.objects.create(
        number="+22370008888", text="bal", communication_interface=interface, state=State.RECEIVED
    )
    before = clock.now()
    message = services.message_queue(
        interface=interface, number=" +22370008888 ", text="a\x00" * 161, incoming=incoming
    )
    row = OutgoingMessage.objects.get(pk=message.pk)
    assert (row.kind, row.state, row.number) == ("outgoing", State.QUEUED, "+22370008888")
    assert (row.segments, row.incoming, row.attempts) == (5, incoming, 0)
    assert "\x00" not in row.text
    assert before <= row.next_attempt_at <= clock.now()


@pytest.mark.parametrize(
    ("number", "text", "reason"),
    [
        pytest.param("", "hello", "no number", id="no number"),
        pytest.param("  ", "hello", "no number", id="a blank number"),
        pytest.param("1", "a" * 1531, "takes 11 SMS", id="GSM-7 in 11 parts"),
        pytest.param("1", "漢" * 671, "takes 11 SMS", id="UCS-2 in 11 parts"),
    ],
)
def test_a_text_that_cannot_be_sent_is_refused(number: str, text: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        services.message_queue(interface=kannel(), number=number, text=text)
    assert not Message.objects.exists()


QUEUED, SENDING, SENT = State.QUEUED, State.SENDING, State.SENT
DELIVERED, FAILED, EXPIRED = State.DELIVERED, State.FAILED, State.EXPIRED
LOST = MessageOutcome.UNDELIVERED


@pytest.mark.parametrize(
    ("state", "report", "after", "outcome"),
    [
        (SENT, Report.DELIVERED, DELIVERED, MessageOutcome.DELIVERED),
        (SENDING, Report.DELIVERED, DELIVERED, MessageOutcome.DELIVERED),
        (QUEUED, Report.DELIVERED, DELIVERED, MessageOutcome.DELIVERED),
        (FAILED, Report.DELIVERED, DELIVERED, MessageOutcome.DELIVERED),
        (EXPIRED, Report.DELIVERED, DELIVERED, MessageOutcome.DELIVERED),
        (DELIVERED, Report.DELIVERED, DELIVERED, None),
        (SENDING, Report.TAKEN, SENT, MessageOutcome.SENT),
        (QUEUED, Report.TAKEN, SENT, MessageOutcome.SENT),
        (SENT, Report.TAKEN, SENT, None),
        (DELIVERED, Report.TAKEN, DELIVERED, None),
        (FAILED, Report.TAKEN, FAILED, None),
        (SENT, Report.UNDELIVERED, FAILED, LOST),
        (SENDING, Report.UNDELIVERED, FAILED, LOST),
        (DELIVERED, Report.UNDELIVERED, DELIVERED, None),
        (SENT, Report.REFUSED, FAILED, MessageOutcome.REFUSED),
        (SENDING, Report.REFUSED, FAILED, MessageOutcome.REFUSED),
        (DELIVERED, Report.REFUSED, DELIVERED, None),
        (FAILED, Report.UNDELIVERED, FAILED, None),
        (SENT, Report.WAITING, SENT, None),
        (SENDING, Report.WAITING, SENDING, None),
    ],
)
def test_reports(
    state: State, report: Report, after: State, outcome: MessageOutcome | None
) -> None:
    message = queued(kannel(), state=state)
    with CaptureQueriesContext(connection) as queries:
        taken = services.delivery_report_take(report=DeliveryReport(message.uuid, report, "NACK/"))
    assert taken
    pages_told = any(f"number:{message.number}" in query["sql"] for query in queries)
    assert pages_told == (outcome is not None), "open pages are told of what changed, and only then"
    row = Message.objects.get(pk=message.pk)
    assert row.state == after
    assert told == ([(message.uuid, after, outcome)] if outcome else [])
    if outcome is LOST:
        assert row.last_error == "NACK/"
        assert "NACK/" in base(row.communication_interface).last_error
    if outcome in {MessageOutcome.SENT, MessageOutcome.DELIVERED}:
        assert row.sent_at is not None
        assert row.next_attempt_at is row.lease_until is None


def test_a_report_on_an_incoming_or_unknown_message_changes_nothing() -> None:
    incoming = IncomingMessage.objects.create(
        number="1", text="bal", communication_interface=kannel(), state=State.RECEIVED
    )
    for message_uuid in (incoming.uuid, uuid.uuid4()):
        report = DeliveryReport(message_uuid, Report.DELIVERED)
        assert services.delivery_report_take(report=report) is False
    assert state_of(incoming)[0] == State.RECEIVED


def test_a_bridge_is_handed_its_own_messages_until_it_removes_them() -> None:
    mine, other = netbook(), netbook("Other", key="other")
    first, second = queued(mine), queued(mine)
    nobody, later = queued(mine, number=""), queued(mine)
    Message.objects.filter(pk=later.pk).update(next_attempt_at=clock.now() + timedelta(hours=1))
    queued(other)
    for _ in range(2):
        taken = services.polled_messages_take(interface_id=mine.pk)
        assert [message.pk for message in taken] == [first.pk, second.pk]
    for _ in range(2):
        services.polled_message_remove(interface_id=mine.pk, uuid=first.uuid)
    assert told == [(first.uuid, State.SENT, MessageOutcome.SENT)]
    assert [m.pk for m in services.polled_messages_take(interface_id=mine.pk)] == [second.pk]
    assert state_of(nobody)[0] == State.QUEUED
    assert base(mine).last_sent_at is not None


def test_a_bridge_is_handed_a_jobs_message_once() -> None:
    mine = netbook()
    message = queued(mine)
    Message.objects.filter(pk=message.pk).update(kind="job")
    assert [m.pk for m in services.polled_messages_take(interface_id=mine.pk)] == [message.pk]
    assert services.polled_messages_take(interface_id=mine.pk) == []
    assert state_of(message) == (State.SENT, services.HANDED_OUT)
    services.polled_message_remove(interface_id=mine.pk, uuid=message.uuid)
    assert state_of(message) == (State.SENT, "")


def test_a_bridge_removes_no_other_interfaces_message() -> None:
    mine, other = netbook(), netbook("Other", key="other")
    message = queued(other)
    for message_uuid in (message.uuid, uuid.uuid4()):
        with pytest.raises(NotFound):
            services.polled_message_remove(interface_id=mine.pk, uuid=message_uuid)
    assert state_of(message)[0] == State.QUEUED


def test_what_waits_too_long_expires() -> None:
    mine = netbook()
    with time_machine.travel(clock.now() - timedelta(hours=73), tick=False):
        refused = queued(kannel(), last_error="Kannel answered 503")
        handed_out, delivered = queued(mine), queued(mine, state=State.DELIVERED)
        services.polled_messages_take(interface_id=mine.pk)
    young = queued(mine)
    assert services.messages_expire() == 2
    assert state_of(refused) == (
        State.EXPIRED,
        "not sent within 72 hours; last: Kannel answered 503",
    )
    assert state_of(handed_out)[0] == State.EXPIRED
    assert state_of(young)[0] == State.QUEUED
    assert state_of(delivered)[0] == State.DELIVERED
    assert told == [
        (refused.uuid, State.EXPIRED, MessageOutcome.FAILED),
        (handed_out.uuid, State.EXPIRED, MessageOutcome.UNKNOWN),
    ]


def test_each_streak_of_errors_is_one_line_in_the_system_log() -> None:
    interface = kannel()
    for text in ("refused", "refused again"):
        services.interface_error_note(interface_id=interface.pk, error=text)
    assert base(interface).last_error == "refused again"
    assert services.in_streak(base(interface))
    CommunicationInterface.objects.filter(pk=interface.pk).update(last_sent_at=clock.now())
    assert not services.in_streak(base(interface))
    services.interface_error_note(interface_id=interface.pk, error="once more")
    lines = list(SystemLog.objects.order_by("id").values_list("source", "level", "text"))
    assert lines == [
        ("kannel", "error", "Malitel: refused"),
        ("kannel", "error", "Malitel: once more"),
    ]


def test_an_interface_is_made_with_its_key_and_its_set_up(settings: LazySettings) -> None:
    settings.PUBLIC_URL = "https://grid.example.org"
    interface, key = services.interface_create(
        kind="kannel", name="Malitel", host="k", username="gw", password="pw", region="ML"
    )
    row = KannelInterface.objects.get(pk=interface.pk)
    assert (row.kind, row.host, row.port, row.password) == ("kannel", "k", 13013, "pw")
    assert secrets.key_matches(key, row.inbound_key_hash)
    line = services.interface_set_up(interface=interface, key=key)[0]
    assert line.text.startswith(f"https://grid.example.org/sms/kannel/{row.pk}/in?key={key}&id=%I")
    again = services.interface_key_set(interface=interface)
    assert again != key
    assert secrets.key_matches(again, base(interface).inbound_key_hash)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"kind": "pigeon", "name": "x"}, "no kind “pigeon”", id="unknown kind"),
        pytest.param({"kind": "kannel", "name": "x"}, "host: .*username: ", id="fields missing"),
        pytest.param({"kind": "netbook", "name": ""}, "name: ", id="no name"),
        pytest.param({"kind": "netbook", "name": "Taken"}, "name: .*exists", id="name taken"),
        pytest.param(
            {"kind": "netbook", "name": "x", "lang": "de"}, "lang: ", id="an unknown language"
        ),
        pytest.param(
            {"kind": "netbook", "name": "x", "host": "k"}, "no “host”", id="not its field"
        ),
        pytest.param(
            {"kind": "netbook", "name": "x", "inbound_key_hash": "0"}, "no “inbound", id="not ours"
        ),
        pytest.param({"kind": "netbook", "name": "x", "id": 5}, "no “id”", id="the key"),
    ],
)
def test_an_interface_that_cannot_be_is_refused(fields: dict[str, Any], reason: str) -> None:
    netbook("Taken")
    with pytest.raises(UserError, match=reason):
        services.interface_create(**fields)
    assert CommunicationInterface.objects.count() == 1
