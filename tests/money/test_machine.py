"""A machine that does to the prepaid loop what people, meters and networks may do, in any order.

Beside the real database runs a model of the air and of two meters: one applies every credit that it
receives, the other remembers job ids. After each step the ledger must be clean, no job stuck, and
the forgetful meter may have received a credit twice only where a person sent it again, or the
network swore that it had lost it.

``GRIDTALK_HUNT=500`` makes it hunt for longer, with examples that differ each time.
"""

import os
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import hypothesis.strategies as st
import pytest
import time_machine
from django.db import transaction
from django.db.models import Count, Sum
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gridtalk.alerts.models import UnresponsiveJob
from gridtalk.core import clock
from gridtalk.core.errors import Conflict, UserError
from gridtalk.gateway.inbound import handle_waiting
from gridtalk.gateway.job_work import jobs_work
from gridtalk.grid.models import Circuit, Meter
from gridtalk.grid.services import meter_create
from gridtalk.jobs import services as jobs
from gridtalk.jobs.models import AddCredit, Job, JobMessage
from gridtalk.jobs.verify import CHECKS, verify
from gridtalk.messaging.drain import _lease
from gridtalk.messaging.drain_results import Result, leases_end, owned_write, texts_write
from gridtalk.messaging.models import IncomingMessage, KannelInterface, Message, OutgoingMessage
from gridtalk.messaging.services import delivery_report_take, messages_expire
from gridtalk.messaging.wire import DeliveryReport, HandOver, Outcome, Report
from gridtalk.prepaid.models import LedgerEntry, Token
from gridtalk.prepaid.services import token_batch_create, token_void

HUNT = int(os.environ.get("GRIDTALK_HUNT", "0"))
PHONES = ("+22370000011", "+22370000012")
FORGETS, KNOWS = "+22370000001", "+22370000002"
ADDRESSES = ("192.168.1.201", "192.168.1.202")
ON_ITS_WAY = ("queued", "sending")
_JOB = re.compile(r"\(job=(\w+)&jobid=(\d+)(?:&cid=([\d.]+))?(?:&amt=([\d.]+))?\)")

STAGES = (
    "queued",
    "sending",
    "failed",
    "in the air",
    "unconfirmed, lost",
    "unconfirmed, arrived",
)
ELSE = ("batch", "gift", "void", "cancel", "turn_on", "turn_off", "mping", "cping")

few = st.integers(0, 7)


class Box:
    """A meter out there: what it has, and what it was told."""

    def __init__(self, phone: str, *, knows: bool) -> None:
        self.phone = phone
        self.knows = knows
        self.credit = dict.fromkeys(ADDRESSES, Decimal(100))
        self.received: Counter[int] = Counter()
        self.done: list[tuple[int, str]] = []

    def hears(self, text: str) -> None:
        """Carry out the jobs in a text."""
        for word, number, address, amount in _JOB.findall(text):
            job_id = int(number)
            again = self.received[job_id] > 0
            self.received[job_id] += 1
            if word == "cr" and not (again and self.knows):
                self.credit[address] += Decimal(amount)
            self.done.append((job_id, address))


class Money(RuleBasedStateMachine):
    """See the module. ``provable`` counts a network's false oath, ``resent`` a person's order."""

    def __init__(self) -> None:
        super().__init__()
        # Each example in a savepoint of its own; the mark lets services begin durable transactions.
        self.savepoint: Any = transaction.atomic()
        self.savepoint._from_testcase = True
        self.savepoint.__enter__()
        self.time = time_machine.travel(datetime.now(UTC), tick=False)
        self.clock = self.time.start()
        self.boxes = [Box(FORGETS, knows=False), Box(KNOWS, knows=True)]
        self.interface = KannelInterface.objects.get()
        self.circuits = list(
            Circuit.objects.filter(is_main=False).select_related("meter__communication_interface")
        )
        self.lane: Any = SimpleNamespace(interface=self.interface, flying={})
        self.flying: list[Any] = []
        self.air: list[tuple[Any, Box]] = []  # in the network's hands
        self.arrived: list[Any] = []
        self.allowed: Counter[int] = Counter()

    def teardown(self) -> None:
        self.time.stop()
        transaction.set_rollback(True)
        self.savepoint.__exit__(None, None, None)

    # People

    @initialize(stage=st.sampled_from(STAGES), which=st.sampled_from([0, 0, 2]))
    def begins_somewhere(self, stage: str, which: int) -> None:
        """One credit is on its way already, so that the steps lead further."""
        token_batch_create(count=2, value=Decimal(500))
        self.texts_a_token(0, which, PHONES[0])
        if stage == "queued":
            return
        self.sender_takes()
        if stage == "failed":
            self.sender_hears(0, Outcome.REFUSED_PERMANENT, arrives=False)
            self.time_passes(1)
        elif stage != "sending":
            self.sender_hears(0, Outcome.ACCEPTED, arrives=True)
            if stage == "unconfirmed, lost":
                self.air = []
            if stage == "unconfirmed, arrived":
                self.network_delivers(0, says_so=False)
            if stage != "in the air":
                self.time_passes(61)

    @rule(value=st.sampled_from(["500", "0.01", "20.10"]), which=few, what=st.sampled_from(ELSE))
    def something_else_happens(self, value: str, which: int, what: str) -> None:
        match what:
            case "batch":
                token_batch_create(count=2, value=Decimal(value))
            case "gift":
                circuit = self.circuits[which % len(self.circuits)]
                jobs.credit_add(circuit=circuit, amount=Decimal(value), user=None, reason="a gift")
            case "void":
                self.voids_a_token(which)
            case "cancel":
                self.cancels(which)
            case _:
                circuit = self.circuits[which % len(self.circuits)]
                jobs.job_request(kind=what, circuit=circuit)

    def _says(self, number: str, text: str) -> IncomingMessage:
        incoming = IncomingMessage(
            number=number, text=text, communication_interface=self.interface, state="received"
        )
        incoming.created_at = clock.now()
        incoming.save()
        handle_waiting()
        incoming.refresh_from_db()
        assert incoming.handled_at is not None, incoming.error
        assert incoming.outcome != "failed", incoming.error
        return incoming

    @rule(which=few, circuit=few, phone=st.sampled_from([*PHONES, FORGETS]))
    def texts_a_token(self, which: int, circuit: int, phone: str) -> None:
        tokens = list(Token.objects.order_by("pk"))
        token = tokens[which % len(tokens)]
        pin = self.circuits[circuit % len(self.circuits)].pin
        outcome = self._says(phone, f"add.{pin}.{token.number}").outcome
        assert (outcome == "add credit") == (token.state == "new")

    def voids_a_token(self, which: int) -> None:
        tokens = list(Token.objects.order_by("pk"))
        try:
            token_void(token=tokens[which % len(tokens)], user=None, reason="lost")
        except Conflict:
            assert tokens[which % len(tokens)].state not in {"new", "issued"}

    def _pick(self, which: int, **wanted: Any) -> Job | None:
        found = list(Job.objects.filter(**wanted).order_by("-pk"))
        return found[which % len(found)] if found else None

    def cancels(self, which: int) -> None:
        job = self._pick(which, state="queued")
        if job is not None:
            try:
                jobs.job_cancel(job=job, user=None)
            except UserError:
                job.refresh_from_db()
                assert job.state == "queued"

    @rule(which=few, then=st.sampled_from([None, *Outcome]))
    def resends(self, which: int, then: Outcome | None) -> None:
        job = self._pick(which, kind="add_credit", state__in=["unconfirmed", "failed"])
        if job is not None:
            try:
                jobs.credit_resend(job=job, user=None, reason="it did not arrive")
                self.allowed[job.pk] += 1
            except Conflict:
                assert job.job_messages.filter(state="sending").exists()
                return
            if then is not None:
                self.sender_works(then, arrives=False)

    @rule(which=few, new_token=st.booleans())
    def reverses(self, which: int, new_token: bool) -> None:
        job = self._pick(which, kind="add_credit")
        if job is not None:
            states = {*job.job_messages.values_list("state", flat=True)}
            fit = job.state in {"unconfirmed", "failed"} or (
                job.state == "queued" and job.sent_at is None
            )
            try:
                jobs.credit_reverse(job=job, user=None, reason="lost", new_token=new_token)
                assert fit
                assert "sending" not in states
            except Conflict:
                assert not fit or "sending" in states

    @rule(which=few)
    def confirms(self, which: int) -> None:
        """A person says that the meter has it; they may be wrong, the books stay in order."""
        job = self._pick(which, kind="add_credit", state="unconfirmed")
        if job is not None:
            try:
                jobs.credit_confirm(job=job, user=None, reason="seen at the meter")
            except Conflict:
                assert job.job_messages.filter(state="sending").exists()

    # The sender and the network

    @rule()
    def sender_takes(self) -> None:
        self.lane.flying = dict(enumerate(self.flying))
        taken = _lease(self.lane, 4)
        self.flying += [leased for leased in taken if leased.kind == "job"]
        for leased in taken:
            if leased.kind != "job":
                self._lands(leased, Outcome.ACCEPTED)

    @rule(outcome=st.sampled_from([Outcome.ACCEPTED, *Outcome]), arrives=st.booleans())
    def sender_works(self, outcome: Outcome, arrives: bool) -> None:
        """Takes, hands over, and what the network takes is there at once or stays in the air."""
        self.sender_takes()
        while self.flying:
            self.sender_hears(0, outcome, arrives)
        while arrives and self.air:
            self.network_delivers(0, says_so=False)

    def _lands(self, leased: Any, outcome: Outcome) -> None:
        result = Result.of(leased, HandOver(outcome, "" if outcome == "accepted" else "no"))
        texts_write([result])
        owned_write([result])

    @precondition(lambda self: self.flying)
    @rule(which=few, outcome=st.sampled_from(Outcome), arrives=st.booleans())
    def sender_hears(self, which: int, outcome: Outcome, arrives: bool) -> None:
        leased = self.flying.pop(which % len(self.flying))
        if outcome is Outcome.ACCEPTED or (outcome is Outcome.UNKNOWN and arrives):
            self._into_the_air(leased)
        self._lands(leased, outcome)

    @precondition(lambda self: self.flying)
    @rule(arrives=st.booleans())
    def sender_is_killed(self, arrives: bool) -> None:
        for leased in self.flying:
            if arrives:
                self._into_the_air(leased)
        self.flying = []

    def _into_the_air(self, leased: Any) -> None:
        box = next(box for box in self.boxes if box.phone == leased.number)
        self.air.append((leased, box))

    @precondition(lambda self: self.air)
    @rule(which=few, says_so=st.booleans())
    def network_delivers(self, which: int, says_so: bool) -> None:
        leased, box = self.air.pop(which % len(self.air))
        box.hears(leased.text)
        self.arrived.append(leased)
        if says_so:
            self._reports(leased, Report.DELIVERED)

    @precondition(lambda self: self.arrived)
    @rule(which=few, report=st.sampled_from([Report.DELIVERED, Report.TAKEN]))
    def network_says_late_or_again(self, which: int, report: Report) -> None:
        self._reports(self.arrived[which % len(self.arrived)], report)

    @precondition(lambda self: self.air)
    @rule(
        which=few,
        lies=st.booleans(),
        report=st.sampled_from([Report.REFUSED, Report.UNDELIVERED]),
    )
    def network_gives_up(self, which: int, lies: bool, report: Report) -> None:
        leased, _ = self.air[which % len(self.air)]
        if lies and report is Report.REFUSED:
            for word in _JOB.findall(leased.text):
                self.allowed[int(word[1])] += 1
        if not lies:
            self.air.pop(which % len(self.air))
        self._reports(leased, report)

    def _reports(self, leased: Any, report: Report) -> None:
        assert delivery_report_take(report=DeliveryReport(leased.uuid, report, "as it says"))

    @rule(which=st.sampled_from([0, 1]), arrives=st.booleans())
    def meter_polls(self, which: int, arrives: bool) -> None:
        box = self.boxes[which]
        texts = jobs.jobs_for_poll(meter=Meter.objects.get(phone=box.phone))
        if arrives:
            box.hears("".join(texts))

    # Meters

    @rule(
        box=st.sampled_from([0, 1]),
        which=few,
        says_credit=st.booleans(),
        says_time=st.booleans(),
        liar=st.booleans(),
    )
    def meter_acknowledges(
        self, box: int, which: int, says_credit: bool, says_time: bool, liar: bool
    ) -> None:
        meter = self.boxes[box]
        if liar:
            meter = self.boxes[1 - box]
        if not self.boxes[box].done:
            return
        job_id, address = self.boxes[box].done[which % len(self.boxes[box].done)]
        text = f"(job=delete&jobid={job_id}&status=1"
        if says_credit and address:
            text += f"&cr={meter.credit[address]}"
        if says_time:
            text += f"&ts={clock.now():%Y%m%d%H%M%S}"
        before = Job.objects.get(pk=job_id)
        said = self._says(meter.phone, f"{text})")
        after = Job.objects.get(pk=job_id)
        if liar:
            assert said.outcome == "error"
            assert after.state == before.state
        elif before.state != "cancelled":
            assert after.state == "done"
            assert (said.outcome == "acknowledged") == (before.state != "done")

    @rule(which=few)
    def meter_claims_what_it_never_got(self, which: int) -> None:
        job = self._pick(which, circuit__meter__phone=KNOWS)
        if job is not None:
            self._says(KNOWS, f"(job=delete&jobid={job.pk})")

    @rule(box=st.sampled_from([0, 1]), address=st.sampled_from(ADDRESSES), spent=few)
    def meter_reports(self, box: int, address: str, spent: int) -> None:
        meter = self.boxes[box]
        meter.credit[address] -= spent
        said = self._says(
            meter.phone,
            f"(job=pp&cid={address}&wh=1&tu=1&ts={clock.now():%Y%m%d%H%M%S}"
            f"&cr={meter.credit[address]}&status=1)",
        )
        assert said.outcome in {"reports", "duplicate"}

    @rule(minutes=st.sampled_from([2, 2, 2, 12, 61, 61, 240, 73 * 60]))
    def time_passes(self, minutes: int) -> None:
        self.clock.shift(timedelta(minutes=minutes))
        if minutes > 2:
            # A lease is seconds long: whoever held it was killed.
            self.flying = []
        leases_end()
        messages_expire()
        jobs_work()

    # What must hold

    @invariant()
    def no_cent_is_lost_or_made(self) -> None:
        assert verify().errors == {}

    @invariant()
    def a_token_is_worth_its_value_once(self) -> None:
        delivered = LedgerEntry.objects.filter(cause="delivery")
        twice = delivered.values("job_id").annotate(n=Count("id")).filter(n__gt=1)
        assert not twice.exists()
        ids = AddCredit.objects.filter(token__isnull=False).values_list("pk", flat=True)
        got = delivered.filter(job_id__in=list(ids)).aggregate(s=Sum("amount"))["s"] or 0
        made = Token.objects.aggregate(s=Sum("value"))["s"] or 0
        assert got <= made

    @invariant()
    def a_meter_that_forgets_receives_a_credit_once(self) -> None:
        credits_ = set(AddCredit.objects.values_list("pk", flat=True))
        for job_id, times in self.boxes[0].received.items():
            assert job_id not in credits_ or times <= 1 + self.allowed[job_id], (job_id, times)

    @invariant()
    def no_job_is_stuck(self) -> None:
        for job in Job.objects.all():
            waits = job.job_messages.filter(state__in=ON_ITS_WAY).exists()
            assert job.kind != "add_credit" or job.state != "expired", job
            if job.state == "queued":
                assert waits or job.next_attempt_at is not None, f"{job} {job.note}"
            elif job.state == "sent":
                assert job.next_attempt_at is not None, job
            elif job.state in {"unconfirmed", "failed"} and job.kind == "add_credit":
                open_ = UnresponsiveJob.objects.filter(job=job, cleared_at__isnull=True)
                assert open_.exists(), f"nobody is told of {job}"
            if job.ended_at is not None:
                queued = job.job_messages.filter(state="queued")
                assert not queued.exists(), f"{job} has ended and would still be sent"

    @invariant()
    def who_asked_is_told_at_most_twice(self) -> None:
        """That the meter did not answer, and that it has done it."""
        texts = OutgoingMessage.objects.filter(incoming__jobs__isnull=False)
        told = texts.values("incoming").annotate(n=Count("pk"))
        assert all(row["n"] <= 2 for row in told), list(told)


@pytest.mark.django_db
def test_whatever_anybody_does_no_cent_is_lost_or_made() -> None:
    interface = KannelInterface.objects.create(
        name="kannel", host="127.0.0.1", username="gw", password="pw", region="ML", phone="1234"
    )
    for number, phone in enumerate((FORGETS, KNOWS)):
        meter_create(
            name=f"ml{number}",
            phone=phone,
            communication_interface=interface,
            circuits=len(ADDRESSES),
            knows_job_ids=phone == KNOWS,
        )
    Circuit.objects.filter(is_main=False).update(credit=Decimal(100))
    run_state_machine_as_test(
        Money,
        settings=settings(
            max_examples=HUNT or 15,
            stateful_step_count=30,
            derandomize=not HUNT,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert len(CHECKS) > 8
    assert not JobMessage.objects.exists(), "each example leaves nothing behind"
    assert not Message.objects.exists()
