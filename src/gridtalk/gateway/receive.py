"""The door: a text is on disk before its provider hears 200.

One statement writes both rows (the child in ``incoming_messages``, the parent in ``messages``), in
autocommit; then the bell. Measured (ARCHITECTURE.md): against a bare view with one insert the ORM's
two inserts in a transaction reach 0.63, this 0.98.
"""

import hashlib
import uuid
from dataclasses import dataclass

from django.conf import settings
from django.db import connection

from gridtalk.core import clock, phones
from gridtalk.core.errors import TooLarge
from gridtalk.core.texts import storable
from gridtalk.gateway.bells import HANDLE
from gridtalk.messaging.segments import segments
from gridtalk.messaging.wire import InboundSms

LONGEST_PROVIDER_ID = 128

# The child first: its key decides whether there is anything to store; a second one that comes at
# the same moment waits for the first. Its reference to the parent is checked at the end.
_STORE = """
    WITH child AS (
        INSERT INTO incoming_messages (id, dedupe_key, handled_at, outcome, error)
        VALUES (gridtalk_next_id(), %(dedupe_key)s, %(handled_at)s, %(outcome)s, %(error)s)
        ON CONFLICT (dedupe_key) DO NOTHING RETURNING id
    )
    INSERT INTO messages (id, kind, created_at, number, uuid, text, communication_interface_id,
                          state, sent_at, provider_id, segments)
    SELECT id, 'incoming', %(now)s, %(number)s, %(uuid)s, %(text)s, %(interface)s,
           'received', %(sent_at)s, %(provider_id)s, %(segments)s
    FROM child
"""
_SEEN = """
    SELECT m.uuid FROM incoming_messages i JOIN messages m ON m.id = i.id WHERE i.dedupe_key = %s
"""


@dataclass(frozen=True, slots=True)
class Received:
    """What was stored: the message's uuid, the first one's where this is a duplicate."""

    message_uuid: uuid.UUID
    duplicate: bool


def receive(*, interface_id: int, region: str, sms: InboundSms, cut: bool = False) -> Received:
    """Store a text that came in; when this returns, it is durable.

    The same text brought again under the provider's same id is stored once, and answered as the
    first. ``region`` (ISO 3166) reads national numbers. A text without a number is stored as
    refused. Raises :class:`TooLarge` where the text is longer than ``LONGEST_INBOUND_TEXT``; with
    ``cut`` it is stored cut, as refused.
    """
    text = storable(sms.text)
    refusal = ""
    if len(text) > settings.LONGEST_INBOUND_TEXT:
        if not cut:
            raise TooLarge(
                f"the text has {len(text)} characters; at most "
                f"{settings.LONGEST_INBOUND_TEXT} are taken"
            )
        refusal = f"too long: {len(text)} characters"
        text = text[: settings.LONGEST_INBOUND_TEXT]
    number = storable(phones.loose(sms.number, region=region))
    if not number:
        refusal = "no number"
    return _stored(interface_id, number, text, sms, refusal)


def _stored(interface_id: int, number: str, text: str, sms: InboundSms, refusal: str) -> Received:
    now = clock.now()
    provider_id = _short(storable(sms.provider_id))
    dedupe_key = f"{interface_id}:{provider_id}" if provider_id else None
    message_uuid = uuid.uuid4()
    values = {
        "dedupe_key": dedupe_key,
        "now": now,
        "number": number,
        "uuid": message_uuid,
        "text": text,
        "interface": interface_id,
        "sent_at": sms.sent_at,
        "provider_id": provider_id,
        "segments": segments(text).count,
        "handled_at": now if refusal else None,
        "outcome": "refused" if refusal else "",
        "error": refusal,
    }
    with connection.cursor() as cursor:
        cursor.execute(_STORE, values)
        if not cursor.rowcount:
            cursor.execute(_SEEN, [dedupe_key])
            return Received(cursor.fetchone()[0], duplicate=True)
    if not refusal:
        HANDLE.ring_on_commit()
    return Received(message_uuid, duplicate=False)


def _short(provider_id: str) -> str:
    """A provider's id that fits; a longer one by its hash, since cut ones could be alike."""
    if len(provider_id) <= LONGEST_PROVIDER_ID:
        return provider_id
    return f"sha256:{hashlib.sha256(provider_id.encode()).hexdigest()}"
