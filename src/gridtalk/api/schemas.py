"""What the API takes and gives."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from ninja import Schema
from pydantic import Field

Limit = Annotated[int, Field(ge=1, le=200)]


class MeterOut(Schema):
    """A meter."""

    id: int
    uuid: UUID
    name: str
    phone: str | None
    location: str
    time_zone: str
    active: bool
    communication_interface: int = Field(alias="communication_interface_id")
    last_reported_at: datetime | None


class CircuitOut(Schema):
    """A circuit with its account's name, phone and language."""

    id: int
    uuid: UUID
    meter: int = Field(alias="meter_id")
    pin: str
    ip_address: str
    is_main: bool
    status: int
    status_as_of: datetime | None
    credit: Decimal
    credit_as_of: datetime | None
    credit_estimated: bool
    last_reported_at: datetime | None
    energy_max: int
    power_max: int
    account: "AccountOut | None"


class AccountOut(Schema):
    """A customer."""

    id: int
    name: str
    phone: str
    lang: str


class MessageOut(Schema):
    """A text that came or went."""

    id: int
    uuid: UUID
    kind: str
    state: str
    number: str
    text: str
    created_at: datetime
    sent_at: datetime | None
    communication_interface: int = Field(alias="communication_interface_id")
    attempts: int
    segments: int
    last_error: str


class JobOut(Schema):
    """A command for a meter. ``amount`` only where it is credit."""

    id: int
    uuid: UUID
    kind: str
    state: str
    circuit: int = Field(alias="circuit_id")
    amount: Decimal | None = None
    requested_by: str
    started_at: datetime
    sent_at: datetime | None
    ended_at: datetime | None
    attempts: int
    note: str

    @staticmethod
    def resolve_amount(job: Any) -> Decimal | None:
        """The credit of an AddCredit, from the joined child."""
        credit: Decimal | None = job.addcredit.credit if job.kind == "add_credit" else None
        return credit


class JobIn(Schema):
    """A new job: ``turn_on``, ``turn_off``, ``cping``, ``mping``, or ``add_credit`` with an amount
    and a reason."""

    kind: str
    circuit: int
    amount: Decimal | None = None
    reason: str = ""


class StateCountOut(Schema):
    """Tokens of a batch in one state."""

    state: str
    number: int
    worth: Decimal


class TokenBatchOut(Schema):
    """A batch of tokens, without their numbers."""

    id: int
    uuid: UUID
    created_at: datetime
    note: str
    states: list[StateCountOut] = []


class TokenBatchIn(Schema):
    """A new batch."""

    count: int
    value: Decimal
    note: str = ""


class MetersOut(Schema):
    """Meters by id, and the id after which the next page begins."""

    items: list[MeterOut]
    next_after: int | None


class CircuitsOut(Schema):
    """Circuits by id, and the id after which the next page begins."""

    items: list[CircuitOut]
    next_after: int | None


class MessagesOut(Schema):
    """Messages, newest first, and the id before which the next page begins."""

    items: list[MessageOut]
    next_before: int | None


class JobsOut(Schema):
    """Jobs, newest first, and the id before which the next page begins."""

    items: list[JobOut]
    next_before: int | None


class TokenBatchesOut(Schema):
    """Batches, newest first, and the id before which the next page begins."""

    items: list[TokenBatchOut]
    next_before: int | None
