"""``verify`` finds each corruption, by its check alone, and nothing in a sound database."""

import io
from decimal import Decimal

import pytest
from django.db import connection

from gridtalk.core import clock
from gridtalk.grid.models import Circuit
from gridtalk.jobs.models import AddCredit
from gridtalk.jobs.services import (
    add_credit_request,
    credit_add,
    credit_reverse,
    job_acknowledge,
    job_request,
)
from gridtalk.jobs.verify import CHECKS, main, verify
from gridtalk.prepaid.consumption import consumption_post
from gridtalk.prepaid.models import Token
from gridtalk.prepaid.services import token_batch_create, token_void
from gridtalk.telemetry.testing import circuit_make, log_make, meter_make

pytestmark = pytest.mark.django_db


def redeem(circuit: Circuit, token: Token) -> AddCredit:
    return add_credit_request(circuit=circuit, token_number=token.number)


@pytest.fixture
def circuit() -> Circuit:
    """A circuit of a village where everything that may happen to a token has happened once."""
    circuit = circuit_make(meter_make(), last=1)
    circuit_make(circuit.meter, last=2)
    mains = circuit_make(circuit.meter, last=0)
    used, pending, reversed_ = (
        token_batch_create(count=3, value=Decimal(500)).tokens.order_by("pk").all()
    )
    _new, void = token_batch_create(count=2, value=Decimal(20)).tokens.order_by("pk")
    done = redeem(circuit, used)
    job_acknowledge(job_id=done.pk, meter=circuit.meter, credit=Decimal(600), status=1)
    redeem(circuit, pending)
    credit_reverse(job=redeem(circuit, reversed_), user=None, reason="wrong account")
    token_void(token=void, user=None, reason="lost")
    credit_add(circuit=circuit, amount=Decimal(7), user=None, reason="a gift")
    job_request(kind="turn_on", circuit=circuit)
    log_make(circuit, "2026-11-01T08:00", credit=100)
    log_make(mains, "2026-11-01T08:00", credit=3)
    consumption_post(days=10_000)
    return circuit


CORRUPTIONS = {
    "every batch was issued at the value of its tokens": (
        "UPDATE tokens SET batch_id = (SELECT max(id) FROM token_batches) WHERE state = 'pending'",
        "batch",
    ),
    "tokens that can be redeemed are what the ledger says": (
        (
            "INSERT INTO ledger_entries (created_at, occurred_at, debit_account_id,"
            " credit_account_id, amount, cause, reason) SELECT now(), now(), s.id, t.id, 5,"
            " 'token_issue', '' FROM ledger_accounts s, ledger_accounts t"
            " WHERE s.kind = 'stock' AND t.kind = 'tokens'"
        ),
        "worth 20.00, the ledger says 25.00",
    ),
    "each token was redeemed, or made void, exactly when its state says so": (
        "UPDATE ledger_entries SET token_id = NULL WHERE cause = 'token_void'",
        "is void; the ledger has 0 redemptions, 0 reversals, 0 voidings",
    ),
    "a token's rows are of its value": (
        (
            "UPDATE ledger_entries SET token_id = (SELECT id FROM tokens WHERE state = 'new')"
            " WHERE cause = 'delivery'"
        ),
        "worth 20.00, but a row “delivery” moves 500.00",
    ),
    "each credit job stands in the ledger as its state says": (
        "UPDATE ledger_entries SET job_id = NULL WHERE cause = 'reversal'",
        "is cancelled, but the ledger took 500.00, delivered 0, reversed 0",
    ),
    "credit was delivered to the circuit of its job": (
        (
            "UPDATE jobs SET circuit_id = (SELECT id FROM circuits WHERE ip_address LIKE '%202')"
            " WHERE state = 'done'"
        ),
        "but its credit went to account",
    ),
    "every row about a job is about a credit job": (
        (
            "INSERT INTO ledger_entries (created_at, occurred_at, debit_account_id,"
            " credit_account_id, amount, cause, reason, job_id) SELECT now(), now(), s.id, t.id, 5,"
            " 'adjustment', 'x', (SELECT id FROM turn_on_jobs) FROM ledger_accounts s,"
            " ledger_accounts t WHERE s.kind = 'adjustment' AND t.kind = 'sold'"
        ),
        "which is no credit",
    ),
    "credit on its way is that of the open jobs": (
        (
            "INSERT INTO ledger_entries (created_at, occurred_at, debit_account_id,"
            " credit_account_id, amount, cause, reason) SELECT now(), now(), s.id, t.id, 5,"
            " 'adjustment', 'x' FROM ledger_accounts s, ledger_accounts t"
            " WHERE s.kind = 'adjustment' AND t.kind = 'in_flight'"
        ),
        "open credit jobs sum to 507.00, the ledger has 512.00 on its way",
    ),
    "a token and its job agree": (
        "UPDATE tokens SET state = 'pending' WHERE state = 'used'",
        "(pending, worth 500.00)",
    ),
    "a circuit shows what its newest report said": (
        "UPDATE circuits SET credit_as_of = '2026-10-31' WHERE ip_address LIKE '%201'",
        "its report of",
    ),
}


def test_every_check_has_its_corruption() -> None:
    assert CORRUPTIONS.keys() == CHECKS.keys()


def test_a_sound_database_is_clean(circuit: Circuit) -> None:
    report = verify()
    assert report.errors == {}
    assert report.clean
    out = io.StringIO()
    assert main(out=out) == 0
    assert "no cent was lost or made" in out.getvalue()


@pytest.mark.parametrize("name", CHECKS)
def test_a_corruption_is_found_by_its_check_alone(circuit: Circuit, name: str) -> None:
    sql, says = CORRUPTIONS[name]
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE ledger_entries DISABLE TRIGGER ledger_entries_append_only")
        cursor.execute(sql)
        assert cursor.rowcount == 1
    report = verify()
    assert list(report.errors) == [name]
    assert says in report.errors[name][0]
    out = io.StringIO()
    assert main(out=out) == 1
    assert f"WRONG  not so: {name}" in out.getvalue()
    assert f"1 of {len(CHECKS)} checks failed" in out.getvalue()


@pytest.mark.parametrize("since", [False, True], ids=["of no time", "newer than any report"])
def test_credit_that_no_meter_said_is_a_note(circuit: Circuit, since: bool) -> None:
    assert not any("never said" in note for note in verify().notes)
    other = Circuit.objects.get(ip_address__endswith="202")
    as_of = clock.now() if since else None
    Circuit.objects.filter(pk=other.pk).update(credit=777_777, credit_as_of=as_of)
    report = verify()
    assert report.errors == {}
    assert any(
        note.startswith("1 circuits show credit that their meter never said, 777777.00")
        and f"circuit {other.pk} first" in note
        for note in report.notes
    )


def test_more_credit_than_was_given_since_the_last_report_is_a_note(circuit: Circuit) -> None:
    assert not any("show more credit" in note for note in verify().notes)
    Circuit.objects.filter(pk=circuit.pk).update(credit=99_999, credit_as_of=clock.now())
    report = verify()
    assert report.errors == {}
    assert any(
        note.startswith("1 circuits show more credit") and f"circuit {circuit.pk} first" in note
        for note in report.notes
    )


def test_what_waits_for_a_person_is_a_note(circuit: Circuit) -> None:
    pending = AddCredit.objects.get(token__state="pending")
    pending.state = "unconfirmed"
    pending.save()
    log_make(circuit, clock.now(), credit=90)
    Circuit.objects.filter(pk=circuit.pk).update(
        credit=90, credit_as_of=clock.now(), credit_estimated=True
    )
    report = verify()
    assert report.errors == {}
    notes = " ".join(report.notes)
    assert "1 credit jobs over 500.00 wait for a person" in notes
    assert "1 circuits show an estimated credit" in notes
    assert "not in the ledger yet" in notes
