"""Tokens: made, reserved, used, taken back. Each function locks first, then checks."""

import secrets
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from gridtalk.core import money
from gridtalk.core.errors import Conflict, NotFound, UserError
from gridtalk.prepaid import ledger
from gridtalk.prepaid.models import Token, TokenBatch
from gridtalk.users import audit
from gridtalk.users.models import User

TOKEN_DIGITS = 11
#: Numbers are drawn until unused ones are found: 10^11 of them, and a batch is at most this large.
MOST_TOKENS = 100_000


class TokenUnknown(NotFound):
    """There is no token with that number that could ever be redeemed by SMS."""


class TokenSpent(Conflict):
    """The token was redeemed, or taken back, before."""

    def __init__(self, token: Token) -> None:
        super().__init__("this token was used before")
        self.token = token


class TokenPending(Conflict):
    """The token is on its way to a meter."""


def token_numbers_new(*, count: int) -> list[str]:
    """That many unused numbers of 11 digits, from the operating system's randomness."""
    numbers: dict[str, None] = {}
    while len(numbers) < count:
        fresh = {f"{secrets.randbelow(10**TOKEN_DIGITS):0{TOKEN_DIGITS}d}" for _ in range(count)}
        taken = set(Token.objects.filter(number__in=fresh).values_list("number", flat=True))
        numbers.update(dict.fromkeys(sorted(fresh - taken)[: count - len(numbers)]))
    return list(numbers)


@transaction.atomic
def token_batch_create(
    *, count: int, value: Decimal, user: User | None = None, note: str = "", reason: str = ""
) -> TokenBatch:
    """Make ``count`` tokens worth ``value`` each, and post their issue.

    Raises :class:`UserError` where count is not 1…100,000 or the value is not positive.
    """
    if not 1 <= count <= MOST_TOKENS:
        raise UserError(
            "a batch has 1 to %(most)s tokens, not %(count)s", most=f"{MOST_TOKENS:,}", count=count
        )
    value = money.parse(str(value))
    if value <= 0:
        raise UserError("a token is worth more than nothing: give a value above 0")
    if value * count > money.LARGEST:
        raise UserError("the batch is worth more than can be counted; make fewer tokens")
    batch = TokenBatch.objects.create(created_by=user, note=note)
    Token.objects.bulk_create(
        [
            Token(number=number, value=value, batch=batch)
            for number in token_numbers_new(count=count)
        ],
        batch_size=5000,
    )
    ledger.issue_post(batch=batch, amount=value * count, user=user, reason=reason)
    audit.audit(
        user=user,
        action="token_batch_create",
        target=f"token batch {batch.pk}",
        reason=reason,
        data={"count": count, "value": str(value)},
    )
    return batch


def token_reserve(*, number: str) -> Token:
    """Take a token for redemption by SMS: ``new`` becomes ``pending``. Assumes a transaction.

    Raises :class:`TokenUnknown` for a number that is none or was issued to a tablet (SMS never
    redeems those, and does not say that they exist), :class:`TokenPending` while its job is under
    way, :class:`TokenSpent` for a used or void one. Source: gateway.md 2 and 5.
    """
    token = Token.objects.select_for_update(no_key=True).filter(number=number).first()
    if token is None or token.state in {Token.State.ISSUED, Token.State.SOLD}:
        raise TokenUnknown("there is no token with this number")
    if token.state == Token.State.PENDING:
        raise TokenPending("this token is being credited")
    if token.state != Token.State.NEW:
        raise TokenSpent(token)
    token.state = Token.State.PENDING
    token.save(update_fields=["state"])
    return token


def token_used(*, token: Token, at: datetime) -> None:
    """The meter has the credit: ``pending`` becomes ``used``. Assumes the job is locked."""
    Token.objects.filter(pk=token.pk, state=Token.State.PENDING).update(
        state=Token.State.USED, used_at=at
    )


def token_taken_back(*, token: Token) -> None:
    """The credit is reversed: ``pending`` becomes ``void``. Assumes the job is locked."""
    Token.objects.filter(pk=token.pk, state=Token.State.PENDING).update(state=Token.State.VOID)


@transaction.atomic
def token_void(*, token: Token, user: User | None, reason: str) -> Token:
    """Make a token worthless that nobody redeemed; needs a reason.

    Raises :class:`UserError` without a reason, :class:`Conflict` for a token in any other state.
    """
    reason = reason_required(reason)
    locked = Token.objects.select_for_update(no_key=True).get(pk=token.pk)
    if locked.state not in {Token.State.NEW, Token.State.ISSUED}:
        raise Conflict(
            "the token is %(state)s: it cannot be made void", state=locked.get_state_display()
        )
    locked.state = Token.State.VOID
    locked.save(update_fields=["state"])
    ledger.token_void_post(token=locked, user=user, reason=reason)
    audit.audit(user=user, action="token_void", target=f"token {token.pk}", reason=reason)
    return locked


def reason_required(reason: str) -> str:
    """The reason, trimmed; what a person does with money always needs one."""
    reason = reason.strip()
    if not reason:
        raise UserError("say why: what is done with money needs a reason")
    return reason
