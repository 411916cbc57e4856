"""What is done with messages and interfaces. Inner services assume the caller's transaction."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Q
from django.utils.module_loading import import_string

from gridtalk.core import clock, secrets
from gridtalk.core.errors import NotFound, UserError
from gridtalk.core.events import events_notify, number_topic
from gridtalk.core.models import SystemLog
from gridtalk.core.services import system_log_create
from gridtalk.core.texts import storable
from gridtalk.messaging.bells import SEND
from gridtalk.messaging.families import INTERFACES
from gridtalk.messaging.interfaces.base import SetUpLine, Way
from gridtalk.messaging.interfaces.catalogue import kinds, provider
from gridtalk.messaging.models import (
    CommunicationInterface,
    IncomingMessage,
    IoTtalkInterface,
    Message,
    OutgoingMessage,
)
from gridtalk.messaging.outcomes import MessageOutcome, outcome_tell
from gridtalk.messaging.segments import MOST_SEGMENTS, segments
from gridtalk.messaging.wire import DeliveryReport, Report

State = Message.State
#: What a job's message says when a bridge has fetched it.
HANDED_OUT = "fetched by the bridge, which has not said that it sent it"
#: The states in which a later report or the bridge's word still counts.
ON_ITS_WAY = (State.QUEUED, State.SENDING, State.SENT)


def message_prepare(
    *, message: Message, interface: CommunicationInterface, number: str, text: str
) -> None:
    """Fill in an unsaved message of any outgoing kind, so that saving it queues it.

    For the children of other apps (``JobMessage``); whoever saves the row calls
    :func:`message_ring` then. Raises :class:`UserError` where there is no number, or the text is
    longer than ten SMS (Kannel would cut it without a word).
    """
    if not number.strip():
        raise UserError("there is no number to send this text to")
    fit = storable(text)
    count = segments(fit).count
    if count > MOST_SEGMENTS:
        raise UserError(
            "the text takes %(count)s SMS; at most %(most)s are sent as one",
            count=count,
            most=MOST_SEGMENTS,
        )
    message.communication_interface_id = interface.pk
    message.number = number.strip()[:64]
    message.text = fit
    message.segments = count
    message.state = State.QUEUED
    message.next_attempt_at = clock.now()


def message_queue(
    *,
    interface: CommunicationInterface,
    number: str,
    text: str,
    incoming: IncomingMessage | None = None,
) -> OutgoingMessage:
    """Store a text to a person and ring for a sender when the caller's transaction commits.

    Raises :class:`UserError` as :func:`message_prepare` does, and where the interface reaches no
    phones (see :func:`texts_interface`).
    """
    if provider(interface.kind).way is Way.DEVICES:
        raise UserError(
            "the interface “%(name)s” reaches meters that are devices, not phones; "
            "choose one for SMS",
            name=interface.name,
        )
    message = OutgoingMessage(incoming=incoming)
    message_prepare(message=message, interface=interface, number=number, text=text)
    _insert(message)
    SEND.ring_on_commit()
    return message


def message_ring(*, message: Message, interface: CommunicationInterface) -> None:
    """Tell whoever hands it over that a saved message waits, when the transaction commits.

    That is the sender's drain or, for meters that are devices, the device server, by the function
    that ``settings.DEVICE_BELL`` names.
    """
    if provider(interface.kind).way is Way.DEVICES:
        ring = cast("Callable[..., None]", import_string(settings.DEVICE_BELL))
        ring(number=message.number)
    else:
        SEND.ring_on_commit()


def texts_interface(*, interface: CommunicationInterface) -> CommunicationInterface | None:
    """The interface that carries texts to the consumers of meters with this one.

    That is itself, but for meters that are devices: theirs names one for SMS, or none.
    """
    if provider(interface.kind).way is not Way.DEVICES:
        return interface
    found = IoTtalkInterface.objects.select_related("sms_interface").filter(pk=interface.pk).first()
    return found.sms_interface if found else None


_INSERT = """
    WITH parent AS (
        INSERT INTO messages (kind, created_at, number, uuid, text, communication_interface_id,
                              state, next_attempt_at, segments)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id
    )
    INSERT INTO outgoing_messages (id, incoming_id) SELECT id, %s FROM parent RETURNING id
"""


def _insert(message: OutgoingMessage) -> None:
    """Save a new text in one statement: answers are most of what we write (the ORM takes two, and
    three times as long)."""
    message.kind = OutgoingMessage.KIND
    values = [
        message.kind,
        message.created_at,
        message.number,
        message.uuid,
        message.text,
        message.communication_interface_id,
        message.state,
        message.next_attempt_at,
        message.segments,
        message.incoming_id,
    ]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, values)
        message.id = message.message_id = cursor.fetchone()[0]
    message._state.adding = False  # noqa: SLF001  Django's documented way for rows made otherwise
    message._state.db = connection.alias  # noqa: SLF001


def delivery_report_take(*, report: DeliveryReport) -> bool:
    """Write down what a provider reports of a message; false where there is no such message.

    Reports come in any order, and more than once: *delivered* wins over all, *undelivered* over
    *taken*. A report may overtake the answer to the request which handed the message over; then
    it settles the message, and the answer changes nothing.
    """
    with transaction.atomic():
        message = (
            Message.objects.select_for_update()
            .filter(uuid=report.message_uuid)
            .exclude(kind=IncomingMessage.KIND)
            .first()
        )
        if message is None:
            return False
        match report.state:
            case Report.DELIVERED if message.state != State.DELIVERED:
                _settle(message, State.DELIVERED, MessageOutcome.DELIVERED)
            case Report.UNDELIVERED if message.state in ON_ITS_WAY:
                _settle(message, State.FAILED, MessageOutcome.UNDELIVERED, error=report.detail)
            case Report.REFUSED if message.state in ON_ITS_WAY:
                _settle(message, State.FAILED, MessageOutcome.REFUSED, error=report.detail)
            case Report.TAKEN if message.state in {State.QUEUED, State.SENDING}:
                _settle(message, State.SENT, MessageOutcome.SENT)
            case _:
                return True
    if report.state in {Report.UNDELIVERED, Report.REFUSED}:
        interface_error_note(
            interface_id=message.communication_interface_id,
            error=f"message {message.uuid}: {report.detail}",
        )
    return True


def polled_message_remove(*, interface_id: int, uuid: UUID) -> None:
    """The bridge says that it sent a message; saying it again changes nothing.

    Raises :class:`NotFound` where this interface has no such message to send.
    """
    with transaction.atomic():
        message = (
            Message.objects.select_for_update()
            .filter(uuid=uuid, communication_interface_id=interface_id)
            .exclude(kind=IncomingMessage.KIND)
            .first()
        )
        if message is None:
            raise NotFound("this interface has no message %(uuid)s", uuid=uuid)
        # One that was given up before the bridge's word came has been sent all the same.
        if message.state not in {State.SENT, State.DELIVERED} or message.last_error == HANDED_OUT:
            _settle(message, State.SENT, MessageOutcome.SENT)
            CommunicationInterface.objects.filter(pk=interface_id).update(last_sent_at=clock.now())


def _settle(message: Message, state: State, outcome: MessageOutcome, *, error: str = "") -> None:
    message.state = state
    message.last_error = error
    message.next_attempt_at = message.lease_until = None
    if outcome in {MessageOutcome.SENT, MessageOutcome.DELIVERED} and message.sent_at is None:
        message.sent_at = clock.now()
    # The row's own kind stays as it is: this saves the base row of any kind of message.
    message.save(update_fields=["state", "last_error", "next_attempt_at", "lease_until", "sent_at"])
    outcome_tell(message, outcome)
    events_notify([number_topic(message.number)])


def polled_messages_take(*, interface_id: int, most: int = 200) -> list[Message]:
    """The messages that wait for a bridge that polls, oldest first; those without a number not.

    A text to a person is ``sending`` from then on, and is handed out again until the bridge says
    that it sent it: nobody but the bridge knows whether it did. What has an owner (a job's message)
    is handed out once and counts as sent: a bridge which crashed between sending and saying so
    would send credit twice. Its owner decides on sending again.
    """
    owned = ~Q(kind=OutgoingMessage.KIND)
    mine = Message.objects.filter(communication_interface_id=interface_id).exclude(number="")
    due = mine.filter(state=State.QUEUED, next_attempt_at__lte=clock.now())
    with transaction.atomic():
        once = list(due.filter(owned).select_for_update(skip_locked=True).order_by("id")[:most])
        for message in once:
            message.attempts += 1
            message.save(update_fields=["attempts"])
            _settle(message, State.SENT, MessageOutcome.UNKNOWN, error=HANDED_OUT)
        due.exclude(owned).update(state=State.SENDING, attempts=1)
        again = mine.filter(state=State.SENDING).order_by("id")[: most - len(once)]
        return sorted([*once, *again], key=lambda message: message.pk)


def messages_expire() -> int:
    """Give up the messages that waited longer than ``MESSAGE_LIFETIME``; how many there were.

    What waits for a device is left alone: credit is sent when the device is back, and the job of
    anything else gives up long before. What a bridge was handed and never confirmed may have been
    sent: that is ``UNKNOWN``.
    """
    oldest = clock.now() - settings.MESSAGE_LIFETIME
    late = Message.objects.filter(created_at__lte=oldest).filter(
        Q(state=State.QUEUED) & ~Q(communication_interface__kind__in=kinds(Way.DEVICES))
        | Q(state=State.SENDING, communication_interface__kind__in=kinds(Way.POLLED))
    )
    count = 0
    for (pk,) in late.order_by("id").values_list("pk")[:1000]:
        with transaction.atomic():
            message = late.select_for_update(of=["self"], skip_locked=True).filter(pk=pk).first()
            if message is not None:
                _expire(message)
                count += 1
    return count


def _expire(message: Message) -> None:
    hours = settings.MESSAGE_LIFETIME / timedelta(hours=1)
    handed_out = message.state == State.SENDING
    reason = f"not sent within {hours:g} hours"
    if handed_out:
        reason = f"the bridge did not say within {hours:g} hours that it was sent"
    elif message.last_error:
        reason = f"{reason}; last: {message.last_error}"
    outcome = MessageOutcome.UNKNOWN if handed_out else MessageOutcome.FAILED
    _settle(message, State.EXPIRED, outcome, error=reason)


def interface_error_note(*, interface_id: int, error: str) -> None:
    """Store a provider's error where the operator sees it.

    That is on the interface, and in the system log once for each streak of errors; a success ends a
    streak.
    """
    now = clock.now()
    with transaction.atomic():
        interface = (
            CommunicationInterface.objects.select_for_update().filter(pk=interface_id).first()
        )
        if interface is None:
            return
        new_streak = not in_streak(interface)
        interface.last_error = storable(error)
        interface.last_error_at = now
        interface.save(update_fields=["last_error", "last_error_at"])
        if new_streak:
            system_log_create(
                source=interface.kind,
                level=SystemLog.Level.ERROR,
                text=f"{interface.name}: {error}",
            )


def in_streak(interface: CommunicationInterface) -> bool:
    """Whether the last thing that happened at this interface was an error."""
    failed, sent = interface.last_error_at, interface.last_sent_at
    return failed is not None and (sent is None or sent < failed)


def interface_create(*, kind: str, name: str, **fields: Any) -> tuple[CommunicationInterface, str]:
    """Make an interface of a kind; gives it and its inbound key, which is nowhere stored clear.

    Interfaces to devices have no key, and it is empty: only the device server speaks for them. A
    field that names another interface takes the interface or its name. Raises :class:`UserError`
    where there is no such kind, a field is missing, unknown or wrong.
    """
    if kind not in INTERFACES.kinds:
        raise UserError(
            "there is no kind “%(kind)s”; there are: %(kinds)s",
            kind=kind,
            kinds=", ".join(INTERFACES.kinds),
        )
    model = INTERFACES.model(kind)
    known = {
        field.name
        for field in model._meta.fields  # noqa: SLF001  Django's documented model API
        if field.editable and not field.primary_key
    }
    for field in fields:
        if field not in known:
            raise UserError(
                "a %(kind)s interface has no “%(field)s”; it has: %(fields)s",
                kind=kind,
                field=field,
                fields=", ".join(sorted(known)),
            )
    key = "" if provider(kind).way is Way.DEVICES else secrets.key_new()
    interface = model(name=name, **_interfaces_by_name(fields))
    interface.kind = kind
    interface.inbound_key_hash = secrets.key_hash(key) if key else ""
    try:
        interface.full_clean(exclude=["interface"])
    except ValidationError as error:
        raise UserError("; ".join(_reasons(error))) from error
    interface.save()
    return interface, key


def _interfaces_by_name(fields: dict[str, Any]) -> dict[str, Any]:
    name = fields.get("sms_interface")
    if not isinstance(name, str):
        return fields
    found = CommunicationInterface.objects.filter(name=name).first()
    if found is None:
        raise UserError(
            "there is no interface “%(name)s” for sms_interface; add it first", name=name
        )
    return {**fields, "sms_interface": found}


def _reasons(error: ValidationError) -> list[str]:
    return [f"{field}: {' '.join(texts)}" for field, texts in error.message_dict.items()]


def interface_key_set(*, interface: CommunicationInterface) -> str:
    """Give an interface a new inbound key and return it, clear, once.

    The old one ends at once (in every web process within 2 seconds). Raises :class:`UserError` for
    an interface to devices, which has none.
    """
    if provider(interface.kind).way is Way.DEVICES:
        raise UserError(
            "the interface “%(name)s” has no key: devices have their own", name=interface.name
        )
    key = secrets.key_new()
    interface.inbound_key_hash = secrets.key_hash(key)
    interface.save(update_fields=["inbound_key_hash"])
    return key


def interface_set_up(*, interface: CommunicationInterface, key: str) -> Sequence[SetUpLine]:
    """What the operator enters at the provider, with the clear key."""
    return provider(interface.kind).set_up(
        base_url=settings.PUBLIC_URL, interface_id=interface.pk, key=key
    )
