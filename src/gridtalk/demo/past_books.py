"""The books of a written past: cards, credits and consumption, by COPY."""

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from django.db import connection

from gridtalk.core import clock
from gridtalk.grid.models import Circuit
from gridtalk.prepaid.consumption import day_is_over, day_postings
from gridtalk.prepaid.ledger import system_account_id
from gridtalk.prepaid.models import LedgerAccount, LedgerEntry, Token
from gridtalk.prepaid.services import MOST_TOKENS, token_batch_create

Row = TypeVar("Row")
#: What a card is worth, in hundredths.
CARD = 500_00
#: Rows that one COPY writes.
AT_ONCE = 100_000


def credits_write(sold: Sequence[tuple[int, datetime]], end: datetime) -> None:
    """A used card, a job that is done and its rows in the ledger for each credit."""
    ids = [
        line.pk for line in Circuit.objects.filter(is_main=False, ledger_account=None).only("pk")
    ]
    LedgerAccount.objects.bulk_create(
        [LedgerAccount(kind=LedgerAccount.Kind.CIRCUIT, circuit_id=pk) for pk in ids],
        batch_size=5000,
    )
    accounts = dict(
        LedgerAccount.objects.filter(circuit__isnull=False).values_list("circuit_id", "pk")
    )
    kind = LedgerAccount.Kind
    tokens, in_flight = system_account_id(kind.TOKENS), system_account_id(kind.IN_FLIGHT)
    for part in parts(sold, MOST_TOKENS):
        batch = token_batch_create(
            count=len(part), value=Decimal(CARD).scaleb(-2), note="cards of the past"
        )
        numbers = list(batch.tokens.order_by("pk").values_list("pk", flat=True))
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT nextval(pg_get_serial_sequence('jobs', 'id')) FROM generate_series(1, %s)",
                [len(part)],
            )
            job_ids = [row[0] for row in cursor.fetchall()]
        jobs, credits_, entries = [], [], []
        value = f"{CARD // 100}.00"
        now = end.isoformat()
        for (circuit_id, at), token_id, job_id in zip(part, numbers, job_ids, strict=True):
            asked = (at - timedelta(minutes=1)).isoformat()
            done = at.isoformat()
            jobs.append(
                f"{job_id}\tadd_credit\t{uuid.uuid4()}\t{asked}\t{done}\tdone\t{circuit_id}\t"
                f"consumer\t1\t{asked}\t\n"
            )
            credits_.append(f"{job_id}\t{value}\t{token_id}\n")
            entries.append(
                f"{now}\t{asked}\t{tokens}\t{in_flight}\t{value}\tredemption\t{token_id}\t"
                f"{job_id}\t\n"
            )
            entries.append(
                f"{now}\t{done}\t{in_flight}\t{accounts[circuit_id]}\t{value}\tdelivery\t\\N\t"
                f"{job_id}\t\n"
            )
        copy(
            "jobs (id, kind, uuid, started_at, ended_at, state, circuit_id, requested_by, attempts,"
            " sent_at, note)",
            jobs,
        )
        copy("add_credit_jobs (id, credit, token_id)", credits_)
        copy(
            "ledger_entries (created_at, occurred_at, debit_account_id, credit_account_id, amount,"
            " cause, token_id, job_id, reason)",
            entries,
        )
        Token.objects.filter(batch=batch).update(state=Token.State.USED, used_at=end)


def consumption_write(start: datetime) -> int:
    """Post the days that are over, as the nightly task would, in bulk."""
    now = clock.now()
    kind = LedgerAccount.Kind
    sold, adjustment = system_account_id(kind.SOLD), system_account_id(kind.ADJUSTMENT)
    accounts = dict(
        LedgerAccount.objects.filter(circuit__isnull=False).values_list("circuit_id", "pk")
    )
    made = 0
    for chunk in day_postings(since=start - timedelta(days=1)):
        rows = []
        for item in chunk:
            if not item.missing or not day_is_over(item, now):
                continue
            other = sold if item.cause == LedgerEntry.Cause.CONSUMPTION else adjustment
            own = accounts[item.circuit_id]
            debit, credit = (own, other) if item.missing > 0 else (other, own)
            rows.append(
                f"{now.isoformat()}\t{item.last_report_at.isoformat()}\t{debit}\t{credit}\t"
                f"{abs(item.missing)}\t{item.cause}\t{item.day}\t{item.reason}\n"
            )
        copy(
            "ledger_entries (created_at, occurred_at, debit_account_id, credit_account_id, amount,"
            " cause, day, reason)",
            rows,
        )
        made += len(rows)
    return made


def copy(target: str, lines: list[str]) -> None:
    """COPY lines into a table and its columns."""
    for part in parts(lines, AT_ONCE):
        with connection.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN") as copy:
            copy.write("".join(part))


def parts(rows: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    """The rows, so many at a time."""
    for first in range(0, len(rows), size):
        yield rows[first : first + size]
