"""Messages, to read."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from ninja import Router

from gridtalk.api.paging import page_before
from gridtalk.api.schemas import Limit, MessageOut, MessagesOut
from gridtalk.core import clock, phones
from gridtalk.core.errors import NotFound
from gridtalk.core.fields import id_at
from gridtalk.messaging.models import Message
from gridtalk.users.models import Permission
from gridtalk.users.permissions import requires

router = Router(tags=["messages"])

#: Kind and state have no index: a list by them looks this far back.
SPAN = timedelta(days=30)


@router.get("messages", response=MessagesOut, summary="Messages, newest first")
@requires(Permission.VIEW)
def message_list(
    request: HttpRequest,
    number: str | None = None,
    interface: int | None = None,
    kind: str | None = None,
    state: str | None = None,
    before: int | None = None,
    limit: Limit = 100,
) -> dict[str, Any]:
    """Messages; by kind (incoming, outgoing, job) or state only those of the last 30 days."""
    found = Message.objects.all()
    if number is not None:
        found = found.filter(number__in={number, phones.loose(number)})
    if interface is not None:
        found = found.filter(communication_interface_id=interface)
    if kind is not None:
        found = found.filter(kind=kind)
    if state is not None:
        found = found.filter(state=state)
    if kind is not None or state is not None:
        found = found.filter(pk__gte=id_at(clock.now() - SPAN))
    return page_before(found, before=before, limit=limit)


@router.get("messages/{message_id}", response=MessageOut, summary="One message")
@requires(Permission.VIEW)
def message_get(request: HttpRequest, message_id: int) -> Message:
    """A message by its id."""
    message = Message.objects.filter(pk=message_id).first()
    if message is None:
        raise NotFound(f"there is no message {message_id}")
    return message
