"""``gridtalk verify``: the ledger replayed against tokens, jobs and circuits.

An error means that money was lost or made: a bug of ours, or a hand in the database. A note is
something that the operator should know and that no rule forbids.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TextIO

from django.db import connection, transaction

from gridtalk.core import money
from gridtalk.prepaid.consumption import day_postings

#: Lines shown of each check.
MOST_SHOWN = 20

# Each query returns one column: the sentence that says what is wrong. No rows: all is well.
CHECKS: dict[str, str] = {
    "every batch was issued at the value of its tokens": """
        SELECT format('batch %s: tokens are worth %s, the ledger issued %s', b.id,
                      coalesce(t.total, 0), coalesce(e.total, 0))
        FROM token_batches b
        LEFT JOIN (SELECT batch_id, sum(value) AS total FROM tokens GROUP BY 1) t
             ON t.batch_id = b.id
        LEFT JOIN (SELECT batch_id, sum(amount) AS total FROM ledger_entries
                   WHERE cause = 'token_issue' GROUP BY 1) e ON e.batch_id = b.id
        WHERE coalesce(t.total, 0) <> coalesce(e.total, 0)
    """,
    "tokens that can be redeemed are what the ledger says": """
        SELECT format('redeemable tokens are worth %s, the ledger says %s', t.total, l.total)
        FROM (SELECT coalesce(sum(value), 0) AS total FROM tokens
              WHERE state IN ('new', 'issued', 'sold')) t,
             (SELECT coalesce(sum(CASE WHEN e.credit_account_id = a.id THEN e.amount
                                       ELSE -e.amount END), 0) AS total
              FROM ledger_accounts a LEFT JOIN ledger_entries e
                   ON a.id IN (e.credit_account_id, e.debit_account_id)
              WHERE a.kind = 'tokens') l
        WHERE t.total <> l.total
    """,
    "each token was redeemed, or made void, exactly when its state says so": """
        SELECT format('token %s is %s; the ledger has %s redemptions, %s reversals, %s voidings',
                      id, state, redeemed, reversed, voided)
        FROM (
            SELECT t.id, t.state, count(e.id) FILTER (WHERE e.cause = 'redemption') AS redeemed,
                   count(e.id) FILTER (WHERE e.cause = 'reversal') AS reversed,
                   count(e.id) FILTER (WHERE e.cause = 'token_void') AS voided
            FROM tokens t LEFT JOIN ledger_entries e ON e.token_id = t.id
            GROUP BY t.id, t.state
        ) t
        WHERE NOT CASE
            WHEN state IN ('new', 'issued', 'sold') THEN redeemed + reversed + voided = 0
            WHEN state IN ('pending', 'used') THEN redeemed = 1 AND reversed + voided = 0
            ELSE redeemed = reversed AND redeemed + voided = 1
        END
    """,
    "a token's rows are of its value": """
        SELECT format('token %s is worth %s, but a row “%s” moves %s',
                      t.id, t.value, e.cause, e.amount)
        FROM ledger_entries e JOIN tokens t ON t.id = e.token_id WHERE e.amount <> t.value
    """,
    "each credit job stands in the ledger as its state says": """
        SELECT format('job %s over %s is %s, but the ledger took %s, delivered %s, reversed %s',
                      j.id, a.credit, j.state, s.taken, s.delivered, s.reversed)
        FROM add_credit_jobs a JOIN jobs j USING (id)
        LEFT JOIN LATERAL (
            SELECT coalesce(sum(e.amount) FILTER (WHERE e.credit_account_id = f.id), 0) AS taken,
                   coalesce(sum(e.amount) FILTER (WHERE e.cause = 'delivery'), 0) AS delivered,
                   coalesce(sum(e.amount) FILTER (WHERE e.cause = 'reversal'), 0) AS reversed
            FROM ledger_accounts f LEFT JOIN ledger_entries e ON e.job_id = j.id
            WHERE f.kind = 'in_flight'
        ) s ON true
        WHERE s.taken <> a.credit
           OR s.delivered <> CASE WHEN j.state = 'done' THEN a.credit
                                  WHEN j.state = 'cancelled' AND s.delivered <> 0 THEN a.credit
                                  ELSE 0 END
           OR s.reversed <> CASE WHEN j.state = 'cancelled' THEN a.credit ELSE 0 END
    """,
    "credit was delivered to the circuit of its job": """
        SELECT format('job %s is for circuit %s, but its credit went to account %s',
                      j.id, j.circuit_id, e.credit_account_id)
        FROM ledger_entries e JOIN jobs j ON j.id = e.job_id
        JOIN ledger_accounts a ON a.id = e.credit_account_id
        WHERE e.cause = 'delivery' AND a.circuit_id IS DISTINCT FROM j.circuit_id
    """,
    "every row about a job is about a credit job": """
        SELECT format('ledger row %s names job %s, which is no credit', e.id, e.job_id)
        FROM ledger_entries e LEFT JOIN add_credit_jobs a ON a.id = e.job_id
        WHERE e.job_id IS NOT NULL AND a.id IS NULL
    """,
    "credit on its way is that of the open jobs": """
        SELECT format('open credit jobs sum to %s, the ledger has %s on its way', j.total, l.total)
        FROM (SELECT coalesce(sum(a.credit), 0) AS total
              FROM add_credit_jobs a JOIN jobs j USING (id)
              WHERE j.state IN ('queued', 'sent', 'unconfirmed', 'failed')) j,
             (SELECT coalesce(sum(CASE WHEN e.credit_account_id = a.id THEN e.amount
                                       ELSE -e.amount END), 0) AS total
              FROM ledger_accounts a LEFT JOIN ledger_entries e
                   ON a.id IN (e.credit_account_id, e.debit_account_id)
              WHERE a.kind = 'in_flight') l
        WHERE j.total <> l.total
    """,
    "a token and its job agree": """
        SELECT format('token %s (%s, worth %s) and job %s (%s, over %s) disagree',
                      t.id, t.state, t.value, j.id, j.state, a.credit)
        FROM add_credit_jobs a JOIN jobs j USING (id) JOIN tokens t ON t.id = a.token_id
        WHERE a.credit <> t.value
           OR t.state <> CASE WHEN j.state = 'done' THEN 'used'
                              WHEN j.state = 'cancelled' THEN 'void' ELSE 'pending' END
    """,
    "a circuit shows what its newest report said": """
        SELECT format('circuit %s shows credit %s, its report of %s said %s',
                      c.id, c.credit, p.meter_time, p.credit)
        FROM circuits c CROSS JOIN LATERAL (
            SELECT p.meter_time, p.credit FROM primary_logs p
            WHERE p.circuit_id = c.id AND p.credit IS NOT NULL AND NOT p.clock_ahead
            ORDER BY p.meter_time DESC LIMIT 1
        ) p
        WHERE NOT c.is_main AND (
              c.credit_as_of < p.meter_time
              OR c.credit_as_of IS NULL
              -- of one instant, what an acknowledgement said stands above the report
              OR (c.credit_as_of = p.meter_time AND c.credit <> p.credit AND NOT EXISTS (
                      SELECT 1 FROM jobs j WHERE j.circuit_id = c.id
                      AND (j.state = 'done' OR EXISTS (
                          SELECT 1 FROM ledger_entries e
                          WHERE e.job_id = j.id AND e.cause = 'delivery')))))
    """,
}
# Of no time, or newer than every report, which only an acknowledgement or an alert can have said;
# and there is none.
_UNSAID = """
    SELECT count(*), sum(c.credit), min(c.id)
    FROM circuits c
    WHERE NOT c.is_main AND c.credit <> 0
          AND (c.credit_as_of IS NULL
               OR NOT EXISTS (SELECT 1 FROM primary_logs p WHERE p.circuit_id = c.id
                              AND p.credit IS NOT NULL AND p.meter_time >= c.credit_as_of))
          AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.circuit_id = c.id
                          AND (j.sent_at IS NOT NULL OR j.state = 'done'))
          AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.circuit_id = c.id)
"""

# What a meter said in an acknowledgement or an alert since its last report. A delivery may be noted
# a little before the report that does not show it yet: clocks differ.
_RISEN = """
    SELECT count(*), sum(s.surplus), min(s.id)
    FROM (
        SELECT c.id, c.credit - p.credit - coalesce(
                   (SELECT sum(e.amount) FROM ledger_entries e
                    JOIN ledger_accounts a ON a.id = e.credit_account_id
                    WHERE a.circuit_id = c.id AND e.cause = 'delivery'
                          AND e.occurred_at > p.meter_time - interval '1 hour'), 0) AS surplus
        FROM circuits c CROSS JOIN LATERAL (
            SELECT p.meter_time, p.credit FROM primary_logs p
            WHERE p.circuit_id = c.id AND p.credit IS NOT NULL AND NOT p.clock_ahead
            ORDER BY p.meter_time DESC LIMIT 1
        ) p
        WHERE NOT c.is_main AND c.credit_as_of > p.meter_time AND c.credit > p.credit
    ) s
    WHERE s.surplus > 0
"""


@dataclass
class Report:
    """What the checks found."""

    errors: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether no money was lost or made."""
        return not self.errors


def verify(*, progress: Callable[[str], None] | None = None) -> Report:
    """Run every check on one snapshot of the database, so that a living server disturbs none."""
    report = Report()
    outermost = not connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        if outermost:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for name, sql in CHECKS.items():
            if progress:
                progress(name)
            cursor.execute(sql)
            found = [str(row[0]) for row in cursor.fetchall()]
            if found:
                report.errors[name] = found
        if progress:
            progress("consumption follows the reports")
        report.notes += _notes(cursor)
    return report


def _notes(cursor: Any) -> list[str]:
    notes = []
    beginning = datetime(1970, 1, 1, tzinfo=UTC)
    waiting = money.ZERO
    for chunk in day_postings(since=beginning):
        waiting += sum((abs(item.missing) for item in chunk), money.ZERO)
    if waiting:
        notes.append(
            f"{money.shown(waiting)} of consumption and differences since the last nightly posting "
            "are not in the ledger yet"
        )
    for sql, text in (
        (
            """SELECT count(*), sum(a.credit) FROM add_credit_jobs a JOIN jobs j USING (id)
               WHERE j.state IN ('unconfirmed', 'failed')""",
            "{0} credit jobs over {1} wait for a person: resend or reverse them",
        ),
        (
            """SELECT count(*), sum(amount) FROM ledger_entries
               WHERE cause = 'adjustment' AND day IS NOT NULL AND reason LIKE 'the meter shows%'""",
            "{0} times a meter showed more credit than it was given, {1} in all",
        ),
        (
            _UNSAID,
            (
                "{0} circuits show credit that their meter never said, {1} in all: look at "
                "circuit {2} first"
            ),
        ),
        (
            _RISEN,
            (
                "{0} circuits show more credit than their last report and what they were given "
                "since, {1} in all: look at circuit {2} first"
            ),
        ),
        (
            "SELECT count(*), count(*) FROM circuits WHERE credit_estimated",
            "{0} circuits show an estimated credit: a meter confirmed without saying how much",
        ),
    ):
        cursor.execute(sql)
        count, *more = cursor.fetchone()
        if count:
            notes.append(text.format(count, *more))
    return notes


def main(*, out: TextIO = sys.stdout) -> int:
    """Print what was found; 0 where no money was lost or made, else 1."""
    report = verify(progress=lambda name: print(f"  checking: {name}", file=out, flush=True))
    lines = []
    for name, found in report.errors.items():
        lines.append(f"WRONG  not so: {name}")
        lines += [f"       {line}" for line in found[:MOST_SHOWN]]
        if len(found) > MOST_SHOWN:
            lines.append(f"       and {len(found) - MOST_SHOWN} more")
    lines += [f"note   {line}" for line in report.notes]
    lines.append(
        "The ledger is clean: no cent was lost or made."
        if report.clean
        else f"The ledger is NOT clean: {len(report.errors)} of {len(CHECKS)} checks failed."
    )
    out.write("\n".join(lines) + "\n")
    return 0 if report.clean else 1
