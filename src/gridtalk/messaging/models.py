"""The CommunicationInterface and Message families."""

import uuid

from django.db import models
from django.db.models import Q

from gridtalk.core import clock
from gridtalk.core.families import FamilyBase, parent_link
from gridtalk.core.fields import time_ordered_id


class Language(models.TextChoices):
    """Languages of SMS texts."""

    ENGLISH = "en", "English"
    FRENCH = "fr", "français"
    SWAHILI = "sw", "Kiswahili"


class CommunicationInterface(FamilyBase):
    """How the gateway reaches a meter and its consumers. Base of the interfaces; table
    ``communication_interfaces``.

    ``provider`` is the operator's name for who stands behind it (a mobile company); ``kind`` tells
    the child table. ``phone`` is our own number there, ``lang`` the language of answers to people
    whose account is not known, ``region`` the country in which numbers without one are read.
    Inbound requests carry a key of which only the hash is kept.
    """

    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=64, unique=True)
    provider = models.CharField(max_length=64, blank=True)
    location = models.CharField(max_length=128, blank=True)
    phone = models.CharField(max_length=64, blank=True)
    lang = models.CharField(max_length=8, choices=Language, default=Language.ENGLISH)
    region = models.CharField(max_length=2, blank=True, help_text="country, for example ML")
    active = models.BooleanField(default=True)
    inbound_key_hash = models.CharField(max_length=64, blank=True, editable=False)
    added_at = models.DateTimeField(default=clock.now, editable=False)
    last_error = models.TextField(blank=True, editable=False)
    last_error_at = models.DateTimeField(null=True, editable=False)
    last_sent_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        db_table = "communication_interfaces"

    def __str__(self) -> str:
        return self.name


class Message(FamilyBase):
    """A text that came in or goes out. Base of the messages; table ``messages``.

    ``number`` is the other side's: the sender of an incoming, the receiver of an outgoing message.
    Ids are ordered by time. The row is the work: a drain takes rows that are ``queued`` and due,
    leases them (``sending`` until ``lease_until``), hands them over and writes what came of it.
    """

    class State(models.TextChoices):
        """Where a message is on its way."""

        RECEIVED = "received", "received"  # incoming; the rest are outgoing
        QUEUED = "queued", "queued"
        SENDING = "sending", "being sent"
        SENT = "sent", "sent"
        DELIVERED = "delivered", "delivered"
        FAILED = "failed", "failed"
        EXPIRED = "expired", "expired"

    id = time_ordered_id()
    created_at = models.DateTimeField(default=clock.now, editable=False)
    number = models.CharField(max_length=64)
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    text = models.TextField()
    communication_interface = models.ForeignKey(
        CommunicationInterface,
        on_delete=models.PROTECT,
        related_name="messages",
        db_index=False,  # messages_interface begins with it
    )
    state = models.CharField(max_length=16, choices=State)
    last_error = models.TextField(blank=True, default="", db_default="")
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    next_attempt_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    provider_id = models.CharField(max_length=128, blank=True, default="", db_default="")
    segments = models.PositiveSmallIntegerField(default=1, db_default=1)

    class Meta:
        db_table = "messages"
        constraints = [
            models.CheckConstraint(
                name="messages_state",
                condition=Q(kind="incoming", state="received")
                | Q(kind__in=["outgoing", "job"])
                & Q(state__in=["queued", "sending", "sent", "delivered", "failed", "expired"]),
            ),
        ]
        indexes = [
            models.Index(fields=["number", "-id"], name="messages_number"),
            models.Index(fields=["communication_interface", "-id"], name="messages_interface"),
            models.Index(
                fields=["communication_interface", "next_attempt_at"],
                name="messages_due",
                condition=Q(state__in=["queued", "sending"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.number}: {self.text[:40]}"


class IncomingMessage(Message):
    """A message that somebody sent us; stored before the provider hears 200.

    ``dedupe_key`` is ``<interface>:<provider's id>`` and never made of the text: two equal ``bal``
    are two questions. ``outcome`` says what became of it (``handled_at`` is null until then),
    ``error`` why something in it could not be used.
    """

    KIND = "incoming"

    message = parent_link(Message)
    dedupe_key = models.CharField(max_length=160, null=True)  # noqa: DJ001  null: none
    handled_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=32, blank=True, default="", db_default="")
    error = models.TextField(blank=True, default="", db_default="")
    tries = models.PositiveSmallIntegerField(default=0, db_default=0)

    class Meta:
        db_table = "incoming_messages"
        constraints = [
            # Not unique=True: that makes a second index, for LIKE, on the way of every message.
            models.UniqueConstraint(fields=["dedupe_key"], name="incoming_messages_dedupe_key"),
        ]
        indexes = [
            models.Index(
                fields=["message"], name="incoming_unhandled", condition=Q(handled_at__isnull=True)
            ),
        ]


class OutgoingMessage(Message):
    """A message to a person; ``incoming`` is the message that it answers."""

    KIND = "outgoing"

    message = parent_link(Message)
    incoming = models.ForeignKey(
        IncomingMessage, on_delete=models.SET_NULL, null=True, related_name="answers"
    )

    class Meta:
        db_table = "outgoing_messages"


# The interfaces live in folders of their own; Django finds a model only where it is imported.
from gridtalk.messaging.interfaces.airtel.models import AirtelInterface  # noqa: E402
from gridtalk.messaging.interfaces.iottalk.models import IoTtalkInterface  # noqa: E402
from gridtalk.messaging.interfaces.kannel.models import KannelInterface  # noqa: E402
from gridtalk.messaging.interfaces.netbook.models import NetbookInterface  # noqa: E402
from gridtalk.messaging.interfaces.twilio.models import TwilioInterface  # noqa: E402
from gridtalk.messaging.interfaces.yo.models import YoInterface  # noqa: E402

__all__ = [
    "AirtelInterface",
    "CommunicationInterface",
    "IncomingMessage",
    "IoTtalkInterface",
    "KannelInterface",
    "Language",
    "Message",
    "NetbookInterface",
    "OutgoingMessage",
    "TwilioInterface",
    "YoInterface",
]
