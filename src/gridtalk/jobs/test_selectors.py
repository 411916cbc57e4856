"""Jobs and messages of a meter or of a circuit, as their children."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gridtalk.grid.models import Account, Circuit
from gridtalk.jobs import selectors
from gridtalk.jobs.models import AddCredit, Cping, Job, JobMessage, TurnOff, TurnOn
from gridtalk.jobs.selectors import job_list, job_rows, message_list
from gridtalk.jobs.services import job_request
from gridtalk.jobs.testing import redeem
from gridtalk.messaging.models import IncomingMessage, OutgoingMessage
from gridtalk.messaging.services import message_queue
from gridtalk.telemetry.testing import circuit_make, meter_make

pytestmark = pytest.mark.django_db

FRIEND = "+22370000009"


@pytest.fixture
def other(db: None) -> Circuit:
    """A household on another meter."""
    return circuit_make(meter_make(phone="+22370000002"))


def asked(circuit: Circuit, kind: str, by: str = "") -> Job:
    """A job; ``by`` texted for it."""
    return job_request(
        kind=kind,
        circuit=circuit,
        incoming=said(circuit, by, kind) if by else None,
        requested_by=Job.Requester.CONSUMER if by else Job.Requester.API,
    )


def said(circuit: Circuit, number: str, text: str) -> IncomingMessage:
    incoming = IncomingMessage(
        number=number,
        text=text,
        communication_interface=circuit.meter.communication_interface,
        state="received",
    )
    incoming.save()
    return incoming


def test_jobs_are_found_as_children_newest_first(circuit: Circuit, other: Circuit) -> None:
    neighbour = circuit_make(circuit.meter, last=2)
    credit, ping = redeem(circuit), asked(neighbour, "cping")
    elsewhere, on = asked(other, "turn_off"), asked(circuit, "turn_on")
    cases: list[tuple[dict[str, Any], list[tuple[type[Job], int]]]] = [
        ({}, [(TurnOn, on.pk), (TurnOff, elsewhere.pk), (Cping, ping.pk), (AddCredit, credit.pk)]),
        (
            {"meter": circuit.meter},
            [(TurnOn, on.pk), (Cping, ping.pk), (AddCredit, credit.pk)],
        ),
        ({"circuit": circuit}, [(TurnOn, on.pk), (AddCredit, credit.pk)]),
        ({"circuit": circuit, "kind": "add_credit"}, [(AddCredit, credit.pk)]),
        ({"meter": other.meter, "circuit": circuit}, []),
        ({"state": "done"}, []),
        ({"limit": 2, "offset": 1}, [(TurnOff, elsewhere.pk), (Cping, ping.pk)]),
    ]
    for given, expected in cases:
        assert [(type(job), job.pk) for job in job_list(**given)] == expected, given
    with CaptureQueriesContext(connection) as queries:
        assert [job.circuit.meter for job in job_list(circuit=circuit)] == [circuit.meter] * 2
    few = len(queries)
    for _ in range(5):
        redeem(circuit)
    with CaptureQueriesContext(connection) as queries:
        assert {job.circuit.meter for job in job_list(circuit=circuit)} == {circuit.meter}
    assert len(queries) == few


def test_kinds_of_all_meters_are_looked_for_among_the_newest(
    circuit: Circuit, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = asked(circuit, "turn_on"), asked(circuit, "turn_off")
    monkeypatch.setattr(selectors, "NEWEST", second.pk - first.pk)
    assert not job_rows(kind="turn_on").exists()
    assert job_rows(kind="turn_on", circuit_id=circuit.pk).get().pk == first.pk
    assert job_rows(kind="turn_on", meter_id=circuit.meter_id).get().pk == first.pk
    assert job_rows().count() == 2


def test_messages_of_a_meter_and_of_a_circuit(circuit: Circuit, other: Circuit) -> None:
    circuit.account = Account.objects.create(phone="+22370000003")
    circuit.save()
    neighbour = circuit_make(circuit.meter, last=2)
    asked(circuit, "turn_on", by=FRIEND)
    asked(neighbour, "turn_on")
    asked(other, "turn_off", by=FRIEND)
    answer = message_queue(
        interface=circuit.meter.communication_interface,
        number=FRIEND,
        text="on",
        incoming=IncomingMessage.objects.order_by("pk")[0],
    )
    balance = said(circuit, "+22370000003", "bal")
    report = said(circuit, "+22370000001", "(l76ZE0##)")
    mine, next_door, elsewhere = JobMessage.objects.order_by("pk")
    friends = IncomingMessage.objects.filter(number=FRIEND).order_by("pk")
    cases: list[tuple[dict[str, Any], list[Any]]] = [
        ({"meter": circuit.meter}, [report, next_door, mine]),
        ({"meter": other.meter}, [elsewhere]),
        ({"circuit": circuit}, [balance, answer, mine, friends[0]]),
        ({"circuit": neighbour}, [next_door]),
        ({"circuit": circuit, "limit": 2, "offset": 1}, [answer, mine]),
        ({"limit": 2}, [report, balance]),
    ]
    for given, expected in cases:
        assert message_list(**given) == expected, given
    kinds = [type(message) for message in message_list(circuit=circuit)]
    assert kinds == [IncomingMessage, OutgoingMessage, JobMessage, IncomingMessage]
    assert len(message_list()) == 8


def test_what_carried_a_job_is_found_after_a_change_of_number(circuit: Circuit) -> None:
    asked(circuit, "turn_on")
    circuit.meter.phone = "+22370000008"
    circuit.meter.save()
    assert message_list(meter=circuit.meter) == [JobMessage.objects.get()]


def test_without_a_number_there_are_no_messages(circuit: Circuit) -> None:
    said(circuit, "", "nobody")
    assert message_list(circuit=circuit) == []
    circuit.account = Account.objects.create(phone="")
    circuit.save()
    assert message_list(circuit=circuit) == []
