"""Real HTTP on loopback: what counts as proof that a request was not handed over."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from gridtalk.messaging import sending
from gridtalk.messaging.sending import send
from gridtalk.messaging.wire import HandOver, HttpRequest, HttpResponse, Outcome

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1", "localhost"])]

SECRET = "hush"
Behaviour = Callable[[socket.socket, bytes], None]


class Reads:
    """A provider that accepts every answer and keeps it."""

    def __init__(self) -> None:
        self.seen: list[HttpResponse] = []

    def read_response(self, response: HttpResponse) -> HandOver:
        self.seen.append(response)
        return HandOver(Outcome.ACCEPTED)


@contextmanager
def server(behave: Behaviour) -> Iterator[tuple[int, list[bytes]]]:
    """A server on loopback; gives its port and the requests that it read."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def run() -> None:
            while True:
                try:
                    peer, _ = listening.accept()
                except OSError:
                    return
                with peer:
                    peer.settimeout(5)
                    try:
                        raw = peer.recv(65536)
                        requests.append(raw)
                        behave(peer, raw)
                    except OSError:
                        continue

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1], requests
        finally:
            listening.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def answering(answer: bytes) -> Behaviour:
    return lambda peer, raw: peer.sendall(answer)


def closing(peer: socket.socket, raw: bytes) -> None:
    """Close at once."""


def attempt(port: int, scheme: str = "http") -> tuple[HandOver, Reads]:
    reads = Reads()
    url = f"{scheme}://127.0.0.1:{port}/cgi-bin/sendsms?password={SECRET}"
    hand_over = send(HttpRequest("GET", url), reads)
    assert SECRET not in hand_over.detail
    return hand_over, reads


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def test_an_answer_is_read_by_the_provider() -> None:
    body = b"HTTP/1.1 202 OK\r\nContent-Length: 3\r\n\r\n0:\xff"
    with server(answering(body)) as (port, requests):
        hand_over, reads = attempt(port)
    assert hand_over.outcome is Outcome.ACCEPTED
    assert reads.seen == [HttpResponse(202, "0:\ufffd")]
    assert requests[0].startswith(b"GET /cgi-bin/sendsms?password=hush HTTP/1.1\r\n")


def test_a_redirect_is_not_followed() -> None:
    with server(closing) as (other, stolen):
        answer = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/\r\n\r\n" % other
        with server(answering(answer)) as (port, _):
            _, reads = attempt(port)
        assert [response.status for response in reads.seen] == [302]
        assert stolen == []


def test_a_server_error_is_not_tried_again() -> None:
    answer = b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"
    with server(answering(answer)) as (port, requests):
        _, reads = attempt(port)
    assert [response.status for response in reads.seen] == [503]
    assert len(requests) == 1


def test_a_long_answer_is_cut() -> None:
    answer = b"HTTP/1.1 202 OK\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 200_000
    with server(answering(answer)) as (port, _):
        _, reads = attempt(port)
    assert len(reads.seen[0].body) == sending.LONGEST_ANSWER


def test_no_connection_is_proof() -> None:
    hand_over, reads = attempt(free_port())
    assert hand_over.outcome is Outcome.REFUSED_TEMPORARY
    assert not hand_over.reached
    assert "Connection refused" in hand_over.detail
    assert reads.seen == []


def test_an_unknown_name_is_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    hand_over = send(HttpRequest("GET", f"http://no.example/?p={SECRET}"), Reads())
    assert (hand_over.outcome, hand_over.reached) == (Outcome.REFUSED_TEMPORARY, False)
    assert hand_over.detail == "no.example could not be reached: its name is not known"


def test_a_tls_handshake_that_fails_is_proof() -> None:
    with server(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as (port, _):
        hand_over, _ = attempt(port, "https")
    assert (hand_over.outcome, hand_over.reached) == (Outcome.REFUSED_TEMPORARY, False)
    assert ssl.OPENSSL_VERSION  # the failure is TLS's own, not a missing module


def test_a_url_that_is_none_is_proof() -> None:
    hand_over = send(HttpRequest("GET", f"http://[bad/?p={SECRET}"), Reads())
    assert hand_over == HandOver(Outcome.REFUSED_PERMANENT, "the provider's address is no URL")


def test_an_answer_that_is_cut_after_its_status_counts_and_logs_no_url(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with server(answering(b"HTTP/1.1 202 OK\r\nContent-Le")) as (port, _):
        hand_over, reads = attempt(port)
    assert hand_over.outcome is Outcome.ACCEPTED
    assert [response.status for response in reads.seen] == [202]
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(closing, id="closed without a word"),
        pytest.param(answering(b"HTTP/1.1 2"), id="cut in the status"),
        pytest.param(
            answering(b"HTTP/1.1 202 OK\r\nContent-Length: 50\r\n\r\n0: Acc"), id="cut in the body"
        ),
        pytest.param(answering(b"\x00\x01nonsense\r\n\r\n"), id="no HTTP"),
    ],
)
def test_a_connection_that_breaks_after_the_request_is_no_proof(behave: Behaviour) -> None:
    with server(behave) as (port, requests):
        hand_over, _ = attempt(port)
    assert hand_over.outcome is Outcome.UNKNOWN
    assert hand_over.reached
    assert len(requests) == 1


def test_silence_after_the_request_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "READ_TIMEOUT_S", 0.2)
    done = threading.Event()
    with server(lambda peer, raw: done.wait(5) and None) as (port, requests):
        hand_over, _ = attempt(port)
        done.set()
    assert hand_over.outcome is Outcome.UNKNOWN
    assert hand_over.detail == f"127.0.0.1:{port}: no answer within 0.2 s"
    assert len(requests) == 1


def test_what_was_written_before_does_not_count_for_the_next() -> None:
    with server(closing) as (port, _):
        assert attempt(port)[0].outcome is Outcome.UNKNOWN
    assert attempt(free_port())[0].outcome is Outcome.REFUSED_TEMPORARY
