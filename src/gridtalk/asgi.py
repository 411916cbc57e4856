"""The web process: a thin ASGI router before Django, which runs as WSGI in lasting threads.

``routes`` are served here, without a thread: ``/events`` (``web/events.py``).

Measured (ARCHITECTURE.md): Django as ASGI serves plain views eight times slower; this way they run
at full speed beside open event streams.
"""

import os
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from a2wsgi import WSGIMiddleware
from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gridtalk.settings")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

#: The largest body that is read at all; smaller limits are the views' and Django's.
LARGEST_BODY_BYTES = 32 * 1024 * 1024


class Disconnected(Exception):  # noqa: N818  named for what happened
    """The client went away before its whole body was here."""


class BodyTooLarge(Exception):  # noqa: N818
    """The body is larger than :data:`LARGEST_BODY_BYTES`."""


class Router:
    """Gives a request to a Django thread when all of it is here, and shields that thread.

    A slow client costs no thread. A body that breaks off is dropped, never taken for the whole: a
    shortened text or token would be a wrong one. When the client leaves during the answer, the rest
    is dropped, so that the thread does not wait for ever.
    """

    def __init__(self, django: Any, routes: Mapping[str, Any] | None = None) -> None:
        self.django = django
        self.routes = routes or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's event, as ASGI has it."""
        if scope["type"] != "http":
            await self.django(scope, receive, send)
            return
        if route := self.routes.get(scope.get("path", "")):
            await route(scope, receive, send)
            return
        try:
            body = await _whole_body(scope, receive)
        except Disconnected:
            return
        except BodyTooLarge:
            await _refuse(send)
            return
        # Raw bytes, which HTTP forbids there and some modem bridges send all the same.
        query = scope["query_string"]
        if not query.isascii():
            query = b"".join(b"%%%02X" % byte if byte > 127 else bytes([byte]) for byte in query)
            scope = {**scope, "query_string": query}

        async def received() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        await self.django(scope, received, _Answer(send).send)


class _Answer:
    """Sends until the client has gone; what comes later is dropped."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._gone = False

    async def send(self, message: Message) -> None:
        if not self._gone:
            try:
                await self._send(message)
            except (OSError, RuntimeError):
                self._gone = True


class Rooted:
    """Serves one of the devices' protocols at the root of a port, and nothing else there.

    For devices whose base address cannot have a path (spec/iottalk.md, "Addresses"): IoTtalk v1 and
    v2 both want ``/<address>``, so each needs a port of its own.
    """

    def __init__(self, application: Any, prefix: str) -> None:
        self.application = application
        self.prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's event, as ASGI has it."""
        if scope["type"] == "http":
            scope = {**scope, "path": self.prefix + scope["path"]}
        await self.application(scope, receive, send)


async def _whole_body(scope: Scope, receive: Receive) -> bytes:
    for name, value in scope["headers"]:
        if name == b"content-length" and (not value.isdigit() or int(value) > LARGEST_BODY_BYTES):
            raise BodyTooLarge
    parts: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        part = message.get("body", b"")
        length += len(part)
        if length > LARGEST_BODY_BYTES:
            raise BodyTooLarge
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def _refuse(send: Send) -> None:
    text = b"the body is too large\n"
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(text))]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": text, "more_body": False})


django_application = get_wsgi_application()

# It needs models, and these need Django set up.
from gridtalk.web import events  # noqa: E402

# Each thread keeps one database connection.
_wsgi: Any = django_application
application = Router(
    WSGIMiddleware(_wsgi, workers=settings.GRIDTALK_WEB_THREADS), {events.PATH: events.Events()}
)
