"""The router before Django: whole bodies, odd queries, clients that leave."""

import asyncio
from typing import Any

import pytest

from gridtalk import asgi


class Django:
    """Stands for Django: keeps what it is given and answers in two parts."""

    def __init__(self) -> None:
        self.scope: Any = None
        self.body: bytes | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        message = await receive()
        assert not message["more_body"]
        self.body = message["body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})


def served(
    *messages: dict[str, Any], headers: Any = (), query: bytes = b"", gone_after: int = 99
) -> tuple[Django, list[dict[str, Any]]]:
    """What Django got and what the client got; the client leaves after so many messages."""
    django, sent = Django(), []
    waiting = list(messages)

    async def receive() -> Any:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        if len(sent) >= gone_after:
            raise OSError("the client has gone")
        sent.append(message)

    scope = {"type": "http", "headers": list(headers), "query_string": query}
    asyncio.run(asgi.Router(django)(scope, receive, send))
    return django, sent


def part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_the_parts_of_a_body_arrive_as_one() -> None:
    django, sent = served(part(b"text=", more=True), part(b"", more=True), part(b"bal"))
    assert django.body == b"text=bal"
    assert [message.get("status") or message["body"] for message in sent] == [200, b"one", b"two"]


def test_a_body_that_breaks_off_never_reaches_django() -> None:
    django, sent = served(part(b"text=add 2345678", more=True), {"type": "http.disconnect"})
    assert django.body is None
    assert sent == []


@pytest.mark.parametrize(
    ("headers", "messages"),
    [
        pytest.param([(b"content-length", b"33554433")], [], id="said"),
        pytest.param([(b"content-length", b"-1")], [], id="negative"),
        pytest.param([(b"content-length", b"x")], [], id="no number"),
        pytest.param([], [part(b"x" * 2**24, more=True)] * 3, id="unsaid"),
    ],
)
def test_a_body_beyond_all_limits(headers: Any, messages: Any) -> None:
    django, sent = served(*messages, headers=headers)
    assert django.body is None
    assert sent[0]["status"] == 413


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"text=bal", b"text=bal"),
        (b"text=caf\xc3\xa9&a=%20", b"text=caf%C3%A9&a=%20"),
        (b"\xff", b"%FF"),
    ],
)
def test_raw_bytes_in_a_query_are_encoded(query: bytes, expected: bytes) -> None:
    django, _sent = served(part(b""), query=query)
    assert django.scope["query_string"] == expected


@pytest.mark.parametrize("gone_after", [0, 1, 2])
def test_django_finishes_when_the_client_leaves(gone_after: int) -> None:
    django, sent = served(part(b"x"), gone_after=gone_after)
    assert django.body == b"x"
    assert len(sent) == gone_after


def test_other_events_go_through() -> None:
    django = Django()
    scope = {"type": "lifespan"}

    async def receive() -> Any:
        return part(b"")

    async def send(_message: Any) -> None:
        return None

    asyncio.run(asgi.Router(django)(scope, receive, send))
    assert django.scope is scope


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("/", "/iottalk/v1/"),
        ("/c860008bd249/Dummy_Sensor", "/iottalk/v1/c860008bd249/Dummy_Sensor"),
        ("/events", "/iottalk/v1/events"),
    ],
)
def test_a_port_whose_root_is_a_protocol(path: str, inside: str) -> None:
    django = Django()

    async def nothing(_message: Any) -> None:
        pass

    async def receive() -> Any:
        return part(b"")

    scope = {"type": "http", "headers": [], "query_string": b"", "path": path}
    routes = {"/events": pytest.fail}
    rooted = asgi.Rooted(asgi.Router(django, routes), "/iottalk/v1")
    asyncio.run(rooted(scope, receive, nothing))
    assert django.scope["path"] == inside
    assert scope["path"] == path
