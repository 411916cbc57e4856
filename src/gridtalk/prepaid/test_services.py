"""Tokens: made, reserved, voided; and what the ledger says of them."""

import re
from decimal import Decimal

import pytest

from gridtalk.core.errors import Conflict, UserError
from gridtalk.prepaid import ledger, services
from gridtalk.prepaid.models import LedgerEntry, Token
from gridtalk.users.models import AuditEntry

pytestmark = pytest.mark.django_db


def balance(kind: str) -> Decimal:
    return ledger.balance(ledger.system_account_id(kind))


def test_a_batch_is_issued_at_its_face_value() -> None:
    batch = services.token_batch_create(count=25, value=Decimal("20.10"), note="shop")
    numbers = list(batch.tokens.values_list("number", flat=True))
    assert len(set(numbers)) == 25
    assert all(re.fullmatch("[0-9]{11}", number) for number in numbers)
    assert balance("tokens") == Decimal("502.50") == -balance("stock")
    assert AuditEntry.objects.get().action == "token_batch_create"


@pytest.mark.parametrize(
    ("label", "count", "value", "says"),
    [
        ("none", 0, "5", "1 to 100,000"),
        ("fewer than none", -1, "5", "1 to 100,000"),
        ("too many", 100_001, "5", "1 to 100,000"),
        ("worth nothing", 1, "0", "above 0"),
        ("worth less", 1, "-5", "above 0"),
        ("a fraction of a cent", 1, "0.001", "two decimals"),
        ("no number", 1, "NaN", "not an amount"),
        ("too much each", 1, "1000000000000000", "too large"),
        ("too much together", 100_000, "99999999999", "fewer tokens"),
    ],
)
def test_a_batch_that_makes_no_sense_is_refused(
    label: str, count: int, value: str, says: str
) -> None:
    with pytest.raises(UserError, match=says):
        services.token_batch_create(count=count, value=Decimal(value))
    assert not Token.objects.exists()
    assert not LedgerEntry.objects.exists()


def test_numbers_that_are_taken_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([7, 7, 8, 7, 8, 9, *range(100, 200)])
    monkeypatch.setattr(services.secrets, "randbelow", lambda _: next(drawn))
    Token.objects.create(number="00000000007", value=1, batch=services.TokenBatch.objects.create())
    assert services.token_numbers_new(count=2) == ["00000000008", "00000000100"]


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("issued", services.TokenUnknown),
        ("sold", services.TokenUnknown),
        ("pending", services.TokenPending),
        ("used", services.TokenSpent),
        ("void", services.TokenSpent),
    ],
)
def test_only_a_new_token_is_reserved(state: str, error: type[Exception]) -> None:
    token = services.token_batch_create(count=1, value=Decimal(5)).tokens.get()
    device = services.Token.device.field.related_model.objects.create(device_id="aa:bb")
    Token.objects.filter(pk=token.pk).update(state=state, device=device)
    with pytest.raises(error):
        services.token_reserve(number=token.number)
    assert Token.objects.get().state == state


@pytest.mark.parametrize("number", ["", "1", "9" * 21, "9" * 5000, "abc"])
def test_a_number_that_is_none_is_unknown(number: str) -> None:
    with pytest.raises(services.TokenUnknown):
        services.token_reserve(number=number)


def test_a_token_is_made_void_once_and_with_a_reason() -> None:
    token = services.token_batch_create(count=1, value=Decimal(5)).tokens.get()
    with pytest.raises(UserError, match="say why"):
        services.token_void(token=token, user=None, reason=" ")
    services.token_void(token=token, user=None, reason="lost")
    with pytest.raises(Conflict, match="cannot be made void"):
        services.token_void(token=token, user=None, reason="lost")
    assert (balance("tokens"), balance("void")) == (0, 5)
