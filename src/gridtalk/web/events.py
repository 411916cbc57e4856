"""``/events``: a stream of server-sent events for each open page, outside Django's threads.

One process has one connection of its own that LISTENs, opened with the first stream, closed after
the last, and never pooled; a stream costs a task and a set. After a lost connection everybody is
told to look again, since nobody knows what was missed. An event names the topics that changed,
never what is in them.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs

import psycopg
from django.conf import settings
from django.contrib.auth import get_user
from django.db import close_old_connections, connection
from django.http import HttpRequest

from gridtalk.core.events import ALL, CHANNEL
from gridtalk.users.models import Permission, User

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PATH = "/events"
#: The topic of pages which show everything.
FEED = "feed"
MOST_TOPICS = 20
LONGEST_TOPIC = 80
#: Streams are told together, at once and then at most so often: waking the loop for each of them
#: and each event would take the interpreter from Django's threads.
GATHER_S = 0.5
#: A comment goes out so often: proxies and dead clients are noticed by it.
HEARTBEAT_S = 15.0
#: Then the stream ends; the browser comes back, and its session is looked at again.
LONGEST_STREAM_S = 600.0
#: Streams of one process; a browser beyond gets 503 and comes back.
MOST_STREAMS = 1000
RECONNECT_S = (0.2, 1.0, 5.0)


class Stream:
    """What one page still has to be told."""

    def __init__(self, topics: frozenset[str]) -> None:
        self.topics = topics
        self.pending: set[str] = set()
        self.woken = asyncio.Event()

    def tell(self, found: set[str]) -> None:
        """Note the changed topics, if the page shows any of them."""
        if ALL in found or FEED in self.topics:
            self.pending.add(FEED if FEED in self.topics else ALL)
        else:
            self.pending |= found & self.topics
        if self.pending:
            self.woken.set()


class Hub:
    """The streams of this process, and its one listening connection."""

    def __init__(self, connect: Callable[[], Awaitable[Any]] | None = None) -> None:
        self.streams: set[Stream] = set()
        self._connect = connect or _listening_connection
        self._task: asyncio.Task[None] | None = None
        self._hears = False
        self._gathered: set[str] = set()
        self._told_at = float("-inf")

    def add(self, stream: Stream) -> None:
        """Begin to tell the stream; the first one opens the connection.

        Its page looks once more as soon as we listen: between its making and now things changed.
        """
        self.streams.add(stream)
        if self._hears:
            stream.tell({ALL})
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._listen(), name="events")

    async def remove(self, stream: Stream) -> None:
        """Stop telling the stream; the last one closes the connection."""
        self.streams.discard(stream)
        if not self.streams and self._task is not None:
            task, self._task = self._task, None
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def tell(self, changed: Iterable[str]) -> None:
        """Tell every stream what changed: now, or with what comes until the pause is over."""
        waiting = bool(self._gathered)
        self._gathered.update(changed)
        if self._gathered and not waiting:
            loop = asyncio.get_running_loop()
            loop.call_at(max(loop.time(), self._told_at + GATHER_S), self._tell_gathered)

    def _tell_gathered(self) -> None:
        self._told_at = asyncio.get_running_loop().time()
        found, self._gathered = self._gathered, set()
        for stream in self.streams:
            stream.tell(found)

    async def _listen(self) -> None:
        failures = 0
        while True:
            try:
                async with await self._connect() as listening:
                    await listening.execute(f"LISTEN {CHANNEL}")
                    failures = 0
                    self._hears = True
                    self.tell([ALL])  # whatever was said before nobody heard
                    async for notice in listening.notifies():
                        self.tell(notice.payload.split())
            except psycopg.Error as error:
                log.warning("the connection of the event streams is lost: %s", error)
            finally:
                self._hears = False
            pause = RECONNECT_S[min(failures, len(RECONNECT_S) - 1)]
            failures += 1
            await asyncio.sleep(pause)


async def _listening_connection() -> psycopg.AsyncConnection[Any]:
    known = {"host", "hostaddr", "port", "dbname", "user", "password", "service", "passfile"}
    parameters = {
        name: value
        for name, value in connection.get_connection_params().items()
        if name in known or name.startswith("ssl")
    }
    return await psycopg.AsyncConnection.connect(
        **parameters, autocommit=True, connect_timeout=5, application_name="gridtalk events"
    )


class Events:
    """The ASGI application of ``/events?topics=feed meter:3``; sign-in and ``view`` needed."""

    def __init__(self, hub: Hub | None = None) -> None:
        self.hub = hub or Hub()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one stream until the client leaves, or :data:`LONGEST_STREAM_S` are over."""
        if scope["method"] != "GET":
            await _answer(send, 405, "GET this address with an EventSource\n")
            return
        topics = _topics(scope["query_string"])
        if not topics:
            await _answer(send, 400, f"name up to {MOST_TOPICS} topics: /events?topics=feed\n")
            return
        if len(self.hub.streams) >= MOST_STREAMS:
            await _answer(send, 503, "too many open pages on this server\n")
            return
        if not await asyncio.to_thread(_may_listen, _session_key(scope)):
            await _answer(send, 403, "sign in first\n")
            return
        stream = Stream(topics)
        self.hub.add(stream)
        left = asyncio.ensure_future(_left(receive))
        try:
            await _start(send, 200, b"text/event-stream")
            await _body(send, b"retry: 2000\n\n")
            await self._tell_on(stream, left, send)
        except OSError:
            return  # the client has gone
        finally:
            left.cancel()
            await self.hub.remove(stream)

    async def _tell_on(self, stream: Stream, left: "asyncio.Future[None]", send: Send) -> None:
        loop = asyncio.get_running_loop()
        ends = loop.time() + LONGEST_STREAM_S
        left.add_done_callback(lambda _left: stream.woken.set())
        while loop.time() < ends:
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_S):
                    await stream.woken.wait()
            if left.done():
                return
            stream.woken.clear()
            changed, stream.pending = stream.pending, set()
            event = f"data: {' '.join(sorted(changed))}" if changed else ": still here"
            await _body(send, f"{event}\n\n".encode())
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _topics(query: bytes) -> frozenset[str]:
    given = parse_qs(query.decode("ascii", "replace")).get("topics", [""])[-1].split()
    fitting = all(len(topic) <= LONGEST_TOPIC for topic in given)
    return frozenset(given) if fitting and len(given) <= MOST_TOPICS else frozenset()


def _session_key(scope: Scope) -> str:
    raw = b"; ".join(value for name, value in scope["headers"] if name == b"cookie")
    try:
        cookie = SimpleCookie(raw.decode("latin-1"))
    except CookieError:
        return ""
    morsel = cookie.get(settings.SESSION_COOKIE_NAME)
    return morsel.value if morsel else ""


def _may_listen(session_key: str) -> bool:
    """Whether the session is of a user who may see; in a thread, with a connection for a moment."""
    if not session_key:
        return False
    try:
        request = HttpRequest()
        request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
        user = get_user(request)
        return isinstance(user, User) and user.may(Permission.VIEW)
    finally:
        close_old_connections()
        connection.close()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _start(send: Send, status: int, kind: bytes) -> None:
    headers = [
        (b"content-type", kind),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _body(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _answer(send: Send, status: int, text: str) -> None:
    await _start(send, status, b"text/plain; charset=utf-8")
    await send({"type": "http.response.body", "body": text.encode(), "more_body": False})
