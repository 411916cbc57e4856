"""Vendors' tablets, tokens and the ledger."""

import uuid

from django.db import models
from django.db.models import F, Q

from gridtalk.core import clock, money
from gridtalk.core.fields import money_field, money_positive
from gridtalk.grid.models import Circuit
from gridtalk.users.models import User


class Device(models.Model):
    """A vendor's Android tablet which sells tokens; ``device_id`` is its Wi-Fi MAC."""

    id = models.AutoField(primary_key=True)
    device_id = models.CharField(max_length=64, unique=True)
    password = models.CharField(max_length=128, blank=True, editable=False)
    key_hash = models.CharField(max_length=64, blank=True, editable=False)
    allow_without_key = models.BooleanField(default=False)
    vendor_name = models.CharField(max_length=128, blank=True)
    active = models.BooleanField(default=True)
    credit_ceiling = money_field(
        default=money.ZERO, help_text="most that it may hold in unsold tokens"
    )
    added_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        db_table = "devices"

    def __str__(self) -> str:
        return self.vendor_name or self.device_id


class TokenBatch(models.Model):
    """Tokens that were made together."""

    id = models.AutoField(primary_key=True)
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    note = models.TextField(blank=True)

    class Meta:
        db_table = "token_batches"

    def __str__(self) -> str:
        return f"batch {self.pk}"


class Token(models.Model):
    """A secret number worth a fixed credit, redeemed once.

    States: ``new``; ``issued`` to a tablet; ``pending``, its job under way; ``used``; ``sold``,
    uploaded by a tablet but in conflict; ``void``.
    """

    class State(models.TextChoices):
        """Where a token is in its life."""

        NEW = "new", "new"
        ISSUED = "issued", "issued to a tablet"
        PENDING = "pending", "being credited"
        USED = "used", "used"
        SOLD = "sold", "sold, in conflict"
        VOID = "void", "void"

    id = models.AutoField(primary_key=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    number = models.CharField(max_length=20, unique=True)
    value = money_field()
    state = models.CharField(max_length=8, choices=State, default=State.NEW)
    batch = models.ForeignKey(TokenBatch, on_delete=models.PROTECT, related_name="tokens")
    device = models.ForeignKey(Device, on_delete=models.PROTECT, null=True, related_name="tokens")
    issued_at = models.DateTimeField(null=True, editable=False)
    used_at = models.DateTimeField(null=True, editable=False)
    sold_at = models.DateTimeField(null=True, editable=False)
    sold_to_pin = models.CharField(max_length=32, blank=True, editable=False)
    conflict = models.TextField(blank=True, editable=False)

    class Meta:
        db_table = "tokens"
        constraints = [
            models.CheckConstraint(
                name="tokens_state",
                condition=Q(state__in=["new", "issued", "pending", "used", "sold", "void"]),
            ),
            models.CheckConstraint(name="tokens_value", condition=money_positive("value")),
            models.CheckConstraint(name="tokens_number", condition=Q(number__regex="^[0-9]+$")),
            models.CheckConstraint(
                name="tokens_issued_to_device",
                condition=~Q(state__in=["issued", "sold"]) | Q(device__isnull=False),
            ),
        ]
        indexes = [models.Index(fields=["batch", "state"], name="tokens_batch_state")]

    def __str__(self) -> str:
        return f"token {self.pk} ({self.state})"


class LedgerAccount(models.Model):
    """One side of a ledger row. Six belong to the system, the others to a circuit each.

    ``stock``: face value of all tokens ever made (its balance is negative of what was issued).
    ``tokens``: tokens that can still be redeemed. ``in_flight``: credit on its way to a meter.
    ``circuit``: what a circuit has left. ``sold``: electricity consumed. ``void``: tokens and
    credits taken back. ``adjustment``: the other side of what the operator gives without a token,
    of opening credit, and of differences found at a meter.
    """

    class Kind(models.TextChoices):
        """What the account stands for."""

        STOCK = "stock"
        TOKENS = "tokens"
        IN_FLIGHT = "in_flight"
        SOLD = "sold"
        VOID = "void"
        ADJUSTMENT = "adjustment"
        CIRCUIT = "circuit"

    id = models.AutoField(primary_key=True)
    kind = models.CharField(max_length=16, choices=Kind)
    circuit = models.OneToOneField(
        Circuit, on_delete=models.PROTECT, null=True, related_name="ledger_account"
    )

    class Meta:
        db_table = "ledger_accounts"
        constraints = [
            models.CheckConstraint(
                name="ledger_accounts_circuit",
                condition=Q(kind="circuit", circuit__isnull=False)
                | (~Q(kind="circuit") & Q(circuit__isnull=True)),
            ),
            models.UniqueConstraint(
                fields=["kind"], condition=~Q(kind="circuit"), name="ledger_accounts_system"
            ),
        ]

    def __str__(self) -> str:
        return self.kind if self.circuit_id is None else f"circuit {self.circuit_id}"


class LedgerEntry(models.Model):
    """An amount that goes from the debit account to the credit account, and why.

    Every row balances by construction; a balance is a sum. The database refuses to change or delete
    rows. ``occurred_at`` is when it happened at the meter, where that is known. ``job_id`` is no
    foreign key: jobs stand above the ledger.
    """

    class Cause(models.TextChoices):
        """Why credit moved."""

        TOKEN_ISSUE = "token_issue"  # noqa: S105  not a password
        REDEMPTION = "redemption"
        DELIVERY = "delivery"
        CONSUMPTION = "consumption"
        ADJUSTMENT = "adjustment"
        REVERSAL = "reversal"
        TOKEN_VOID = "token_void"  # noqa: S105

    id = models.BigAutoField(primary_key=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    occurred_at = models.DateTimeField(default=clock.now, editable=False)
    debit_account = models.ForeignKey(
        LedgerAccount, on_delete=models.PROTECT, related_name="debits"
    )
    credit_account = models.ForeignKey(
        LedgerAccount, on_delete=models.PROTECT, related_name="credits"
    )
    amount = money_field()
    cause = models.CharField(max_length=16, choices=Cause)
    token = models.ForeignKey(Token, on_delete=models.PROTECT, null=True, related_name="entries")
    batch = models.ForeignKey(
        TokenBatch, on_delete=models.PROTECT, null=True, related_name="entries"
    )
    job_id = models.IntegerField(null=True)
    day = models.DateField(null=True, help_text="consumption: the meter's local day")
    reason = models.TextField(blank=True)
    user = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        db_table = "ledger_entries"
        constraints = [
            models.CheckConstraint(
                name="ledger_entries_amount", condition=money_positive("amount")
            ),
            models.CheckConstraint(
                name="ledger_entries_cause",
                condition=Q(
                    cause__in=[
                        "token_issue",
                        "redemption",
                        "delivery",
                        "consumption",
                        "adjustment",
                        "reversal",
                        "token_void",
                    ]
                ),
            ),
            models.CheckConstraint(
                name="ledger_entries_two_accounts", condition=~Q(debit_account=F("credit_account"))
            ),
            models.CheckConstraint(
                name="ledger_entries_reason",
                condition=~Q(cause__in=["adjustment", "reversal", "token_void"]) | Q(reason__gt=""),
            ),
            # A token is redeemed, and a job's credit delivered, at most once: held by the database.
            models.UniqueConstraint(
                fields=["token"],
                condition=Q(cause="redemption"),
                name="ledger_entries_redeemed_once",
            ),
            models.UniqueConstraint(
                fields=["job_id"],
                condition=Q(cause="delivery"),
                name="ledger_entries_delivered_once",
            ),
            models.UniqueConstraint(
                fields=["job_id"],
                condition=Q(cause="reversal"),
                name="ledger_entries_reversed_once",
            ),
        ]
        indexes = [
            models.Index(fields=["debit_account", "occurred_at"], name="ledger_entries_debit"),
            models.Index(fields=["credit_account", "occurred_at"], name="ledger_entries_credit"),
            models.Index(
                fields=["job_id"], name="ledger_entries_job", condition=Q(job_id__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.cause} {self.amount}"
