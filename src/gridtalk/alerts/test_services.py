"""Raising, repeating, telling, clearing and acknowledging alerts."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ImproperlyConfigured

from gridtalk.alerts.catalogue import ALERT_KINDS
from gridtalk.alerts.conftest import Village, texts, village_make
from gridtalk.alerts.models import Alert, MeterFault, PowerOn, UnresponsiveCircuit, UnresponsiveJob
from gridtalk.alerts.services import (
    alert_acknowledge,
    alert_clear,
    alert_from_meter,
    alert_raise,
    unresponsive_jobs_clear,
    unresponsive_jobs_raise,
)
from gridtalk.core import clock
from gridtalk.core.errors import UserError
from gridtalk.jobs.models import Job, Mping, TurnOn
from gridtalk.messaging.models import OutgoingMessage
from gridtalk.messaging.texts import render
from gridtalk.users.models import AuditEntry, Group, User

pytestmark = pytest.mark.django_db

TOLD = ["low_credit", "no_credit", "power_max", "energy_max"]
CODES = {"low_credit": "lcw", "no_credit": "nocw", "power_max": "pmax", "energy_max": "emax"}


def fields_of(kind: str, village: Village) -> dict[str, Any]:
    """What to call ``alert_raise`` with, for any kind."""
    circuit = village.circuits[0]
    if kind == "unresponsive_circuit":
        return {"circuit": circuit, "last_heard_from": clock.now()}
    if kind == "unresponsive_job":
        job = TurnOn.objects.create(circuit=circuit)
        return {"circuit": circuit, "topic": str(job.pk), "job": job}
    if kind == "power_on":
        return {}
    if kind == "meter_fault":
        return {"topic": "sdc", "code": "sdc"}
    return {"circuit": circuit}


@pytest.mark.parametrize("kind", ALERT_KINDS.by_kind)
def test_every_kind_is_raised_repeated_cleared_and_raised_again(
    village: Village, kind: str
) -> None:
    fields = fields_of(kind, village)
    model = ALERT_KINDS.kind_get(kind).model
    origin = village.incoming("(job=alert)")
    circuit = fields.get("circuit")

    with time_machine.travel("2026-03-01T12:00Z", tick=False) as traveller:
        first = alert_raise(kind=kind, meter=village.meter, origin=origin, **fields)
        assert first.created
        assert type(first.alert) is model
        assert first.alert.origin_message == origin
        assert first.alert.circuit == circuit
        assert first.alert.raised_at == clock.now()
        if ALERT_KINDS.kind_get(kind).event:
            return
        assert first.alert.cleared_at is None

        traveller.shift(timedelta(minutes=5))
        again = alert_raise(kind=kind, meter=village.meter, **fields)
        assert (again.created, again.alert) == (False, first.alert)
        assert again.alert.repeats == 1
        assert again.alert.last_raised_at == clock.now()
        assert again.alert.raised_at == first.alert.raised_at
        assert again.alert.origin_message == origin

        traveller.shift(timedelta(minutes=5))
        assert alert_clear(kind=kind, meter=village.meter, circuit=circuit) == 1
        assert alert_clear(kind=kind, meter=village.meter, circuit=circuit) == 0
        assert Alert.objects.get(pk=first.alert.pk).cleared_at == clock.now()

        anew = alert_raise(kind=kind, meter=village.meter, **fields)
        assert anew.created
        assert anew.alert != first.alert
        assert anew.alert.repeats == 0
        assert model.objects.count() == 2


def test_power_on_is_an_event_closed_at_once(village: Village) -> None:
    for _ in range(2):
        raised = alert_from_meter(code="online", meter=village.meter)
        assert raised.created
        assert raised.alert.cleared_at == raised.alert.raised_at
    assert PowerOn.objects.count() == 2
    assert texts() == []


@pytest.mark.parametrize("kind", TOLD)
def test_the_consumer_is_told_at_most_once_a_day(village: Village, kind: str) -> None:
    circuit = village.circuits[0]

    def say() -> Alert:
        return alert_from_meter(
            code=CODES[kind], meter=village.meter, circuit=circuit, credit=Decimal("4.50")
        ).alert

    with time_machine.travel("2026-03-01T12:00Z", tick=False) as traveller:
        alert = say()
        assert texts() == [
            (circuit.account.phone, render("en", kind, account=circuit.pin, credit="4.50"))
        ]
        assert alert.consumer_message_id == OutgoingMessage.objects.get().pk
        assert alert.consumer_told_at == clock.now()

        traveller.shift(timedelta(hours=1))
        say()
        assert len(texts()) == 1, "a repeat on the same day"

        traveller.shift(timedelta(hours=1))
        alert_clear(kind=kind, meter=village.meter, circuit=circuit)
        assert say().consumer_told_at is None
        assert len(texts()) == 1, "raised anew on the same day"

        traveller.shift(timedelta(hours=21, minutes=59))
        say()
        assert len(texts()) == 1, "a minute before the day is over"

        traveller.shift(timedelta(minutes=2))
        told = say()
        assert len(texts()) == 2, "the next day"
        assert told.consumer_told_at == clock.now()


def test_each_kind_and_each_circuit_is_told_for_itself(village: Village) -> None:
    other = village.circuit_add()
    for circuit in village.circuits:
        for code in CODES.values():
            alert_from_meter(code=code, meter=village.meter, circuit=circuit)
    sent = texts()
    assert len(set(sent)) == 2 * len(TOLD)
    assert sum(number == other.account.phone for number, _ in sent) == len(TOLD)


@pytest.mark.parametrize("lang", ["en", "fr", "sw"])
def test_the_text_is_in_the_accounts_language(village: Village, lang: str) -> None:
    circuit = village.circuit_add(lang=lang)
    origin = village.incoming("(job=alert&alert=lcw)")
    alert_from_meter(code="LCW", meter=village.meter, circuit=circuit, origin=origin)
    assert texts() == [
        (circuit.account.phone, render(lang, "low_credit", account=circuit.pin, credit="100.00"))
    ]
    message = OutgoingMessage.objects.get()
    assert message.communication_interface_id == village.interface.pk
    assert message.incoming == origin


@pytest.mark.parametrize(
    ("label", "facts"),
    [
        ("no account", {"account": None}),
        ("no phone", {"phone": ""}),
        ("a retired circuit", {"retired_at": clock.now()}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_nobody_is_told_of(village: Village, label: str, facts: dict[str, Any]) -> None:
    circuit = village.circuit_add(**facts)
    raised = alert_from_meter(code="lcw", meter=village.meter, circuit=circuit)
    assert raised.created
    assert raised.alert.consumer_told_at is None
    assert texts() == []


def test_a_retired_account_is_not_told(village: Village) -> None:
    account = village.circuits[0].account
    account.retired_at = clock.now()
    account.save()
    assert alert_from_meter(code="lcw", meter=village.meter, circuit=village.circuits[0]).created
    assert texts() == []


@pytest.mark.parametrize(
    ("code", "named", "kept"),
    [("md", True, False), ("md", False, False), ("sdc", True, False), ("ce", True, True)],
)
def test_a_fault_belongs_to_the_meter_or_its_component(
    village: Village, code: str, named: bool, kept: bool
) -> None:
    circuit = village.circuits[0]
    raised = alert_from_meter(code=code, meter=village.meter, circuit=circuit if named else None)
    assert isinstance(raised.alert, MeterFault)
    assert (raised.alert.code, raised.alert.topic) == (code, code)
    assert raised.alert.circuit == (circuit if kept else None)
    assert texts() == []


def test_several_faults_of_a_meter_are_open_at_once(village: Village) -> None:
    for code in ("md", "sdc", "md"):
        alert_from_meter(code=code, meter=village.meter)
    found = MeterFault.objects.order_by("code").values_list("code", "repeats")
    assert list(found) == [("md", 1), ("sdc", 0)]
    assert alert_clear(kind="meter_fault", meter=village.meter, topic="md") == 1
    assert MeterFault.objects.get(cleared_at=None).code == "sdc"


@pytest.mark.parametrize(
    ("label", "arguments", "error", "complaint"),
    [
        ("an unknown code", {"code": "zzz"}, UserError, "“zzz” is not an alert code"),
        ("an empty code", {"code": ""}, UserError, "“” is not an alert code"),
        ("low credit of no circuit", {"code": "lcw"}, UserError, "low_credit must name a circuit"),
        ("a component of no circuit", {"code": "ce"}, UserError, "meter_fault ce must name"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_what_a_meter_may_not_say(
    village: Village, label: str, arguments: Any, error: type[Exception], complaint: str
) -> None:
    with pytest.raises(error, match=complaint):
        alert_from_meter(meter=village.meter, **arguments)
    assert not Alert.objects.exists()


def test_another_meters_circuit_is_refused(village: Village) -> None:
    other = village_make("ml02", phone="+22370000002").circuit_add()
    with pytest.raises(UserError, match=r"192\.168\.1\.201 is not one of meter “ml01”"):
        alert_from_meter(code="lcw", meter=village.meter, circuit=other)


def test_our_own_mistakes_fail_loudly(village: Village) -> None:
    with pytest.raises(ImproperlyConfigured, match="no alert “flood”"):
        alert_raise(kind="flood", meter=village.meter)
    with pytest.raises(TypeError, match=r"needs the fields \['code'\], not \[\]"):
        alert_raise(kind="meter_fault", meter=village.meter, topic="md")


def test_alerts_of_circuits_are_told_apart(village: Village) -> None:
    other = village.circuit_add()
    for circuit in village.circuits:
        alert_raise(kind="power_max", meter=village.meter, circuit=circuit)
    assert alert_clear(kind="power_max", meter=village.meter, circuit=other) == 1
    assert Alert.objects.get(cleared_at=None).circuit == village.circuits[0]


class TestJobs:
    def test_each_unanswered_job_is_raised_once(self, village: Village) -> None:
        circuit = village.circuits[0]
        jobs = [TurnOn.objects.create(circuit=circuit) for _ in range(2)]
        mping = Mping.objects.create(circuit=village.mains)
        raised = unresponsive_jobs_raise(jobs=jobs)
        assert [alert.job for alert in raised] == [Job.objects.get(pk=job.pk) for job in jobs]
        assert [alert.circuit for alert in raised] == [circuit, circuit]
        (third,) = unresponsive_jobs_raise(jobs=[*jobs, mping])
        assert (third.job_id, third.circuit, third.meter) == (
            mping.pk,
            village.mains,
            village.meter,
        )
        assert set(Alert.objects.values_list("repeats", flat=True)) == {0}
        assert unresponsive_jobs_raise(jobs=[]) == []

    @pytest.mark.parametrize(
        ("state", "closed"),
        [
            ("queued", False),
            ("sent", False),
            ("unconfirmed", False),
            ("expired", False),
            ("done", True),
            ("cancelled", True),
            ("failed", False),
        ],
    )
    def test_is_closed_when_the_job_has_ended(
        self, village: Village, state: str, closed: bool
    ) -> None:
        job = TurnOn.objects.create(circuit=village.circuits[0])
        (alert,) = unresponsive_jobs_raise(jobs=[job])
        ended = None if state in {"queued", "sent", "unconfirmed"} else clock.now()
        Job.objects.filter(pk=job.pk).update(state=state, ended_at=ended)
        assert unresponsive_jobs_clear() == int(closed)
        alert.refresh_from_db()
        assert (alert.cleared_at is not None) == closed

    @pytest.mark.parametrize("same_meter", [True, False])
    def test_of_an_expired_job_is_closed_by_a_later_answer_of_the_meter(
        self, village: Village, same_meter: bool
    ) -> None:
        now = clock.now()
        job = TurnOn.objects.create(circuit=village.circuits[0], state="expired", ended_at=now)
        unresponsive_jobs_raise(jobs=[job])
        other = village if same_meter else village_make("ml02", phone="+22370000002")
        for ended, cleared in [(now - timedelta(minutes=1), 0), (now + timedelta(minutes=1), 1)]:
            Mping.objects.create(circuit=other.mains, state="done", ended_at=ended)
            assert unresponsive_jobs_clear() == (cleared if same_meter else 0)
        assert UnresponsiveJob.objects.filter(cleared_at=None).exists() != same_meter


class TestAcknowledging:
    @pytest.fixture
    def user(self) -> User:
        return User.objects.create_user("awa", None, group=Group.objects.get(name="admin"))

    def test_the_first_who_saw_it_stays_and_is_in_the_audit_trail(
        self, village: Village, user: User
    ) -> None:
        alert = alert_raise(
            kind="power_max", meter=village.meter, circuit=village.circuits[0]
        ).alert
        other = User.objects.create_user("bo", None, group=user.group)
        seen = alert_acknowledge(alert=Alert.objects.get(pk=alert.pk), user=user)
        assert type(seen) is type(alert)
        alert_acknowledge(alert=alert, user=other)
        alert.refresh_from_db()
        assert alert.acknowledged_by == user
        assert alert.acknowledged_at is not None
        assert alert.cleared_at is None
        entry = AuditEntry.objects.get()
        assert (entry.user, entry.action, entry.target) == (
            user,
            "alert_acknowledge",
            f"alert {alert.pk}",
        )
        assert entry.data == {"kind": "power_max", "closed": False}

    @pytest.mark.parametrize(
        ("kind", "closed"),
        [("meter_fault", True), ("unresponsive_circuit", False), ("unresponsive_job", False)],
    )
    def test_closes_what_nothing_else_would(
        self, village: Village, user: User, kind: str, closed: bool
    ) -> None:
        alert = alert_raise(kind=kind, meter=village.meter, **fields_of(kind, village)).alert
        assert (alert_acknowledge(alert=alert, user=user).cleared_at is not None) == closed

    def test_closes_a_job_that_expired(self, village: Village, user: User) -> None:
        job = TurnOn.objects.create(
            circuit=village.circuits[0], state="expired", ended_at=clock.now()
        )
        (alert,) = unresponsive_jobs_raise(jobs=[job])
        assert alert_acknowledge(alert=alert, user=user).cleared_at is not None

    def test_an_acknowledged_alert_goes_on_counting(self, village: Village, user: User) -> None:
        fields = fields_of("unresponsive_circuit", village)
        alert = alert_raise(kind="unresponsive_circuit", meter=village.meter, **fields).alert
        alert_acknowledge(alert=alert, user=user)
        raised = alert_raise(kind="unresponsive_circuit", meter=village.meter, **fields)
        assert (raised.created, raised.alert.acknowledged_by) == (False, user)
        assert UnresponsiveCircuit.objects.count() == 1
