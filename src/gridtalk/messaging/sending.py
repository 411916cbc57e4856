"""Calling a provider: the only place with provider HTTP.

Time-outs on connecting and reading, no redirects, no retries (the drain decides on these), at most
64 kB of an answer. What matters is proof: a request of which not one octet was written has provably
not been handed over and may be repeated; once the first octet is out, silence is ``unknown``.

Nothing secret is logged or returned: URLs carry passwords, so no error names more than host and
port, and urllib3's own texts (which quote the URL) are not used. It logs URLs too:
``settings.LOGGING`` silences it.
"""

import threading
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from gridtalk.messaging.wire import HandOver, HttpRequest, HttpResponse, Outcome, shortened

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 10.0
#: The longest that one attempt takes; a lease must outlast it.
LONGEST_ATTEMPT_S = CONNECT_TIMEOUT_S + READ_TIMEOUT_S
LONGEST_ANSWER = 64 * 1024


class ReadsResponse(Protocol):
    """The part of a provider that classes an answer."""

    def read_response(self, response: HttpResponse) -> HandOver:
        """See :meth:`gridtalk.messaging.interfaces.base.Provider.read_response`."""


class Transport(Protocol):
    """What hands a request over: :func:`send`, or a test's own."""

    def __call__(self, request: HttpRequest, provider: ReadsResponse) -> HandOver:
        """See :func:`send`."""


class _Phase(threading.local):
    """Whether the request that this thread is sending has left, at least in part."""

    written = False


_phase = _Phase()


class _Connection(HTTPConnection):
    """Notes when the first octet goes out; connecting (by itself in ``send``) is before that."""

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        _phase.written = True
        super().send(data)


class _TlsConnection(HTTPSConnection):
    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        _phase.written = True
        super().send(data)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Manager(urllib3.PoolManager):
    POOLS: ClassVar[dict[str, Any]] = {"http": _Pool, "https": _TlsPool}

    def __init__(self) -> None:
        super().__init__(num_pools=32, maxsize=8, block=False)
        self.pool_classes_by_scheme = self.POOLS


_manager = _Manager()


def send(request: HttpRequest, provider: ReadsResponse) -> HandOver:
    """Hand a request over and class what came back; never raises for what the other side does.

    Called outside any transaction, in several threads at once.
    """
    _phase.written = False
    try:
        place = urlsplit(request.url).netloc.rpartition("@")[2]
    except ValueError:
        return HandOver(Outcome.REFUSED_PERMANENT, "the provider's address is no URL")
    timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S)
    try:
        response = _manager.request(
            request.method,
            request.url,
            body=request.body,
            headers=dict(request.headers),
            timeout=timeout,
            retries=False,
            redirect=False,
            preload_content=False,
        )
        try:
            body = response.read(LONGEST_ANSWER, decode_content=True)
        finally:
            # What is left of an answer is not worth reading; a whole one keeps its connection.
            response.drain_conn() if response.length_remaining == 0 else response.close()
            response.release_conn()
    except (HTTPError, OSError, ValueError) as error:
        return _failed(place, error)
    return provider.read_response(HttpResponse(response.status, body.decode("utf-8", "replace")))


def _failed(place: str, error: Exception) -> HandOver:
    if not _phase.written:
        detail = f"{place} could not be reached: {_reason(error)}"
        return HandOver(Outcome.REFUSED_TEMPORARY, detail, reached=False)
    if isinstance(error, ReadTimeoutError):
        reason = f"no answer within {READ_TIMEOUT_S:g} s"
    else:
        reason = f"the connection broke before the answer ({type(error).__name__})"
    return HandOver(Outcome.UNKNOWN, f"{place}: {reason}")


def _reason(error: Exception) -> str:
    if isinstance(error, NameResolutionError):
        return "its name is not known"
    # A refused connection is a NewConnectionError, which urllib3 derives from the time-out.
    if isinstance(error, ConnectTimeoutError) and not isinstance(error, NewConnectionError):
        return f"no connection within {CONNECT_TIMEOUT_S:g} s"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return shortened(cause.strerror)
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, SSLError):
        return "its TLS certificate or handshake was refused"
    return type(error).__name__
