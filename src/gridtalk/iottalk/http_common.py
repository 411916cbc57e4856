"""What the HTTP addresses of devices share: bodies, limits, and errors as devices read them.

Devices carry no cookie and no CSRF token. Every error has a status of its own and says why, in the
form of its protocol: JSON with ``reason`` (v2), a line of text (v1)::

    400  what was sent will not do                 409  an earlier registration's revision
    403  wrong or missing key; approval is awaited 411  a body without its length
    404  not registered                            413  too large
    405  a method that the address does not take   429  too often, with Retry-After
                                                   503  the database or broker cannot be reached
"""

import logging
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import SuspiciousOperation
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from gridtalk.core.errors import PeerError, SetupError, TooLarge, UserError
from gridtalk.core.events import DEVICES_TOPIC, device_topic, events_notify
from gridtalk.iottalk.limits import Wait, note_admit
from gridtalk.iottalk.models import DeviceEvent, RegisteredDevice
from gridtalk.iottalk.services.events import event_add
from gridtalk.iottalk.wire_json import json_text

log = logging.getLogger(__name__)

View = Callable[..., HttpResponse]
#: Makes an answer of a status and a reason.
Refuse = Callable[[int, str], HttpResponse]
EVERY_METHOD = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class LengthRequired(UserError):  # noqa: N818  named as HTTP does
    """A body whose length was not given."""

    status = 411


def json_answer(value: Mapping[str, Any], *, status: int = 200) -> HttpResponse:
    """A JSON object; Decimals as numbers."""
    return HttpResponse(json_text(dict(value)), content_type="application/json", status=status)


def json_refusal(status: int, reason: str) -> HttpResponse:
    """How IoTtalk v2 says no."""
    return json_answer({"reason": reason}, status=status)


def text_answer(text: str, *, status: int = 200) -> HttpResponse:
    """A line of text."""
    return HttpResponse(text, content_type="text/plain; charset=utf-8", status=status)


def text_refusal(status: int, reason: str) -> HttpResponse:
    """How IoTtalk v1 says no."""
    return text_answer(reason, status=status)


def device_address(*methods: str, refuse: Refuse) -> Callable[[View], View]:
    """An address for devices: no session, no CSRF token, errors answered in its protocol's form."""

    def decorate(view: View) -> View:
        @csrf_exempt
        @login_not_required
        @wraps(view)
        def address(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
            if request.method not in methods:
                answer = refuse(405, f"this address takes {', '.join(methods)}")
                answer["Allow"] = ", ".join(methods)
                return answer
            try:
                return view(request, *args, **kwargs)
            except Wait as error:
                answer = refuse(error.status, str(error))
                answer["Retry-After"] = str(error.seconds)
                return answer
            except UserError as error:
                return refuse(error.status, str(error))
            except (PeerError, SetupError) as error:
                log.warning("a device's request failed: %s", error)
                return refuse(503, str(error))
            except (OperationalError, InterfaceError) as error:
                # Nothing was stored; the device tries again, and the next request reconnects.
                log.warning("the database failed a device's request: %s", error)
                connection.close()
                return refuse(503, "the database cannot be reached; try again")

        return address

    return decorate


def source_of(request: HttpRequest) -> str:
    """The caller's IP address."""
    return str(request.META.get("REMOTE_ADDR") or "unknown")


def body_of(request: HttpRequest, *, largest_bytes: int) -> bytes:
    """The body. Raises :class:`UserError` where it is too large, or broke off."""
    length = str(request.META.get("CONTENT_LENGTH") or "")
    if not length and request.headers.get("Transfer-Encoding"):
        # WSGI cannot read it, and nothing must not be taken for what was sent.
        raise LengthRequired("send the body with its Content-Length")
    if length.isdigit() and int(length) > largest_bytes:
        raise TooLarge(f"the body has {length} bytes; at most {largest_bytes} are taken")
    try:
        return request.body
    except UnreadablePostError as error:
        raise UserError("the body ended before its length") from error
    except SuspiciousOperation as error:
        raise TooLarge("the body is too large") from error


def refused_note(
    request: HttpRequest, *, reason: str, device: RegisteredDevice | None = None
) -> None:
    """A line in the log of registrations on what was refused; few where there are many."""
    source = source_of(request)
    if note_admit(name=f"{device.pk if device else ''} {source}"):
        event_add(kind=DeviceEvent.Kind.REFUSED, device=device, text=reason, source=source)
        events_notify([DEVICES_TOPIC, *([device_topic(device.pk)] if device else [])])
