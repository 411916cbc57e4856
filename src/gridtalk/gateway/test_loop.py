"""The prepaid loop on the real database: tokens, jobs, acknowledgements, answers, the ledger."""

from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from django.db import transaction

from gridtalk.alerts.models import Alert, UnresponsiveJob
from gridtalk.core import clock
from gridtalk.core.errors import Conflict, UserError
from gridtalk.core.models import SystemLog
from gridtalk.gateway.conftest import CONSUMER, FRIEND, Village
from gridtalk.gateway.job_work import jobs_work
from gridtalk.grid.models import Meter
from gridtalk.jobs import services as jobs
from gridtalk.jobs.models import AddCredit, Job, JobMessage, TurnOn
from gridtalk.jobs.verify import verify
from gridtalk.messaging.outcomes import MessageOutcome
from gridtalk.prepaid.models import LedgerEntry, Token
from gridtalk.prepaid.services import token_void

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _clean_at_the_end(village: Village):
    yield
    report = verify()
    assert report.errors == {}


def states() -> tuple[str, str]:
    return Job.objects.get().state, Token.objects.get().state


def test_a_token_becomes_credit_once_the_meter_confirms(village: Village) -> None:
    number = village.token()
    assert village.consumer(f"add.{village.pin}.{number}").outcome == "add credit"
    assert states() == ("queued", "pending")
    assert village.answers() == [], "nothing but errors is said at once"
    job = village.job()
    assert village.hand_over() == [f"(job=cr&jobid={job.pk}&cid=192.168.1.201&amt=500.0)"]
    assert states() == ("sent", "pending")

    acknowledged = village.meter_says(f"(job=delete&jobid={job.pk}&status=1&cr=599.75)")
    assert acknowledged.outcome == "acknowledged"
    assert states() == ("done", "used")
    assert village.circuit.credit == Decimal("599.75")
    assert not village.circuit.credit_estimated
    assert len(village.answers()) == 1
    assert "599.75" in village.answers()[0]


def test_a_repeated_acknowledgement_changes_nothing_and_answers_nobody(village: Village) -> None:
    village.consumer(f"add.{village.pin}.{village.token()}")
    village.hand_over()
    text = f"(job=delete&jobid={village.job().pk}&status=1&cr=600)"
    village.meter_says(text)
    rows, answers = LedgerEntry.objects.count(), len(village.answers())
    assert village.meter_says(text.replace("600", "900")).outcome == "acknowledged again"
    assert (LedgerEntry.objects.count(), len(village.answers())) == (rows, answers)
    assert village.circuit.credit == 600


def test_an_acknowledgement_without_credit_leaves_it_and_marks_it(village: Village) -> None:
    village.consumer(f"add.{village.pin}.{village.token()}")
    village.hand_over()
    village.meter_says(f"(job=delete&jobid={village.job().pk})")
    assert states() == ("done", "used")
    assert village.circuit.credit == 100
    assert village.circuit.credit_estimated


def test_an_acknowledgement_from_another_meter_is_refused(village: Village) -> None:
    village.consumer(f"add.{village.pin}.{village.token()}")
    village.hand_over()
    other = Meter.objects.create(
        name="ml02", phone="+22370000009", communication_interface=village.interface
    )
    said = village.says(str(other.phone), f"(job=delete&jobid={village.job().pk}&cr=600)")
    assert said.outcome == "error"
    assert "ml02" in said.error
    assert states() == ("sent", "pending")


@pytest.mark.parametrize("gap", ["", "handed over", "acknowledged"])
def test_a_token_is_redeemed_once_whoever_repeats_it(village: Village, gap: str) -> None:
    number = village.token()
    village.consumer(f"add.{village.pin}.{number}")
    if gap:
        village.hand_over()
    if gap == "acknowledged":
        village.meter_says(f"(job=delete&jobid={village.job().pk}&cr=600)")
    other_pin = village.meter.circuits.get(ip_address="192.168.1.202").pin
    village.consumer(f"add.{other_pin}.{number}", FRIEND)
    assert AddCredit.objects.count() == 1
    assert LedgerEntry.objects.filter(cause="redemption").count() == 1
    expected = "used already" if gap == "acknowledged" else "being added"
    assert expected in village.answers(FRIEND)[0]


def test_who_used_a_token_is_told_when_and_a_stranger_is_not(village: Village) -> None:
    number = village.token()
    village.consumer(f"add.{village.pin}.{number}")
    village.hand_over()
    village.meter_says(f"(job=delete&jobid={village.job().pk}&cr=600)")
    village.consumer(f"add.{village.pin}.{number}")
    assert f"for account {village.pin}" in village.answers()[-1]


@pytest.mark.parametrize(
    ("text", "outcome", "says"),
    [
        ("add.{pin}.99999999999", "wrong token", "no token"),
        ("add.2345.{token}", "wrong pin", "no account"),
        ("add.2345.999", "wrong pin", "no account"),
        ("bal.2345", "wrong pin", "no account"),
        ("bal", "hint", "bal."),
        ("add.{pin}", "hint", "TOKEN"),
        ("hello", "unknown", "bal.ACCOUNT"),
        ("help", "help", "bal.ACCOUNT"),
        ("lang.{pin}.xx", "unknown language", "en, fr, sw"),
        ("prim.{pin}.12", "bad number", "not a phone number"),
        ("bal.{pin}", "balance", "credit 100.00"),
        ("*2*{pin}#", "balance", "credit 100.00"),
        ("use.{pin}", "usage", "no report"),
    ],
)
def test_one_text_says_what_is_wrong_or_asked(
    village: Village, text: str, outcome: str, says: str
) -> None:
    filled = text.format(pin=village.pin, token=village.token())
    assert village.consumer(filled).outcome == outcome
    assert len(village.answers()) == 1
    assert says in village.answers()[0]


def test_an_answer_is_in_the_accounts_language(village: Village) -> None:
    village.consumer(f"lang.{village.pin}.fr")
    village.consumer(f"solde.{village.pin}")
    assert "dit" in village.answers()[-1]
    village.consumer(f"lugha.{village.pin}.sw")
    village.consumer(f"salio.{village.pin}")
    assert "Akaunti" in village.answers()[-1]


def test_help_is_sent_at_most_once_an_hour(village: Village) -> None:
    for _ in range(3):
        village.consumer("hello there")
    assert len(village.answers()) == 1
    with time_machine.travel(clock.now() + timedelta(minutes=61)):
        village.consumer("hello there")
    assert len(village.answers()) == 2


def test_guessing_is_stopped_even_for_a_right_pin(village: Village) -> None:
    for guess in range(10):
        village.consumer(f"bal.{guess}")
    village.consumer(f"bal.{village.pin}")
    village.consumer(f"bal.{village.pin}")
    assert "wait" in village.answers()[-1]
    assert len(village.answers()) == 11, "told once, then silence"
    assert village.consumer(f"bal.{village.pin}", FRIEND).outcome == "balance"


def test_on_is_refused_at_zero_credit(village: Village) -> None:
    village.meter.circuits.update(credit=0)
    assert village.consumer(f"on.{village.pin}").outcome == "no credit"
    assert Job.objects.count() == 0
    assert "0.00" in village.answers()[0]


def test_off_and_on_take_each_others_place_while_queued(village: Village) -> None:
    village.consumer(f"off.{village.pin}")
    village.consumer(f"on.{village.pin}")
    assert list(Job.objects.order_by("pk").values_list("kind", "state")) == [
        ("turn_off", "cancelled"),
        ("turn_on", "queued"),
    ]
    texts = village.hand_over()
    assert len(texts) == 1
    assert texts[0].startswith("(job=con&")
    job = TurnOn.objects.get()
    village.meter_says(f"(job=delete&jobid={job.pk}&status=1&cr=99.50)")
    assert "99.50" in village.answers()[0]


def test_an_off_job_is_sent_again_and_then_given_up_once(village: Village) -> None:
    village.consumer(f"off.{village.pin}")
    village.hand_over()
    start = clock.now()
    for minutes in (2, 5, 12, 25):
        with time_machine.travel(start + timedelta(minutes=minutes)):
            jobs_work()
            village.hand_over()
    sent = JobMessage.objects.count()
    assert sent >= 4, "growing pauses, but again and again"
    with time_machine.travel(start + timedelta(minutes=61)):
        jobs_work()
        jobs_work()
    assert village.job().state == "expired"
    assert UnresponsiveJob.objects.count() == 1
    assert len(village.answers()) == 1


def test_credit_is_not_sent_again_to_a_meter_that_forgets(village: Village) -> None:
    village.consumer(f"add.{village.pin}.{village.token()}")
    village.hand_over()
    start = clock.now()
    for minutes in (2, 10, 40, 61, 120, 400):
        with time_machine.travel(start + timedelta(minutes=minutes)):
            jobs_work()
            village.hand_over()
    assert JobMessage.objects.count() == 1
    assert states() == ("unconfirmed", "pending")
    assert UnresponsiveJob.objects.filter(cleared_at__isnull=True).count() == 1
    assert len(village.answers()) == 1
    village.meter_says(f"(job=delete&jobid={village.job().pk}&cr=600)")
    jobs_work()
    assert states() == ("done", "used")
    assert UnresponsiveJob.objects.filter(cleared_at__isnull=True).count() == 0
    assert len(village.answers()) == 2


def test_credit_is_sent_again_to_a_meter_that_knows_its_jobs(village: Village) -> None:
    Meter.objects.update(knows_job_ids=True)
    village.consumer(f"add.{village.pin}.{village.token()}")
    village.hand_over()
    with time_machine.travel(clock.now() + timedelta(minutes=2)):
        jobs_work()
        assert len(village.hand_over()) == 1
    assert AddCredit.objects.count() == 1


def test_credit_is_sent_again_where_the_hand_over_provably_failed(village: Village) -> None:
    village.consumer(f"add.{village.pin}.{village.token()}")
    village.hand_over()
    message = JobMessage.objects.get()
    message.state = "failed"
    message.save()
    with transaction.atomic():
        jobs.job_message_outcome(message=message, outcome=MessageOutcome.REFUSED)
    assert village.job().state == "queued"
    with time_machine.travel(clock.now() + timedelta(minutes=3)):
        jobs_work()
        assert len(village.hand_over()) == 1
    assert states() == ("sent", "pending")


def test_a_hand_over_without_an_answer_counts_as_sent(village: Village) -> None:
    village.consumer(f"add.{village.pin}.{village.token()}")
    village.hand_over(MessageOutcome.UNKNOWN)
    assert states() == ("sent", "pending")
    with time_machine.travel(clock.now() + timedelta(minutes=30)):
        jobs_work()
    assert JobMessage.objects.count() == 1


def test_credit_refused_for_good_waits_for_a_person(village: Village) -> None:
    village.consumer(f"add.{village.pin}.{village.token()}")
    village.hand_over(MessageOutcome.FAILED)
    jobs_work()
    jobs_work()
    assert states() == ("failed", "pending")
    assert UnresponsiveJob.objects.filter(cleared_at__isnull=True).count() == 1
    jobs.credit_resend(job=village.job(), user=None, reason="the number was mended")
    assert len(village.hand_over()) == 1
    village.meter_says(f"(job=delete&jobid={village.job().pk}&cr=600)")
    assert states() == ("done", "used")


@pytest.mark.parametrize("credit", ["590.00", "599.99", "600.00", "400"])
def test_unconfirmed_credit_settles_when_a_report_shows_it(village: Village, credit: str) -> None:
    report = "(job=pp&cid=192.168.1.201&wh=10&tu=60&ts={:%Y%m%d%H%M%S}&cr={}&status=1)"
    before = clock.now() - timedelta(hours=1)
    village.meter_says(report.format(before, "100"))
    village.consumer(f"add.{village.pin}.{village.token()}")
    village.hand_over()
    with time_machine.travel(clock.now() + timedelta(minutes=90)):
        jobs_work()
        assert states() == ("unconfirmed", "pending")
        village.meter_says(report.format(clock.now(), credit))
        assert states() == ("done", "used")
        assert len(village.answers()) == 2, "told that it waits, then that it is there"


@pytest.mark.parametrize("credit", ["95.00", "100.00", "120", "700"])
def test_a_report_that_does_not_show_it_settles_nothing(village: Village, credit: str) -> None:
    report = "(job=pp&cid=192.168.1.201&wh=10&tu=60&ts={:%Y%m%d%H%M%S}&cr={}&status=1)"
    village.meter_says(report.format(clock.now() - timedelta(hours=1), "100"))
    village.consumer(f"add.{village.pin}.{village.token()}")
    village.hand_over()
    with time_machine.travel(clock.now() + timedelta(minutes=90)):
        jobs_work()
        village.meter_says(report.format(clock.now(), credit))
        assert states() == ("unconfirmed", "pending")


def _unconfirmed(village: Village) -> Job:
    village.consumer(f"add.{village.pin}.{village.token()}")
    village.hand_over()
    with time_machine.travel(clock.now() + timedelta(minutes=61)):
        jobs_work()
    return village.job()


def test_a_reversal_voids_the_token_and_makes_a_new_one(village: Village) -> None:
    job = _unconfirmed(village)
    token = jobs.credit_reverse(job=job, user=None, reason="meter was stolen", new_token=True)
    assert token is not None
    assert (token.value, token.state) == (500, "new")
    assert Token.objects.get(add_credit=job.pk).state == "void"
    assert village.job().state == "cancelled"
    with pytest.raises(Conflict):
        jobs.credit_reverse(job=job, user=None, reason="again")
    with pytest.raises(Conflict):
        jobs.credit_resend(job=job, user=None, reason="again")


def test_a_meter_that_applies_reversed_credit_is_in_the_ledger_once(village: Village) -> None:
    job = _unconfirmed(village)
    jobs.credit_reverse(job=job, user=None, reason="it seemed lost")
    for _ in range(2):
        village.meter_says(f"(job=delete&jobid={job.pk}&cr=600)")
    assert LedgerEntry.objects.filter(cause="delivery").count() == 1
    assert SystemLog.objects.filter(source="jobs").count() == 1
    assert village.circuit.credit == 600
    assert village.job().state == "cancelled"


@pytest.mark.parametrize("action", ["resend", "reverse"])
def test_a_person_needs_a_reason(village: Village, action: str) -> None:
    job = _unconfirmed(village)
    with pytest.raises(UserError, match="say why"):
        getattr(jobs, f"credit_{action}")(job=job, user=None, reason="  ")


def test_credit_on_its_way_is_neither_resent_nor_reversed(village: Village) -> None:
    village.consumer(f"add.{village.pin}.{village.token()}")
    village.hand_over()
    for action in (jobs.credit_resend, jobs.credit_reverse):
        with pytest.raises(Conflict):
            action(job=village.job(), user=None, reason="hurry")


def test_a_message_in_the_senders_hands_stops_a_reversal(village: Village) -> None:
    village.consumer(f"add.{village.pin}.{village.token()}")
    JobMessage.objects.update(state="sending")
    with pytest.raises(Conflict, match="handed over right now"):
        jobs.credit_reverse(job=village.job(), user=None, reason="too late")
    assert states() == ("queued", "pending")


def test_credit_that_never_left_can_be_reversed(village: Village) -> None:
    village.consumer(f"add.{village.pin}.{village.token()}")
    jobs.credit_reverse(job=village.job(), user=None, reason="wrong account")
    assert village.hand_over() == []


def test_credit_without_a_token_is_an_adjustment(village: Village) -> None:
    job = jobs.credit_add(
        circuit=village.circuit, amount=Decimal("20.5"), user=None, reason="broken meter"
    )
    assert village.hand_over()[0].endswith("&amt=20.5)")
    village.meter_says(f"(job=delete&jobid={job.pk}&cr=120.5)")
    assert village.circuit.credit == Decimal("120.5")
    assert village.answers() == []


def test_a_void_token_buys_nothing(village: Village) -> None:
    number = village.token()
    token_void(token=Token.objects.get(), user=None, reason="paper lost")
    assert village.consumer(f"add.{village.pin}.{number}").outcome == "wrong token"


def test_a_pin_alone_does_not_steal_an_account(village: Village) -> None:
    account = village.circuit.account
    assert account is not None
    account.phone = CONSUMER
    account.save()
    assert village.consumer(f"prim.{village.pin}.{FRIEND}", FRIEND).outcome == "contact asked"
    account.refresh_from_db()
    assert account.phone == CONSUMER
    assert FRIEND in village.answers(CONSUMER)[0]
    assert len(village.answers(FRIEND)) == 1
    # Each question is paid: the same wish asks the present phone once an hour.
    assert village.consumer(f"prim.{village.pin}.{FRIEND}", FRIEND).outcome == "contact asked"
    assert len(village.answers(CONSUMER)) == 1
    assert len(village.answers(FRIEND)) == 2
    account.refresh_from_db()
    assert account.phone_wanted_at is not None
    account.phone_wanted_at -= timedelta(hours=1)
    account.save()
    village.consumer(f"prim.{village.pin}.{FRIEND}", FRIEND)
    assert len(village.answers(CONSUMER)) == 2
    village.consumer(f"prim.{village.pin}.{FRIEND}", CONSUMER)
    account.refresh_from_db()
    assert account.phone == FRIEND
    assert FRIEND in village.answers(FRIEND)[-1]


@pytest.mark.parametrize(
    ("number", "text", "outcome"),
    [
        (
            "+22370000099",
            "(job=pp&cid=192.168.1.201&wh=1&tu=1&ts=26112310&status=1&cr=9)",
            "refused",
        ),
        ("+22370000099", "(job=delete&jobid=1)", "refused"),
        ("+22370000001", "(job=delete&jobid=999999)", "error"),
        ("+22370000001", "(job=delete&jobid=99999999999999999)", "error"),
        ("+22370000001", "(job=rm&jobid=1)", "error"),
        ("+22370000001", "(job=alert&cid=192.168.1.250&alert=lcw)", "error"),
        ("+22370000001", "(job=pp&cid=192.168.1.250&wh=1&tu=1&ts=26112310&status=1)", "error"),
        ("", "bal.234567", "refused"),
        ("+22370000001", "(l76ZE0#", "error"),
        ("ORANGE", "You have won", "unknown"),
        ("+22370000002", "x" * 4000, "unknown"),
        ("+22370000002", "(((((=&&&&=====", "error refused"),
    ],
)
def test_bad_input_has_a_defined_end(
    village: Village, number: str, text: str, outcome: str
) -> None:
    said = village.says(number, text)
    assert said.outcome in outcome
    assert said.outcome
    assert said.handled_at is not None


def test_a_ping_is_answered_to_everybody_but_not_for_ever(village: Village) -> None:
    ping = "(job=gateway-ping&meter-time=2011-09-07 12:34:56)"
    village.meter_says(ping)
    assert village.answers("+22370000001")[0].endswith("&meter-time=2011-09-07 12:34:56)")
    for _ in range(14):
        village.consumer(ping, FRIEND)
    assert len(village.answers(FRIEND)) == 12


def test_a_meters_sim_may_send_consumer_commands(village: Village) -> None:
    assert village.meter_says(f"bal.{village.pin}").outcome == "balance"


def test_a_meter_comes_on_and_reports_its_batteries(village: Village) -> None:
    assert village.meter_says("ml01 online").outcome == "power on"
    assert village.meter_says("(pcu#11062200#0,0,0,0,48.01,0,0,0,25.5)").outcome == "pcu log"
    assert village.meter_says("(pcu#11062200#0,0,0,0,48.01,0,0,0,25.5)").outcome == "duplicate"
    assert Alert.objects.filter(kind="power_on", cleared_at__isnull=False).count() == 1
