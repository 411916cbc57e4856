"""The families: shared keys, time-ordered ids, what the database itself refuses."""

from decimal import Decimal

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from gridtalk.alerts.families import ALERTS
from gridtalk.core import clock
from gridtalk.grid import models as grid
from gridtalk.jobs import models as jobs
from gridtalk.jobs.families import JOBS
from gridtalk.messaging import models as messaging
from gridtalk.messaging.families import INTERFACES, MESSAGES
from gridtalk.prepaid import models as prepaid
from gridtalk.telemetry.families import LOGS
from gridtalk.users import models as users

pytestmark = pytest.mark.django_db

FAMILIES = [INTERFACES, MESSAGES, JOBS, ALERTS, LOGS]


@pytest.fixture
def circuit() -> grid.Circuit:
    interface = messaging.KannelInterface.objects.create(
        name="k", host="127.0.0.1", username="u", password="secret"
    )
    meter = grid.Meter.objects.create(
        name="ml01", phone="+22370000001", communication_interface=interface
    )
    return grid.Circuit.objects.create(pin="23456789", meter=meter, ip_address="192.168.1.201")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.base_label)
def test_every_member_shares_its_key_in_a_column_called_id(family) -> None:
    for model in family.by_kind.values():
        assert model._meta.pk.column == "id"
        assert model._meta.pk.remote_field.parent_link
        assert model._meta.db_table.endswith("s")


def test_a_child_saves_base_and_child_with_one_time_ordered_id(circuit: grid.Circuit) -> None:
    interface = circuit.meter.communication_interface
    ids = []
    for text in ("one", "two"):
        message = messaging.IncomingMessage(
            number="+1", text=text, communication_interface=interface, state="received"
        )
        message.save()
        ids.append(message.id)
        assert messaging.Message.objects.get(pk=message.pk).kind == "incoming"
    assert ids == sorted(ids)
    assert ids[1] < 2**53


def test_children_come_back_in_order(circuit: grid.Circuit) -> None:
    made = [
        jobs.TurnOn.objects.create(circuit=circuit),
        jobs.AddCredit.objects.create(circuit=circuit, credit=Decimal(500)),
        jobs.TurnOn.objects.create(circuit=circuit),
    ]
    found = JOBS.children(jobs.Job.objects.order_by("id"))
    assert found == made
    assert [type(job) for job in found] == [jobs.TurnOn, jobs.AddCredit, jobs.TurnOn]


def test_a_bare_base_is_refused(circuit: grid.Circuit) -> None:
    with pytest.raises(TypeError, match="is a base"):
        jobs.Job.objects.create(circuit=circuit)


def test_a_providers_password_is_encrypted_in_the_database(circuit: grid.Circuit) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT password FROM kannel_interfaces")
        stored = cursor.fetchone()[0]
    assert "secret" not in stored
    assert messaging.KannelInterface.objects.get().password == "secret"


@pytest.mark.parametrize(
    ("label", "change"),
    [
        ("a pin in another case", {"pin": "ABCdef", "ip_address": "192.168.1.203"}),
        ("an address of the meter", {"pin": "99999999", "ip_address": "192.168.1.202"}),
        ("an address off the meter", {"pin": "99999999", "ip_address": "192.168.1.20"}),
        ("an empty pin", {"pin": "", "ip_address": "192.168.1.204"}),
        ("a mains elsewhere", {"pin": "99999999", "ip_address": "192.168.1.204", "is_main": True}),
        ("a status of 2", {"pin": "99999999", "ip_address": "192.168.1.204", "status": 2}),
    ],
)
def test_the_database_refuses_a_circuit_with(
    circuit: grid.Circuit, label: str, change: dict[str, object]
) -> None:
    grid.Circuit.objects.create(pin="abcDEF", meter=circuit.meter, ip_address="192.168.1.202")
    with pytest.raises(IntegrityError), transaction.atomic():
        grid.Circuit.objects.create(meter=circuit.meter, **change)


def test_a_token_has_one_add_credit_ever(circuit: grid.Circuit) -> None:
    token = prepaid.Token.objects.create(
        number="12345678901", value=500, batch=prepaid.TokenBatch.objects.create()
    )
    jobs.AddCredit.objects.create(circuit=circuit, credit=500, token=token)
    with pytest.raises(IntegrityError), transaction.atomic():
        jobs.AddCredit.objects.create(circuit=circuit, credit=500, token=token)


@pytest.mark.parametrize("statement", ["UPDATE {} SET reason = 'x'", "DELETE FROM {}"])
@pytest.mark.parametrize("table", ["ledger_entries", "audit_entries"])
def test_the_ledger_and_the_audit_trail_cannot_be_changed(table: str, statement: str) -> None:
    from django.db import connection

    stock = prepaid.LedgerAccount.objects.get(kind="stock")
    tokens = prepaid.LedgerAccount.objects.get(kind="tokens")
    prepaid.LedgerEntry.objects.create(
        debit_account=stock, credit_account=tokens, amount=1, cause="token_issue"
    )
    users.AuditEntry.objects.create(action="test", target="x")
    with (
        connection.cursor() as cursor,
        pytest.raises(DatabaseError, match="never changed or deleted"),
    ):
        cursor.execute(statement.format(table))


@pytest.mark.parametrize("amount", [0, -1])
def test_a_ledger_row_has_a_positive_amount(amount: int) -> None:
    stock = prepaid.LedgerAccount.objects.get(kind="stock")
    tokens = prepaid.LedgerAccount.objects.get(kind="tokens")
    with pytest.raises(IntegrityError), transaction.atomic():
        prepaid.LedgerEntry.objects.create(
            debit_account=stock, credit_account=tokens, amount=amount, cause="token_issue"
        )


def test_an_ended_job_has_an_end_and_an_open_one_none(circuit: grid.Circuit) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        jobs.TurnOn.objects.create(circuit=circuit, state="done")
    with pytest.raises(IntegrityError), transaction.atomic():
        jobs.TurnOn.objects.create(circuit=circuit, state="queued", ended_at=clock.now())
