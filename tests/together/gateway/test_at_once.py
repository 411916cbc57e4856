"""Many workers and people at the same moment, on connections of their own."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
import time_machine
from django.db import OperationalError, connection, transaction
from psycopg.errors import DeadlockDetected

from gridtalk.core import clock
from gridtalk.core.errors import Conflict
from gridtalk.gateway import inbound
from gridtalk.gateway.conftest import CONSUMER, METER_PHONE, Village
from gridtalk.gateway.inbound import handle_waiting
from gridtalk.gateway.job_work import jobs_work
from gridtalk.gateway.tasks import handle
from gridtalk.grid.models import Circuit
from gridtalk.jobs.models import AddCredit, Job, JobMessage
from gridtalk.jobs.services import (
    credit_reverse,
    job_message_outcome,
    job_request,
    jobs_due_work,
    jobs_for_poll,
)
from gridtalk.jobs.verify import verify
from gridtalk.messaging.models import IncomingMessage, Message, OutgoingMessage
from gridtalk.messaging.outcomes import MessageOutcome
from gridtalk.prepaid import ledger
from gridtalk.prepaid.consumption import consumption_post
from gridtalk.prepaid.models import LedgerEntry, Token
from gridtalk.prepaid.services import token_batch_create
from gridtalk.telemetry.testing import log_make
from gridtalk.testing_together import at_once, failures

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _clean_at_the_end(transactional_db: None) -> Iterator[None]:
    yield
    assert verify().errors == {}


def stored(village: Village, number: str, text: str) -> IncomingMessage:
    incoming = IncomingMessage(
        number=number, text=text, communication_interface=village.interface, state="received"
    )
    incoming.save()
    return incoming


def drain() -> int:
    """As the worker: where the database ended it, the next bell takes what is left."""
    done = 0
    for _ in range(10):
        try:
            return done + handle_waiting()
        except OperationalError:
            connection.close()
    raise AssertionError("ten bells were not enough")


def test_one_token_texted_eight_times_at_once_is_redeemed_once(village: Village) -> None:
    number = village.token()
    pins = list(village.meter.circuits.filter(is_main=False).values_list("pin", flat=True))
    for n in range(8):
        stored(village, f"+2237000010{n}", f"add.{pins[n % 3]}.{number}")
    results = at_once(*[drain] * 8)
    assert failures(results) == []
    assert sum(results) == 8, "each message was handled by one worker"
    outcomes = Counter(IncomingMessage.objects.values_list("outcome", flat=True))
    assert outcomes == {"add credit": 1, "token pending": 7}
    assert AddCredit.objects.count() == 1
    assert LedgerEntry.objects.filter(cause="redemption").count() == 1
    assert OutgoingMessage.objects.count() == 7, "each of the seven was told"


def test_acknowledgement_report_reversal_and_due_work_at_once(village: Village) -> None:
    """Whoever is first, the credit is delivered at most once and each loser hears why."""
    ends = Counter[str]()
    start = clock.now()
    report = "(job=pp&cid=192.168.1.201&wh=1&tu=1&ts={:%Y%m%d%H%M%S}&cr={}&status=1)"
    credit = 100
    for turn in range(8):
        now = start + timedelta(hours=3 * turn)
        with time_machine.travel(now, tick=False):
            village.meter_says(report.format(now, credit))
            village.consumer(f"add.{village.pin}.{village.token()}")
            village.hand_over()
        job = Job.objects.latest("pk")
        # Every other time a person may reverse it already; else the hour ends this moment.
        with time_machine.travel(now + timedelta(minutes=61), tick=False) as traveller:
            if turn % 2:
                jobs_work()
            credit += 500
            stored(village, METER_PHONE, f"(job=delete&jobid={job.pk}&cr={credit}&status=1)")
            stored(village, METER_PHONE, report.format(clock.now(), credit))
            if turn == 0:
                drain()  # once the meter is first for certain
            results = at_once(
                drain, drain, jobs_work, partial(credit_reverse, job=job, user=None, reason="lost")
            )
            assert [f for f in failures(results) if not isinstance(f, Conflict)] == []
            traveller.shift(1)
            drain()
        job.refresh_from_db()
        ends[job.state] += 1
        assert LedgerEntry.objects.filter(job_id=job.pk, cause="delivery").count() == 1
        assert job.state in {"done", "cancelled"}
    assert not IncomingMessage.objects.filter(handled_at__isnull=True).exists()
    assert ends["done"] >= 1


def test_two_workers_share_200_messages_and_each_is_handled_once(village: Village) -> None:
    batch = token_batch_create(count=30, value=Decimal(5))
    tokens = list(batch.tokens.values_list("number", flat=True))
    circuits = list(village.meter.circuits.filter(is_main=False).order_by("pk"))
    now = clock.now()
    balances = []
    for n in range(200):
        circuit = circuits[n % 3]
        match n % 5:
            case 0:
                balances.append(stored(village, f"+223710{n:05}", f"bal.{circuit.pin}"))
            case 1:
                stored(village, CONSUMER, f"add.{circuit.pin}.{tokens[n % 30]}")
            case 2:
                stored(village, METER_PHONE, f"(job=alert&cid={circuit.ip_address}&alert=lcw&cr=1)")
            case 3:
                time = now - timedelta(minutes=n)
                stored(
                    village,
                    METER_PHONE,
                    f"(job=pp&cid={circuit.ip_address}&wh=1&tu=1&ts={time:%Y%m%d%H%M%S}"
                    "&cr=0&status=1)",
                )
            case 4:
                stored(village, METER_PHONE, "(job=nonsense&cid=1)")
    results = at_once(drain, drain, drain)
    assert failures(results) == []
    assert not IncomingMessage.objects.filter(handled_at__isnull=True).exists()
    assert sum(results) == 200
    outcomes = Counter(IncomingMessage.objects.values_list("outcome", flat=True))
    assert outcomes["balance"] == outcomes["alert"] == outcomes["error"] == 40
    assert outcomes["reports"] == 40
    assert outcomes["failed"] == 0
    for incoming in balances:
        assert incoming.answers.count() == 1
    used = {tokens[n % 30] for n in range(200) if n % 5 == 1}
    assert AddCredit.objects.count() == len(used) == outcomes["add credit"]
    assert set(Token.objects.exclude(state="new").values_list("number", flat=True)) == used


def test_a_real_deadlock_costs_a_second_and_no_message(village: Village) -> None:
    village.consumer(f"add.{village.pin}.{village.token()}")
    village.hand_over()
    job = Job.objects.get()
    incoming = stored(village, METER_PHONE, f"(job=delete&jobid={job.pk}&cr=600)")
    with ThreadPoolExecutor(1) as pool, suppress(OperationalError), transaction.atomic():
        with connection.cursor() as cursor:
            # So that the worker is ended, not we: it looks for a deadlock after a second.
            cursor.execute("SET LOCAL deadlock_timeout = '10s'")
        Job.objects.select_for_update().get(pk=job.pk)

        def worker() -> int:
            try:
                return handle_waiting()
            finally:
                connection.close()

        running = pool.submit(worker)
        with connection.cursor() as cursor:
            waits = 0
            while not waits:
                cursor.execute("SELECT pg_stat_clear_snapshot()")
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
                (waits,) = cursor.fetchone()
        Circuit.objects.select_for_update().get(pk=job.circuit_id)
    assert running.result(timeout=30) == 1
    incoming.refresh_from_db()
    assert incoming.outcome == "acknowledged"
    assert incoming.tries == 0, "it is no failure of the message"


def test_a_database_that_went_away_leaves_the_message_to_the_next_bell(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = stored(village, CONSUMER, "bal.2345")
    second = stored(village, CONSUMER, f"bal.{village.pin}")

    def gone(**_: Any) -> None:
        raise OperationalError("the connection is lost")

    with monkeypatch.context() as patch:
        patch.setattr(inbound, "consumer_message_handle", gone)
        with pytest.raises(OperationalError):
            handle()
    for incoming in (first, second):
        incoming.refresh_from_db()
        assert (incoming.handled_at, incoming.tries) == (None, 0)
    handle()
    second.refresh_from_db()
    assert second.outcome == "balance"


def test_a_deadlock_that_never_ends_does_not_hold_the_worker_for_ever(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(village, CONSUMER, "bal.2345")
    calls = 0

    def met(**_: Any) -> None:
        nonlocal calls
        calls += 1
        raise OperationalError("deadlock") from DeadlockDetected()

    monkeypatch.setattr(inbound, "consumer_message_handle", met)
    with pytest.raises(OperationalError):
        handle_waiting()
    assert calls == inbound.MEETINGS + 1


def test_consumption_is_posted_once_by_two_at_once(village: Village) -> None:
    now = clock.now()
    circuits = list(village.meter.circuits.filter(is_main=False))
    for circuit in circuits:
        for day in range(6):
            log_make(circuit, now - timedelta(days=7 - day), credit=100 - 10 * day)
        Circuit.objects.filter(pk=circuit.pk).update(credit=50, credit_as_of=now)
    made = at_once(consumption_post, consumption_post, consumption_post)
    assert failures(made) == []
    assert sum(made) == LedgerEntry.objects.count() == len(circuits) * 6
    for circuit in circuits:
        assert ledger.balance(ledger.circuit_account_id(circuit.pk)) == 50


def test_a_job_is_handed_over_by_poll_or_by_message_not_by_both(village: Village) -> None:
    for _ in range(6):
        village.consumer(f"add.{village.pin}.{village.token()}")
        message = JobMessage.objects.latest("pk")

        def lease_and_send(pk: int = message.pk) -> list[str]:
            taken = Message.objects.filter(pk=pk, state="queued")
            if not taken.update(state="sending"):
                return []
            with transaction.atomic():
                sent = JobMessage.objects.select_for_update(of=("self", "message")).get(pk=pk)
                sent.state = "sent"
                sent.save()
                job_message_outcome(message=sent, outcome=MessageOutcome.SENT)
            return [sent.text]

        results = at_once(lease_and_send, lambda: jobs_for_poll(meter=village.meter))
        assert failures(results) == []
        assert sum(len(texts) for texts in results) == 1


def test_of_several_switches_at_once_one_is_left(village: Village) -> None:
    """The newest, whatever happens to the older ones meanwhile: it alone is sent from then on."""
    village.consumer(f"on.{village.pin}")
    village.hand_over()
    start = clock.now()
    for turn in range(4):
        with time_machine.travel(start + timedelta(minutes=3 * turn), tick=False):
            oldest = Job.objects.latest("pk")

            def sends_again() -> None:
                with transaction.atomic():
                    jobs_due_work()

            def is_refused_for_now(job_id: int = oldest.pk) -> None:
                """A sending is in the sender's hands, and comes back into the queue."""
                taken = JobMessage.objects.filter(job=job_id, state="queued").first()
                if taken is None:
                    return
                if not Message.objects.filter(pk=taken.pk, state="queued").update(state="sending"):
                    return
                with transaction.atomic():
                    back = JobMessage.objects.select_for_update(of=("self", "message")).get(
                        pk=taken.pk
                    )
                    back.state = "queued"
                    back.save()
                    job_message_outcome(message=back, outcome=MessageOutcome.RETRY)

            requests = [
                partial(job_request, kind=kind, circuit=village.circuit)
                for kind in ("turn_on", "turn_off", "turn_on")
            ]
            polls = partial(jobs_for_poll, meter=village.meter) if turn % 2 else sends_again
            results = at_once(*requests, sends_again, is_refused_for_now, polls)
            assert failures(results) == []
            (left,) = Job.objects.filter(ended_at__isnull=True)
            assert left == Job.objects.latest("pk")
            waiting = JobMessage.objects.filter(state="queued")
            assert set(waiting.values_list("job", flat=True)) <= {left.pk}
            village.hand_over()
