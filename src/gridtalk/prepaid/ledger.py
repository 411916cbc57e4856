"""The ledger: where credit comes from and where it goes. Rows are only ever added.

::

    stock ─token_issue─► tokens ─redemption─► in_flight ─delivery─► circuit ─consumption─► sold
                           │                      │
                           └─token_void─► void ◄──┴─reversal

    adjustment ──adjustment──► in_flight   credit that the operator gives without a token
    adjustment ◄─adjustment──► circuit     opening credit, and differences found at a meter

All functions assume the caller's transaction, and that it locked what the row speaks of.
"""

from datetime import date, datetime
from decimal import Decimal

from django.db.models import DecimalField, F, Q, Sum
from django.db.models.functions import Coalesce

from gridtalk.core import clock, money
from gridtalk.grid.models import Circuit
from gridtalk.prepaid.models import LedgerAccount, LedgerEntry, Token, TokenBatch
from gridtalk.users.models import User

Kind = LedgerAccount.Kind
Cause = LedgerEntry.Cause

_system: dict[str, int] = {}


def system_account_id(kind: str) -> int:
    """The id of one of the system's own accounts."""
    if kind not in _system:
        _system[kind] = LedgerAccount.objects.values_list("id", flat=True).get(kind=kind)
    return _system[kind]


def circuit_account_id(circuit_id: int) -> int:
    """The id of a circuit's account, made at its first credit."""
    found = LedgerAccount.objects.values_list("id", flat=True).filter(circuit_id=circuit_id).first()
    if found is None:
        # Two at once: the constraint lets one in, both find it.
        LedgerAccount.objects.bulk_create(
            [LedgerAccount(kind=Kind.CIRCUIT, circuit_id=circuit_id)], ignore_conflicts=True
        )
        found = LedgerAccount.objects.values_list("id", flat=True).get(circuit_id=circuit_id)
    return found


def post(
    *,
    debit: int,
    credit: int,
    amount: Decimal,
    cause: str,
    occurred_at: datetime | None = None,
    token: Token | None = None,
    batch: TokenBatch | None = None,
    job_id: int | None = None,
    day: date | None = None,
    reason: str = "",
    user: User | None = None,
) -> LedgerEntry:
    """Add a row: ``amount`` (positive) from the debit to the credit account (ids)."""
    return LedgerEntry.objects.create(
        debit_account_id=debit,
        credit_account_id=credit,
        amount=amount,
        cause=cause,
        occurred_at=occurred_at or clock.now(),
        token=token,
        batch=batch,
        job_id=job_id,
        day=day,
        reason=reason,
        user=user,
    )


def issue_post(*, batch: TokenBatch, amount: Decimal, user: User | None, reason: str = "") -> None:
    """Tokens were made: face value of the whole batch."""
    post(
        debit=system_account_id(Kind.STOCK),
        credit=system_account_id(Kind.TOKENS),
        amount=amount,
        cause=Cause.TOKEN_ISSUE,
        batch=batch,
        user=user,
        reason=reason,
    )


def redemption_post(*, token: Token, job_id: int) -> None:
    """A token was taken: its value is on its way to a meter."""
    post(
        debit=system_account_id(Kind.TOKENS),
        credit=system_account_id(Kind.IN_FLIGHT),
        amount=token.value,
        cause=Cause.REDEMPTION,
        token=token,
        job_id=job_id,
    )


def gift_post(*, amount: Decimal, job_id: int, user: User | None, reason: str) -> None:
    """The operator gives credit without a token: it is on its way to a meter."""
    post(
        debit=system_account_id(Kind.ADJUSTMENT),
        credit=system_account_id(Kind.IN_FLIGHT),
        amount=amount,
        cause=Cause.ADJUSTMENT,
        job_id=job_id,
        user=user,
        reason=reason,
    )


def delivery_post(
    *,
    circuit: Circuit,
    amount: Decimal,
    job_id: int,
    occurred_at: datetime,
    after_reversal: bool = False,
) -> None:
    """A meter has the credit. After a reversal its value was taken back: the operator pays."""
    source = Kind.ADJUSTMENT if after_reversal else Kind.IN_FLIGHT
    post(
        debit=system_account_id(source),
        credit=circuit_account_id(circuit.pk),
        amount=amount,
        cause=Cause.DELIVERY,
        job_id=job_id,
        occurred_at=occurred_at,
        reason="applied by the meter after it was reversed" if after_reversal else "",
    )


def reversal_post(
    *, amount: Decimal, job_id: int, token: Token | None, user: User | None, reason: str
) -> None:
    """Credit that never arrived is taken back."""
    post(
        debit=system_account_id(Kind.IN_FLIGHT),
        credit=system_account_id(Kind.VOID),
        amount=amount,
        cause=Cause.REVERSAL,
        job_id=job_id,
        token=token,
        user=user,
        reason=reason,
    )


def token_void_post(*, token: Token, user: User | None, reason: str) -> None:
    """A token which was never redeemed is made worthless."""
    post(
        debit=system_account_id(Kind.TOKENS),
        credit=system_account_id(Kind.VOID),
        amount=token.value,
        cause=Cause.TOKEN_VOID,
        token=token,
        user=user,
        reason=reason,
    )


def circuit_post(
    *,
    circuit_id: int,
    amount: Decimal,
    cause: str,
    day: date,
    occurred_at: datetime,
    reason: str = "",
) -> None:
    """Move ``amount`` out of a circuit (positive) or into it (negative); zero posts nothing.

    Consumption goes to ``sold``, everything else to ``adjustment``. From a credit of +LARGEST to
    one of -LARGEST (a meter gone mad) is more than a row holds: that takes several rows.
    """
    other = system_account_id(Kind.SOLD if cause == Cause.CONSUMPTION else Kind.ADJUSTMENT)
    own = circuit_account_id(circuit_id)
    left = abs(amount)
    while left:
        part = min(left, money.LARGEST)
        left -= part
        post(
            debit=own if amount > 0 else other,
            credit=other if amount > 0 else own,
            amount=part,
            cause=cause,
            day=day,
            occurred_at=occurred_at,
            reason=reason,
        )


def balance(account_id: int) -> Decimal:
    """What the account holds: the sum of its credits less the sum of its debits."""
    return balances(account_ids=[account_id]).get(account_id, money.ZERO)


def balances(*, account_ids: list[int] | None = None) -> dict[int, Decimal]:
    """The balances of these accounts (of all), by account id; one without rows is left out."""
    total = Coalesce(Sum("amount"), money.ZERO, output_field=DecimalField())
    rows = LedgerEntry.objects.order_by()
    sums: dict[int, Decimal] = {}
    for column, sign in (("credit_account_id", 1), ("debit_account_id", -1)):
        chosen = rows if account_ids is None else rows.filter(Q(**{f"{column}__in": account_ids}))
        for account, amount in (
            chosen.values(account=F(column)).annotate(total=total).values_list("account", "total")
        ):
            sums[account] = sums.get(account, money.ZERO) + sign * amount
    return sums
