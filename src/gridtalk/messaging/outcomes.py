"""Telling the owner of a message what became of it.

``jobs`` stands above ``messaging``, so it is called by a dotted path:
``settings.MESSAGE_OUTCOME_HOOKS`` names a function for each kind of message that wants to know.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import cast

from django.conf import settings
from django.utils.module_loading import import_string

from gridtalk.messaging.models import Message


class MessageOutcome(StrEnum):
    """What became of a message that goes out."""

    SENT = "sent"  # the provider took it
    UNKNOWN = "unknown"  # it may or may not have been handed over; counts as sent
    RETRY = "retry"  # provably not handed over; we try again
    FAILED = "failed"  # provably not handed over; we do not try again
    DELIVERED = "delivered"  # the phone has it
    UNDELIVERED = "undelivered"  # the network took it and says that it could not deliver it
    REFUSED = "refused"  # the network refused what the provider had taken: it never left


def outcome_tell(message: Message, outcome: MessageOutcome) -> None:
    """Call the hook of the message's kind, if there is one.

    Called in the transaction that wrote the message's state, with the row locked: the hook takes
    locks of its own tables after that of the message, never the other way round.
    """
    path = settings.MESSAGE_OUTCOME_HOOKS.get(message.kind)
    if path:
        hook = cast("Callable[..., None]", import_string(path))
        hook(message=message, outcome=outcome)
