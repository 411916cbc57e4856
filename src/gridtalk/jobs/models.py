"""The Job family, and the messages that carry jobs to meters."""

import uuid

from django.db import models
from django.db.models import Q

from gridtalk.core import clock
from gridtalk.core.families import FamilyBase, parent_link
from gridtalk.core.fields import money_field, money_positive
from gridtalk.grid.models import Circuit
from gridtalk.messaging.models import IncomingMessage, Message
from gridtalk.prepaid.models import Device, Token
from gridtalk.users.models import User

OPEN_STATES = ("queued", "sent", "unconfirmed")


class Job(FamilyBase):
    """A command for a meter. Base of the jobs; table ``jobs``.

    Life: ``queued``, ``sent`` (an interface took it), ``done`` (the meter acknowledged it). On/off
    and pings that nobody acknowledges become ``expired``; credit becomes ``unconfirmed`` instead,
    since it may have been applied. ``failed``: it provably never reached the meter.
    ``cancelled``: taken back, superseded or reversed; an on or off that a newer one superseded may
    have left, and becomes ``done`` when the meter says so. Ids stay below 2^31: an AVR meter keeps
    them in a long.
    """

    class State(models.TextChoices):
        """Where a job is in its life."""

        QUEUED = "queued", "queued"
        SENT = "sent", "sent"
        DONE = "done", "done"
        FAILED = "failed", "failed"
        EXPIRED = "expired", "expired"
        UNCONFIRMED = "unconfirmed", "unconfirmed"
        CANCELLED = "cancelled", "cancelled"

    class Requester(models.TextChoices):
        """Who asked for it."""

        CONSUMER = "consumer", "a consumer"
        VENDOR = "vendor", "a vendor"
        USER = "user", "a user"
        API = "api", "a program"
        GATEWAY = "gateway", "the gateway"

    id = models.AutoField(primary_key=True)
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    started_at = models.DateTimeField(default=clock.now, editable=False)
    ended_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=16, choices=State, default=State.QUEUED)
    circuit = models.ForeignKey(Circuit, on_delete=models.PROTECT, related_name="jobs")
    requested_by = models.CharField(max_length=16, choices=Requester, default=Requester.USER)
    requested_by_user = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, related_name="+"
    )
    requested_by_device = models.ForeignKey(
        Device, on_delete=models.PROTECT, null=True, related_name="+"
    )
    incoming = models.ForeignKey(
        IncomingMessage, on_delete=models.SET_NULL, null=True, related_name="jobs"
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True, help_text="first hand-over")
    expires_at = models.DateTimeField(null=True)
    note = models.TextField(blank=True, default="")

    class Meta:
        db_table = "jobs"
        constraints = [
            models.CheckConstraint(
                name="jobs_state",
                condition=Q(
                    state__in=[
                        "queued",
                        "sent",
                        "done",
                        "failed",
                        "expired",
                        "unconfirmed",
                        "cancelled",
                    ]
                ),
            ),
            models.CheckConstraint(
                name="jobs_requested_by",
                condition=Q(requested_by__in=["consumer", "vendor", "user", "api", "gateway"]),
            ),
            models.CheckConstraint(
                name="jobs_ended",
                condition=Q(state__in=["queued", "sent", "unconfirmed"], ended_at__isnull=True)
                | Q(state__in=["done", "failed", "expired", "cancelled"], ended_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index(fields=["circuit", "-id"], name="jobs_circuit"),
            models.Index(
                fields=["next_attempt_at"],
                name="jobs_due",
                condition=Q(state__in=["queued", "sent", "unconfirmed"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk} ({self.state})"


class AddCredit(Job):
    """Give a circuit credit. A token can have one AddCredit, ever."""

    KIND = "add_credit"

    job = parent_link(Job)
    credit = money_field()
    token = models.OneToOneField(
        Token, on_delete=models.PROTECT, null=True, related_name="add_credit"
    )

    class Meta:
        db_table = "add_credit_jobs"
        constraints = [
            models.CheckConstraint(
                name="add_credit_jobs_credit", condition=money_positive("credit")
            ),
        ]


class TurnOn(Job):
    """Switch a circuit on."""

    KIND = "turn_on"

    job = parent_link(Job)

    class Meta:
        db_table = "turn_on_jobs"


class TurnOff(Job):
    """Switch a circuit off."""

    KIND = "turn_off"

    job = parent_link(Job)

    class Meta:
        db_table = "turn_off_jobs"


class Mping(Job):
    """Ask a meter whether it is there; belongs to its mains circuit."""

    KIND = "mping"

    job = parent_link(Job)

    class Meta:
        db_table = "mping_jobs"


class Cping(Job):
    """Ask a circuit for its state."""

    KIND = "cping"

    job = parent_link(Job)

    class Meta:
        db_table = "cping_jobs"


class JobMessage(Message):
    """A message that carries a job to its meter; ``incoming`` is the message that asked for it.

    Each sending of a job is a message of its own, so that the log shows every one.
    """

    KIND = "job"

    message = parent_link(Message)
    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="job_messages")
    incoming = models.ForeignKey(
        IncomingMessage, on_delete=models.SET_NULL, null=True, related_name="job_messages"
    )

    class Meta:
        db_table = "job_messages"
