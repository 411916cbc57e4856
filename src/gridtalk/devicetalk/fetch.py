"""One GET at an address that a user named, guarded: it must not lead into the server's own network.

The name is resolved once, every address that it has is looked at, and the connection goes to one of
those: a name that resolves to something else a moment later changes nothing. No proxies, no
redirects, no cookies, no compression; a limit on size, and one on time that holds from the first
octet to the last.
"""

import ipaddress
import re
import socket
import threading
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from urllib.parse import SplitResult, urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from gridtalk.core.errors import NotAllowed, PeerError, UserError

CONNECT_TIMEOUT_S = 5.0
TOTAL_TIMEOUT_S = 15.0
MOST_BYTES = 2 * 2**20
LONGEST_ADDRESS = 255
#: Of the addresses of one name, so many are tried.
_MOST_TRIES = 3
_PIECE = 64 * 1024
#: Other letters are written as %… or, in a name, as xn--….
_ADDRESS = re.compile(r"[^\\\s<>\"\x00-\x1f\x7f-\U0010ffff]+")
#: Where a network without IPv4 reaches it: the last 32 bits are the address (NAT64, RFC 6052).
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer: its status, body, and where it sends us on to."""

    status: int
    body: bytes
    location: str = ""


class _Handle:
    """What lets a timer end a connection, whatever it waits for."""

    handle: socket.socket | None = None

    def keep(self, connected: socket.socket) -> socket.socket:
        """TLS takes the socket itself away."""
        self.handle = connected.dup()
        return connected

    def end(self) -> None:
        """Both directions; whoever reads or writes hears of it at once."""
        if self.handle is not None:
            with suppress(OSError):
                self.handle.shutdown(socket.SHUT_RDWR)


class _Plain(HTTPConnection, _Handle):
    def _new_conn(self) -> socket.socket:
        return self.keep(super()._new_conn())


class _Tls(HTTPSConnection, _Handle):
    def _new_conn(self) -> socket.socket:
        return self.keep(super()._new_conn())


def address_read(address: str) -> SplitResult:
    """A server's address without a slash at its end; :class:`UserError` where it is none."""
    text = address.strip().rstrip("/")
    if len(text) > LONGEST_ADDRESS:
        raise UserError(f"the server's address has more than {LONGEST_ADDRESS} characters")
    try:
        parts = urlsplit(text)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname)
        good = good and parts.port != 0 and _ADDRESS.fullmatch(text) is not None
    except ValueError:
        good = False
    if not good:
        raise UserError(
            f"“{text[:80]}” is no server's address; write for example https://iottalk.example.org"
        )
    if parts.username is not None or parts.password is not None:
        raise UserError("leave the name and password out of the server's address")
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise UserError("leave what follows a ? or # out of the server's address")
    return parts


def fetch(address: SplitResult, path: str, *, private_hosts: Collection[str] = ()) -> Fetched:
    """GET ``path`` at the server of :func:`address_read`. Called outside transactions.

    ``private_hosts`` are names that may lead to private addresses; ``*`` is any. Raises
    :class:`NotAllowed` where the name leads to one and is not among them, :class:`PeerError` where
    the server cannot be reached, is too slow, or answers with too much.
    """
    host = address.hostname or ""
    port = address.port or (443 if address.scheme == "https" else 80)
    places = _resolve(host, port)
    if not {"*", host} & {name.lower() for name in private_hosts} and not all(
        map(_is_public, places)
    ):
        raise NotAllowed(
            f"{host} is in this server's own network; an administrator can allow it "
            "(GRIDTALK_IMPORT_PRIVATE_HOSTS)"
        )
    error: Exception | None = None
    for place in places[:_MOST_TRIES]:
        connection = _connection(address, host, port, place)
        with _limited(connection) as late:
            try:
                connection.connect()
            except (HTTPError, OSError) as caught:
                if late.is_set():
                    raise PeerError(f"{host} was too slow: no answer in {TOTAL_TIMEOUT_S:g} s"
                                    ) from caught  # fmt: skip
                error = caught
                continue
            return _get(connection, address, path, late)
    raise PeerError(f"{host} could not be reached: {_reason(error)}") from error


def _resolve(host: str, port: int) -> list[_Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise PeerError(f"{host} could not be reached: its name is not known") from error
    # A link-local address can carry its interface behind a %.
    return [ipaddress.ip_address(str(row[4][0]).partition("%")[0]) for row in found]


def _is_public(address: _Address) -> bool:
    """Whether it is one of the open net's, also where it is written inside another one."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return _is_public(address.ipv4_mapped)
        if address in _NAT64:
            return _is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        # Tunnels to an IPv4 address of the sender's choice; nobody serves there.
        if address.sixtofour or address.teredo or address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _connection(address: SplitResult, host: str, port: int, place: _Address) -> _Plain | _Tls:
    if address.scheme == "http":
        return _Plain(str(place), port, timeout=CONNECT_TIMEOUT_S)
    return _Tls(
        str(place), port, timeout=CONNECT_TIMEOUT_S, cert_reqs="CERT_REQUIRED",
        server_hostname=host, assert_hostname=host,
    )  # fmt: skip


@contextmanager
def _limited(connection: _Plain | _Tls) -> Iterator[threading.Event]:
    """The connection ends when the time is up, and at the end of the block."""
    late = threading.Event()

    def end() -> None:
        late.set()
        connection.end()

    timer = threading.Timer(TOTAL_TIMEOUT_S, end)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()
        connection.close()
        if connection.handle is not None:
            connection.handle.close()


def _get(
    connection: _Plain | _Tls, address: SplitResult, path: str, late: threading.Event
) -> Fetched:
    headers = {
        "Host": address.netloc,
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "Gridtalk",
        "Connection": "close",
    }
    try:
        connection.request(
            "GET", f"{address.path}{path}", headers=headers, preload_content=False,
            decode_content=False,
        )  # fmt: skip
        with closing(connection.getresponse()) as response:
            body = _body(response, address.hostname or "")
    except (HTTPError, HTTPException, OSError, ValueError) as error:
        if late.is_set():
            raise PeerError(
                f"{address.hostname} was too slow: no answer in {TOTAL_TIMEOUT_S:g} s"
            ) from error
        raise PeerError(f"{address.hostname} broke off its answer: {_reason(error)}") from error
    if late.is_set():
        raise PeerError(f"{address.hostname} was too slow: no answer in {TOTAL_TIMEOUT_S:g} s")
    return Fetched(response.status, body, response.headers.get("Location", ""))


def _body(response: HTTPResponse, host: str) -> bytes:
    """All of it; :class:`PeerError` where it is too much, or packed."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise PeerError(f"{host} sent a packed answer, which was not asked for")
    body = bytearray()
    while piece := response.read1(_PIECE):
        body += piece
        if len(body) > MOST_BYTES:
            size = f"{MOST_BYTES // 2**20} MB"
            raise PeerError(f"{host} answered with more than {size}; is it an IoTtalk server?")
    return bytes(body)


def _reason(error: BaseException | None) -> str:
    """The system's words where there are some, never a whole representation."""
    cause = error
    while cause is not None:
        if isinstance(cause, TimeoutError):
            return f"no answer within {CONNECT_TIMEOUT_S:g} s"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
