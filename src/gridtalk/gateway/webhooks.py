"""The addresses that providers call. Nothing here decides anything about the text.

Who may call is checked, the provider's ``wire`` reads the request, ``receive`` stores it; only then
comes 200. Bad input gets a defined answer and is kept for the operator; it never gives 500:

====  ============================================================================================
200   stored (or stored before); a text without a number is stored as refused
400   the body claims a form that it has not, or there is no text, not even an empty one: nothing
      is stored but a line for the operator, and providers try again
403   the key is missing or wrong, or the interface is not active
404   no such message of this interface
405   a method that the address does not take
411   a body without its length
413   a body over 256 kB, or a text that is too long
503   the database cannot be reached: providers try again
====  ============================================================================================
"""

import logging
from collections.abc import Callable
from functools import wraps
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import SuspiciousOperation
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from gridtalk.core import secrets
from gridtalk.core.errors import NotAllowed, TooLarge, UserError
from gridtalk.core.texts import storable
from gridtalk.gateway.callers import Caller, caller_by_id, caller_by_key, refused_note, unread_note
from gridtalk.gateway.receive import receive
from gridtalk.messaging.interfaces.catalogue import provider
from gridtalk.messaging.interfaces.generic import wire as generic
from gridtalk.messaging.interfaces.netbook import wire as netbook
from gridtalk.messaging.services import (
    delivery_report_take,
    polled_message_remove,
    polled_messages_take,
)
from gridtalk.messaging.wire import FORM, MOST_FIELDS, InboundRequest, InboundSms, form_fields

log = logging.getLogger(__name__)

#: How much of a body that is too large is looked at, to tell the operator who sent it.
PEEK = 2048
#: How much of a text that is too long the system log keeps.
BEGINNING = 200

View = Callable[..., HttpResponse]


def webhook(*methods: str) -> Callable[[View], View]:
    """An address for machines: no session, no CSRF token, errors mapped to their status once."""

    def decorate(view: View) -> View:
        @csrf_exempt
        @login_not_required
        @wraps(view)
        def address(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
            if request.method not in methods:
                return HttpResponse(status=405, headers={"Allow": ", ".join(methods)})
            try:
                return view(request, *args, **kwargs)
            except UserError as error:
                return plain(str(error), status=error.status)
            except (OperationalError, InterfaceError) as error:
                # Nothing was stored; the provider must try again. The next request reconnects.
                log.warning("the database failed an inbound request: %s", error)
                connection.close()
                return plain("the database cannot be reached; try again", status=503)

        return address

    return decorate


def plain(text: str, *, status: int = 200) -> HttpResponse:
    return HttpResponse(text, content_type="text/plain; charset=utf-8", status=status)


@webhook("GET", "POST")
def kannel_inbound(request: HttpRequest, interface_id: int) -> HttpResponse:
    """A text that Kannel received. The body of the answer is empty: Kannel would send it on.

    With retries on, Kannel asks again for a day after anything but 200; so a text which is too long
    is stored cut and refused, and answered 200.
    """
    caller = caller_by_id(request, interface_id, address="/sms/kannel/in")
    sms = _inbound_sms(request, caller, provider("kannel").parse_inbound)
    receive(interface_id=caller.interface_id, region=caller.region, sms=sms, cut=True)
    return HttpResponse()


@webhook("GET", "POST")
def report(request: HttpRequest, message_uuid: UUID) -> HttpResponse:
    """A delivery report; who may give one has the signature that the message carried."""
    if not secrets.signature_matches("report", str(message_uuid), request.GET.get("sig", "")):
        refused_note(request, 0, address="/sms/report", reason="wrong or missing signature")
        raise NotAllowed("wrong signature")
    wanted = InboundRequest(query=_query(request))
    delivery_report_take(report=provider("kannel").parse_report(message_uuid, wanted))
    return HttpResponse()


@webhook("GET", "POST")
def generic_inbound(request: HttpRequest, interface_id: int) -> HttpResponse:
    """A text from any program, for any interface."""
    caller = caller_by_id(request, interface_id, address="/interface/send")
    return _generic(request, caller)


@webhook("GET", "POST")
def netbook_inbound(request: HttpRequest) -> HttpResponse:
    """A text that a bridge heard, at the old address: the key names the interface."""
    return _generic(request, caller_by_key(request, address="/sms/send"))


def _generic(request: HttpRequest, caller: Caller) -> HttpResponse:
    sms = _inbound_sms(request, caller, generic.parse_inbound)
    try:
        stored = receive(interface_id=caller.interface_id, region=caller.region, sms=sms)
    except TooLarge as error:
        _too_large_note(request, caller, sms, str(error))
        raise
    answers_uuid = provider(caller.kind).answers_uuid or settings.GENERIC_INBOUND_ANSWERS_UUID
    return plain(str(stored.message_uuid)) if answers_uuid else HttpResponse()


@webhook("GET")
def netbook_ping(request: HttpRequest) -> HttpResponse:
    """A bridge asks whether we are there, and whether its key is right."""
    caller_by_key(request, address="/sms/ping")
    return plain("pong")


@webhook("GET")
def netbook_received(request: HttpRequest) -> HttpResponse:
    """What a bridge is to send: its own interface's messages only."""
    caller = caller_by_key(request, address="/sms/received")
    waiting = polled_messages_take(interface_id=caller.interface_id)
    return JsonResponse(
        netbook.listing(
            netbook.WaitingSms(m.pk, m.number, m.created_at, m.uuid, m.text) for m in waiting
        ),
        safe=False,
        json_dumps_params={"ensure_ascii": True},
    )


@webhook("POST")
def netbook_remove(request: HttpRequest, message_uuid: UUID) -> HttpResponse:
    """A bridge sent a message; it may say so as often as it likes."""
    caller = caller_by_key(request, address="/message/remove")
    polled_message_remove(interface_id=caller.interface_id, uuid=message_uuid)
    return plain("ok")


def _query(request: HttpRequest) -> bytes:
    return str(request.META.get("QUERY_STRING", "")).encode("latin-1", "replace")


def _inbound_sms(
    request: HttpRequest, caller: Caller, parse: Callable[[InboundRequest], InboundSms]
) -> InboundSms:
    """What the request says; where it cannot be read, the operator finds what came."""
    wanted = InboundRequest(query=_query(request))
    try:
        wanted = _inbound_request(request, caller)
        return parse(wanted)
    except TooLarge:
        raise
    except UserError as error:
        unread_note(
            request,
            caller,
            address=f"{request.path_info} {error.status}",
            reason=f"{error}; it said: {_said(wanted)}",
        )
        raise


def _said(wanted: InboundRequest) -> str:
    """The beginnings of query and body as they came, without the key."""
    pairs = wanted.query.split(b"&", MOST_FIELDS)
    query = b"&".join(pair for pair in pairs if "key" not in form_fields(pair))
    beginnings = (part[:BEGINNING].decode("utf-8", "replace") for part in (query, wanted.body))
    return " ".join(part for part in beginnings if part) or "nothing"


def _inbound_request(request: HttpRequest, caller: Caller) -> InboundRequest:
    """The request for a wire. Raises :class:`UserError` where its body cannot be read."""
    query, headers = _query(request), request.headers
    if request.method == "GET":
        return InboundRequest(query, headers=headers)
    length = str(request.META.get("CONTENT_LENGTH") or "")
    if not length and request.headers.get("Transfer-Encoding"):
        # WSGI cannot read it, and an empty text must not be stored instead.
        raise LengthRequired("send the body with its Content-Length")
    kind = headers.get("Content-Type", "")
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if length.isdigit() and int(length) > limit:
        peeked = InboundRequest(query, _peek(request), kind)
        reason = f"the body has {length} bytes; at most {limit} are taken"
        _too_large_note(request, caller, _beginning(peeked), reason)
        raise TooLarge(reason)
    try:
        if request.content_type == "multipart/form-data":
            return InboundRequest(query, request.POST.urlencode().encode(), FORM, headers)
        return InboundRequest(query, request.body, kind, headers)
    except UnreadablePostError as error:
        raise UserError("the body ended before its length") from error
    except (MultiPartParserError, SuspiciousOperation) as error:
        raise UserError("the body is not a multipart form") from error


class LengthRequired(UserError):  # noqa: N818  named as HTTP does
    """A body whose length was not given."""

    status = 411


def _peek(request: HttpRequest) -> bytes:
    try:
        return bytes(request.read(PEEK))
    except (UnreadablePostError, OSError):
        return b""


def _beginning(peeked: InboundRequest) -> InboundSms:
    """What can be read of a text whose body is too large; a cut JSON object tells as it stands."""
    try:
        return generic.parse_inbound(peeked)
    except UserError:
        return InboundSms(number="", text=peeked.body.decode("utf-8", "replace"))


def _too_large_note(request: HttpRequest, caller: Caller, sms: InboundSms, reason: str) -> None:
    number = storable(sms.number.strip()[:64]) or "an unknown number"
    unread_note(
        request,
        caller,
        address=f"{request.path_info} 413",
        reason=f"{reason}; from {number}: {sms.text[:BEGINNING]}",
    )
