"""Model fields that several apps use."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.expressions import Func

from gridtalk.core import money, secrets

#: Where the time-ordered ids begin.
_EPOCH = datetime(2010, 1, 1, tzinfo=UTC)


class EncryptedTextField(models.TextField[str, str]):
    """Text which the database holds encrypted with the installation's key; empty stays empty."""

    description = "text, encrypted at rest"

    def from_db_value(
        self,
        value: str | None,
        expression: Any,  # noqa: ARG002
        connection: Any,  # noqa: ARG002
    ) -> str | None:
        return secrets.decrypt(value) if value else value

    def get_prep_value(self, value: Any) -> Any:
        prepared = super().get_prep_value(value)
        return secrets.encrypt(prepared) if prepared else prepared


def money_field(**options: Any) -> models.DecimalField[Decimal, Decimal]:
    """A numeric(16,2) column."""
    return models.DecimalField(max_digits=16, decimal_places=2, **options)


def money_number(column: str) -> Q:
    """For a constraint: the amount is a number. PostgreSQL's ``numeric`` also takes NaN, which it
    holds for larger than any number and so above 0."""
    return Q(**{f"{column}__lte": money.LARGEST})


def money_positive(column: str) -> Q:
    """For a constraint: the amount is a number above 0."""
    return Q(**{f"{column}__gt": 0}) & money_number(column)


class NextId(Func):
    """The next time-ordered id (``core/migrations/0001``): milliseconds since 2010, then 13 bits.

    Ordered by time of making, below 2^53 until 2044 so that JavaScript reads it whole.
    """

    function = "gridtalk_next_id"
    arity = 0
    output_field = models.BigIntegerField()


def time_ordered_id() -> models.BigIntegerField[int, int]:
    """A bigint primary key whose order is the order in time; for tables that grow without end."""
    return models.BigIntegerField(primary_key=True, db_default=NextId(), editable=False)


def id_at(instant: datetime) -> int:
    """The smallest id that :class:`NextId` makes at that instant: a bound in time on the key."""
    return (instant - _EPOCH) // timedelta(milliseconds=1) << 13
