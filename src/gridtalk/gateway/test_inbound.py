"""Edges of the loop that a village meets sooner or later; each once made ``verify`` or us fail."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine

from gridtalk.alerts.models import Alert
from gridtalk.core import clock
from gridtalk.core.errors import Conflict
from gridtalk.core.models import SystemLog
from gridtalk.gateway import inbound
from gridtalk.gateway.conftest import CONSUMER, METER_PHONE, Village
from gridtalk.gateway.inbound import handle_waiting
from gridtalk.gateway.job_work import jobs_work
from gridtalk.grid.models import Circuit
from gridtalk.grid.services import meter_retire
from gridtalk.jobs.models import Job
from gridtalk.jobs.services import credit_reverse
from gridtalk.jobs.verify import verify
from gridtalk.messaging.models import IncomingMessage, Message, OutgoingMessage
from gridtalk.messaging.services import message_queue

pytestmark = pytest.mark.django_db

REPORT = "(job=pp&cid={}&wh=10&tu=60&ts={:%Y%m%d%H%M%S}&cr={}&status=1)"
ONE, MAINS = "192.168.1.201", "192.168.1.200"


@pytest.fixture(autouse=True)
def _clean_at_the_end(village: Village) -> Any:
    yield
    assert verify().errors == {}


def store(village: Village, number: str, text: str) -> IncomingMessage:
    incoming = IncomingMessage(
        number=number, text=text, communication_interface=village.interface, state="received"
    )
    incoming.save()
    return incoming


def test_a_mains_that_reports_credit_is_no_lost_money(village: Village) -> None:
    assert village.meter_says(REPORT.format(MAINS, clock.now(), "12.50")).outcome == "reports"
    assert Circuit.objects.get(is_main=True).credit == 0


def test_a_reversed_credit_that_the_meter_confirms_at_the_time_of_its_report(
    village: Village,
) -> None:
    village.consumer(f"add.{village.pin}.{village.token()}")
    job = village.job()
    credit_reverse(job=job, user=None, reason="wrong account")
    now = clock.now()
    village.meter_says(REPORT.format(ONE, now, 590))
    village.meter_says(f"(job=delete&jobid={job.pk}&cr=600&ts={now:%Y%m%d%H%M%S})")
    assert village.circuit.credit == 600


def test_a_report_from_before_the_hand_over_settles_nothing_whatever_stands_beside_it(
    village: Village,
) -> None:
    """One message, two reports: the credit rose before; the other's clock is ahead."""
    start = clock.now() - timedelta(hours=5)
    village.meter_says(REPORT.format(ONE, start, 100))
    with time_machine.travel(start + timedelta(hours=3), tick=False):
        village.consumer(f"add.{village.pin}.{village.token()}")
        village.hand_over()
    store(village, METER_PHONE, REPORT.format(ONE, start + timedelta(hours=2), 590))
    store(village, METER_PHONE, REPORT.format(ONE, clock.now() + timedelta(hours=20), 590))
    handle_waiting()
    assert village.circuit.credit == 590
    assert village.job().state == "sent"


def test_a_rule_without_a_text_ends_as_an_error_and_leaves_nothing(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*, incoming: IncomingMessage) -> str:
        OutgoingMessage.objects.create(
            number="1", text="half done", state="queued", communication_interface=village.interface
        )
        raise Conflict("the circuit is retired")

    monkeypatch.setattr(inbound, "consumer_message_handle", refuses)
    said = village.consumer("on.2345")
    assert (said.outcome, said.error, said.tries) == ("error", "the circuit is retired", 0)
    assert OutgoingMessage.objects.count() == 0


def test_what_makes_us_fail_is_tried_again_and_given_up_and_stops_nobody(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = inbound.consumer_message_handle

    def fails(*, incoming: IncomingMessage) -> str:
        if incoming.text == "poison":
            raise ValueError("a bug of ours")
        return real(incoming=incoming)

    monkeypatch.setattr(inbound, "consumer_message_handle", fails)
    poison = store(village, CONSUMER, "poison")
    assert village.consumer(f"bal.{village.pin}").outcome == "balance"
    start = clock.now()
    for minute in range(0, 20, 2):
        with time_machine.travel(start + timedelta(minutes=minute), tick=False):
            handle_waiting()
    poison.refresh_from_db()
    assert (poison.outcome, poison.tries) == ("failed", len(inbound.PAUSES) + 1)
    assert "a bug of ours" in poison.error
    assert SystemLog.objects.filter(source="gateway").count() == 1


def test_a_report_that_makes_us_fail_does_not_hold_up_the_batch(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = inbound.readings_take
    bad = store(village, METER_PHONE, REPORT.format(ONE, clock.now(), "1"))
    good = store(village, METER_PHONE, REPORT.format("192.168.1.202", clock.now(), "2"))

    def fails(*, messages: Any) -> Any:
        if any(item.message.pk == bad.pk for item in messages):
            raise ValueError("a bug of ours")
        return real(messages=messages)

    monkeypatch.setattr(inbound, "readings_take", fails)
    handle_waiting()
    for incoming in (bad, good):
        incoming.refresh_from_db()
    assert (good.outcome, bad.handled_at, bad.tries) == ("reports", None, 1)


def test_the_word_of_a_retired_meter_is_refused_and_its_credit_waits_for_a_person(
    village: Village,
) -> None:
    village.consumer(f"add.{village.pin}.{village.token()}")
    village.hand_over()
    meter_retire(meter=village.meter)
    job = village.job()
    assert village.meter_says(f"(job=delete&jobid={job.pk}&cr=600)").outcome == "refused"
    with time_machine.travel(clock.now() + timedelta(minutes=61)):
        jobs_work()
    assert village.job().state == "unconfirmed"
    assert village.consumer(f"bal.{village.pin}").outcome == "wrong pin"


@pytest.mark.parametrize(("credit", "ends"), [("780", "done"), ("600", "unconfirmed")])
def test_two_credits_under_way_are_settled_together_or_not_at_all(
    village: Village, credit: str, ends: str
) -> None:
    village.meter_says(REPORT.format(ONE, clock.now() - timedelta(hours=1), 100))
    for value in (500, 200):
        village.consumer(f"add.{village.pin}.{village.token(value)}")
    village.hand_over()
    with time_machine.travel(clock.now() + timedelta(minutes=90)):
        jobs_work()
        village.meter_says(REPORT.format(ONE, clock.now(), credit))
    assert {job.state for job in Job.objects.all()} == {ends}


def _lost_credit(village: Village) -> Job:
    """One credit of 500 that never arrives, and is unconfirmed 90 minutes from now."""
    village.meter_says(REPORT.format(ONE, clock.now() - timedelta(hours=1), 100))
    village.consumer(f"add.{village.pin}.{village.token()}")
    village.hand_over()
    return Job.objects.get()


@pytest.mark.parametrize("handed_over", [True, False], ids=["sent", "being sent"])
def test_a_rise_that_a_later_credit_explains_does_not_settle_a_lost_one(
    village: Village, handed_over: bool
) -> None:
    """The meter's clock is a minute behind: it seems to have the second before it was sent."""
    lost = _lost_credit(village)
    with time_machine.travel(clock.now() + timedelta(minutes=90), tick=False):
        jobs_work()
        village.consumer(f"add.{village.pin}.{village.token()}")
        if handed_over:
            village.hand_over()
        else:
            Message.objects.filter(state="queued", kind="job").update(state="sending")
        village.meter_says(REPORT.format(ONE, clock.now() - timedelta(minutes=1), 595))
    lost.refresh_from_db()
    assert lost.state == "unconfirmed"


def test_a_rise_that_an_acknowledged_credit_explains_does_not_settle_a_lost_one(
    village: Village,
) -> None:
    """Acknowledged without a credit; then a report from before it comes late."""
    lost = _lost_credit(village)
    with time_machine.travel(clock.now() + timedelta(minutes=90), tick=False) as traveller:
        jobs_work()
        village.consumer(f"add.{village.pin}.{village.token()}")
        village.hand_over()
        second = Job.objects.exclude(pk=lost.pk).get()
        village.meter_says(f"(job=delete&jobid={second.pk})")
        village.meter_says(REPORT.format(ONE, clock.now() - timedelta(minutes=2), 95))
        traveller.shift(timedelta(minutes=30))
        village.meter_says(REPORT.format(ONE, clock.now(), 590))
    lost.refresh_from_db()
    assert lost.state == "unconfirmed"


def test_the_largest_and_the_smallest_credit_are_kept(village: Village) -> None:
    edge = "99999999999999.99"
    now = clock.now()
    village.meter_says(REPORT.format(ONE, now - timedelta(minutes=9), edge))
    assert village.circuit.credit == Decimal(edge)
    village.meter_says(REPORT.format(ONE, now - timedelta(minutes=8), f"-{edge}"))
    assert village.circuit.credit == -Decimal(edge)
    assert village.meter_says(REPORT.format(ONE, now, "100000000000000")).outcome == "error"
    assert village.meter_says("(job=delete&jobid=1&cr=1e9)").outcome == "error"


SWITCHED = "(job=pp&cid={}&wh=10&tu=60&ts={:%Y%m%d%H%M%S}&cr={}&status={})"


@pytest.mark.parametrize(
    ("alert", "credit", "status", "stays"),
    [
        ("pmax", 100, 1, False),
        ("emax", 100, 1, False),
        ("pmax", 100, 0, True),
        ("emax", 100, 0, True),
        ("lcw&cr=10", 510, 1, False),
        ("lcw&cr=10", 9, 1, True),
        ("lcw", 510, 1, False),
        ("lcw", 90, 1, True),
        ("nocw&cr=0", 500, 1, False),
        ("nocw&cr=0", -1, 0, True),
        ("ce", 100, 1, True),
    ],
)
@pytest.mark.parametrize("backlog", [True, False], ids=["a backlog", "one by one"])
def test_a_report_after_an_alert_clears_it_however_many_waited(
    village: Village, alert: str, credit: int, status: int, stays: bool, backlog: bool
) -> None:
    now = clock.now()
    village.meter_says(SWITCHED.format(ONE, now - timedelta(hours=2), 95, 0))
    said = [
        f"(job=alert&cid={ONE}&alert={alert})",
        SWITCHED.format(ONE, now - timedelta(minutes=10), credit, status),
    ]
    for text in said:
        store(village, METER_PHONE, text)
        if not backlog:
            handle_waiting()
    handle_waiting()
    raised = Alert.objects.get()
    assert (raised.cleared_at is None) == stays
    assert IncomingMessage.objects.filter(handled_at=None).count() == 0


@pytest.mark.parametrize(
    "ahead", [timedelta(hours=-1), timedelta(hours=20)], ids=["late", "a clock ahead"]
)
def test_a_report_that_is_no_news_clears_nothing(village: Village, ahead: timedelta) -> None:
    now = clock.now()
    village.meter_says(SWITCHED.format(ONE, now - timedelta(minutes=30), 95, 0))
    store(village, METER_PHONE, f"(job=alert&cid={ONE}&alert=pmax)")
    store(village, METER_PHONE, SWITCHED.format(ONE, now + ahead, 95, 1))
    handle_waiting()
    assert Alert.objects.get().cleared_at is None


def test_an_alert_after_a_report_stays_however_many_waited(village: Village) -> None:
    store(village, METER_PHONE, SWITCHED.format(ONE, clock.now(), 95, 1))
    store(village, METER_PHONE, f"(job=alert&cid={ONE}&alert=pmax)")
    handle_waiting()
    assert Alert.objects.get().cleared_at is None


def questions(village: Village, *texts: str) -> list[IncomingMessage]:
    """Stored texts, each from a phone of its own."""
    return [store(village, f"+2237666{place:04}", text) for place, text in enumerate(texts)]


def test_questions_share_a_transaction_and_keep_their_place(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = []
    together, alone = inbound.questions_handle, inbound.message_handle
    monkeypatch.setattr(
        inbound, "questions_handle",
        lambda **given: groups.append(len(given["message_ids"])) or together(**given),
    )  # fmt: skip
    monkeypatch.setattr(
        inbound, "message_handle", lambda **given: groups.append(-1) or alone(**given)
    )
    balance = f"bal.{village.pin}"
    stored = questions(
        village, balance, f"use.{village.pin}", "hello", f"on.{village.pin}", balance, "help"
    )
    # The same number again: what it may ask depends on its last message.
    stored += [store(village, stored[-1].number, "hello"), store(village, "AIRTEL", "hello")]
    handle_waiting()
    assert groups == [3, -1, 2, 2]
    for incoming in stored:
        incoming.refresh_from_db()
    assert [incoming.outcome for incoming in stored] == [
        "balance", "usage", "unknown", "turn on", "balance", "help", "unknown", "unknown",
    ]  # fmt: skip
    answers = OutgoingMessage.objects.order_by("pk").values_list("incoming_id", flat=True)
    assert list(answers) == [stored[place].pk for place in (0, 1, 2, 4, 5, 6)]


def test_no_more_questions_together_than_the_first_can_wait_for(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbound, "QUESTIONS", 2)
    sizes: list[int] = []
    together = inbound.questions_handle
    monkeypatch.setattr(
        inbound, "questions_handle",
        lambda **given: sizes.append(len(given["message_ids"])) or together(**given),
    )  # fmt: skip
    questions(village, *["help"] * 5)
    handle_waiting()
    assert sizes == [2, 2, 1]


def test_a_question_that_makes_us_fail_costs_its_neighbours_nothing(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = inbound.consumer_message_handle

    def fails(*, incoming: IncomingMessage) -> str:
        if incoming.text == "help me":
            raise ValueError("a bug")
        return answer(incoming=incoming)

    monkeypatch.setattr(inbound, "consumer_message_handle", fails)
    stored = questions(village, "help", "help me", f"bal.{village.pin}")
    handle_waiting()
    for incoming in stored:
        incoming.refresh_from_db()
    assert [(one.outcome, one.tries) for one in stored] == [("help", 0), ("", 1), ("balance", 0)]
    assert OutgoingMessage.objects.count() == 2


def test_a_text_saved_in_one_statement_is_like_the_model(village: Village) -> None:
    incoming = store(village, CONSUMER, "hello")
    made = message_queue(
        interface=village.interface, number=CONSUMER, text="₦ 500", incoming=incoming
    )
    read = OutgoingMessage.objects.get(pk=made.pk)
    fields = [field.attname for field in OutgoingMessage._meta.concrete_fields]
    assert {name: getattr(made, name) for name in fields} == {
        name: getattr(read, name) for name in fields
    }
    # And it can be changed and saved as any other.
    made.text = "changed"
    made.save()
    assert OutgoingMessage.objects.get().text == "changed"
    assert Message.objects.filter(kind="outgoing").count() == 1
