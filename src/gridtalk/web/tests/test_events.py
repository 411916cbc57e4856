"""The event streams: who may listen, what is told to whom, a lost connection, many topics."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Self

import psycopg
import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from django.test import Client

from gridtalk.core.events import CHANNEL
from gridtalk.testing_village import Village
from gridtalk.web import events

pytestmark = pytest.mark.filterwarnings("error")


class Notice:
    def __init__(self, payload: str) -> None:
        self.payload = payload


class Listening:
    """Stands for the listening connection: says what it is given, breaks when told to."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[str | None] = asyncio.Queue()
        self.statements: list[str] = []
        self.closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.closed = True

    async def execute(self, statement: str) -> None:
        self.statements.append(statement)

    async def notifies(self) -> AsyncIterator[Notice]:
        while True:
            payload = await self.said.get()
            if payload is None:
                raise psycopg.OperationalError("the connection is lost")
            yield Notice(payload)


class Browser:
    """An EventSource by hand: keeps what was sent, leaves when told to."""

    def __init__(self, query: bytes = b"topics=feed", cookie: bytes = b"", method: str = "GET"):
        headers = [(b"cookie", cookie)] if cookie else []
        self.scope = {"method": method, "query_string": query, "headers": headers}
        self.sent: list[dict[str, Any]] = []
        self.gone = asyncio.Event()
        self.got = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        self.got.set()

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def data(self) -> list[str]:
        bodies = [message.get("body", b"").decode() for message in self.sent]
        return [body[6:].strip() for body in bodies if body.startswith("data: ")]

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not true():
                self.got.clear()
                await self.got.wait()


def listen(story: Callable[[events.Events, list[Listening]], Awaitable[None]]) -> None:
    """Run a story with a hub whose connections are the given list's."""
    opened: list[Listening] = []

    async def connect() -> Listening:
        opened.append(Listening())
        return opened[-1]

    asyncio.run(asyncio.wait_for(_run(story, connect, opened), 10))  # type: ignore[arg-type]


async def _run(story: Any, connect: Any, opened: list[Listening]) -> None:
    await story(events.Events(events.Hub(connect)), opened)


@pytest.fixture
def everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_may_listen", lambda _key: True)
    monkeypatch.setattr(events, "GATHER_S", 0.001)
    monkeypatch.setattr(events, "RECONNECT_S", (0.001,))


def test_a_page_is_told_of_its_topics_alone(everybody: None) -> None:
    async def story(app: events.Events, opened: list[Listening]) -> None:
        feed, meter = Browser(b"topics=feed"), Browser(b"topics=meter:3+number:%2B22370")
        both = (feed, meter)
        tasks = [asyncio.create_task(app(feed.scope, feed.receive, feed.send))]
        await feed.until(lambda: feed.data == ["feed"])
        # After the connection's own word has gone round: one that comes amid it is told twice.
        tasks.append(asyncio.create_task(app(meter.scope, meter.receive, meter.send)))
        await meter.until(lambda: meter.data == ["*"])
        opened[0].said.put_nowait("meter:4 number:+1")
        await feed.until(lambda: len(feed.data) == 2)
        opened[0].said.put_nowait("meter:3 meter:4 number:+22370")
        await meter.until(lambda: len(meter.data) == 2)
        assert meter.data[1] == "meter:3 number:+22370"
        assert opened[0].statements == [f"LISTEN {CHANNEL}"]
        for one in both:
            one.gone.set()
        await asyncio.gather(*tasks)
        assert opened[0].closed, "the last stream closes the connection"
        assert not app.hub.streams

    listen(story)


def test_after_a_lost_connection_everybody_looks_again(everybody: None) -> None:
    async def story(app: events.Events, opened: list[Listening]) -> None:
        page = Browser(b"topics=meter:3")
        task = asyncio.create_task(app(page.scope, page.receive, page.send))
        await page.until(lambda: page.data == ["*"])
        opened[0].said.put_nowait(None)
        await page.until(lambda: page.data == ["*", "*"])
        assert len(opened) == 2
        page.gone.set()
        await task

    listen(story)


def test_a_burst_is_told_once(everybody: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "GATHER_S", 0.2)

    async def story(app: events.Events, opened: list[Listening]) -> None:
        page = Browser(b"topics=meter:3")
        task = asyncio.create_task(app(page.scope, page.receive, page.send))
        await page.until(lambda: page.data == ["*"])
        for _ in range(100):
            opened[0].said.put_nowait("meter:3")
        await page.until(lambda: len(page.data) == 2)
        await asyncio.sleep(0.3)
        assert page.data == ["*", "meter:3"]
        page.gone.set()
        await task

    listen(story)


@pytest.mark.parametrize(
    ("label", "query", "method", "status"),
    [
        ("no topic", b"", "GET", 400),
        ("too many topics", b"topics=" + b"+".join(b"a%d" % n for n in range(21)), "GET", 400),
        ("a huge topic", b"topics=" + b"x" * 81, "GET", 400),
        ("bytes", b"topics=\xff", "GET", 403),
        ("a form", b"topics=feed", "POST", 405),
        ("nobody", b"topics=feed", "GET", 403),
    ],
)
def test_what_is_no_stream_is_refused(
    label: str, query: bytes, method: str, status: int, db: None
) -> None:
    async def story(app: events.Events, opened: list[Listening]) -> None:
        page = Browser(query, method=method)
        await app(page.scope, page.receive, page.send)
        assert page.status == status, label
        assert not opened

    listen(story)


def test_too_many_streams_are_refused(everybody: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_STREAMS", 0)

    async def story(app: events.Events, _opened: list[Listening]) -> None:
        page = Browser()
        await app(page.scope, page.receive, page.send)
        assert page.status == 503

    listen(story)


def test_a_stream_ends_after_its_longest_time(
    everybody: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "LONGEST_STREAM_S", 0.05)
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.02)

    async def story(app: events.Events, _opened: list[Listening]) -> None:
        page = Browser()
        await app(page.scope, page.receive, page.send)
        assert page.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
        assert any(message.get("body") == b": still here\n\n" for message in page.sent)

    listen(story)


def test_who_may_listen(village: Village, viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    # In a thread of its own it would not see this test's transaction, nor may it close it.
    monkeypatch.setattr(events, "close_old_connections", lambda: None)
    monkeypatch.setattr(connection, "close", lambda: None)
    key = viewer.cookies["sessionid"].value
    assert events._may_listen(key)
    assert not events._may_listen("")
    assert not events._may_listen("0" * 32)
    empty = SessionStore()
    empty.create()
    assert not events._may_listen(str(empty.session_key))
    village.viewer.group.permissions = []
    village.viewer.group.save()
    assert not events._may_listen(key)


@pytest.mark.parametrize(
    ("label", "cookie", "key"),
    [
        ("among others", b"a=b; sessionid=xyz; c=d", "xyz"),
        ("none", b"a=b", ""),
        ("broken", b"\xff\xfe=;;=", ""),
    ],
)
def test_the_session_is_read_from_the_cookie(label: str, cookie: bytes, key: str) -> None:
    assert events._session_key({"headers": [(b"cookie", cookie)]}) == key, label
