"""The import from a server that answers over HTTP: what it may do, and what a user may ask for."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from gridtalk.core.errors import GridtalkError, NotAllowed, NotFound, PeerError, UserError
from gridtalk.devicetalk import fetch
from gridtalk.devicetalk.models import DeviceModel
from gridtalk.devicetalk.services import importing
from gridtalk.devicetalk.services.device_spec import DeviceSpec, Df, Use
from gridtalk.devicetalk.services.devices import device_save
from gridtalk.devicetalk.services.functions import function_create
from gridtalk.devicetalk.testing import (
    basic_file_make,
    df_type_make,
    draft,
    spec_make,
    user_make,
)
from gridtalk.devicetalk.tree import DfType

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.enable_socket,
    pytest.mark.allow_hosts(["127.0.0.1", "localhost"]),
]
FIXTURES = Path(importing.__file__).parents[1] / "fixtures" / "iottalk"
PLANTBOX = (FIXTURES / "plantbox.json").read_bytes()


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class Server:
    """Answers every connection with the same octets, in pieces where there are several."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = [answer(PLANTBOX)]
        self.pause_s = 0.0
        self.requests: list[bytes] = []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.ending = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self.listening.accept()
            except OSError:
                return
            with peer:
                try:
                    request = b""
                    while b"\r\n\r\n" not in request and (piece := peer.recv(65536)):
                        request += piece
                    self.requests.append(request)
                    for piece in self.pieces:
                        peer.sendall(piece)
                        self.ending.wait(self.pause_s)
                except OSError:
                    continue  # the other side had enough

    def close(self) -> None:
        if self.ending.is_set():
            return
        self.ending.set()
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()


@pytest.fixture
def server(settings: Any) -> Iterator[Server]:
    settings.IMPORT_PRIVATE_HOSTS = ["127.0.0.1", "LocalHost"]
    made = Server()
    yield made
    made.close()


def imported(url: str, project: str = "3", device_object: str = "5") -> importing.Imported:
    return importing.device_model_import(
        user=None, server_url=url, project=project, device_object=device_object
    )


def test_a_device_model_is_fetched_with_what_is_in_use(server: Server) -> None:
    found = imported(f" {server.url}/iot/ ", "My project", "5/6")
    assert (found.dm_name, sorted(found.in_use)) == ("Plantbox", ["Lamp-O", "Temperature-I"])
    assert (found.source_server, found.source_project, found.source_device_object) == (
        f"{server.url}/iot", "My project", "5/6",
    )  # fmt: skip
    lines = server.requests[0].decode().split("\r\n")
    assert lines[0] == "GET /iot/api/v0/project/My%20project/deviceobject/5%2F6 HTTP/1.1"
    assert f"Host: 127.0.0.1:{server.port}" in lines
    assert not DeviceModel.objects.exists()


def test_by_name_and_in_many_pieces(server: Server) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    whole = [chunked, b"%x\r\n" % len(PLANTBOX), PLANTBOX[:9], PLANTBOX[9:], b"\r\n0\r\n\r\n"]
    server.pieces = whole
    assert imported(f"http://LOCALHOST:{server.port}").dm_name == "Plantbox"
    assert f"Host: LOCALHOST:{server.port}".encode() in server.requests[0]


def test_an_administrator_keeps_it_in_the_catalogue(server: Server) -> None:
    found = imported(server.url)
    admin = user_make("admin", group="admin")
    kept = importing.device_model_import_keep(user=admin, imported=found)
    assert (kept.name, kept.source_server, kept.features.count()) == ("Plantbox", server.url, 5)
    with pytest.raises(NotAllowed, match="administrator"):
        importing.device_model_import_keep(user=user_make(), imported=found)


@pytest.mark.parametrize(
    ("label", "pieces", "awaited"),
    [
        ("redirection", [answer(b"", "302 Found", "Location: http://127.0.0.1:22/")],
         "sends us on to http://127.0.0.1:22/"),
        ("a page", [answer(b"<html>no</html>")], "answered with a web page"),
        ("fault", [answer(b"<html>no</html>", "500 Oh")], "has a fault"),
        ("5 MB", [answer(b" " * 5_000_000)], "more than 2 MB"),
        ("5 MB, unsaid", [b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 5_000_000], "more than 2 MB"),
        ("packed", [answer(b"x", "200 OK", "Content-Encoding: gzip")], "packed answer"),
        ("not HTTP", [b"SSH-2.0-OpenSSH\r\n"], "broke off its answer"),
        ("nothing", [], "broke off its answer"),
        ("broken off", [answer(PLANTBOX)[:-40]], "broke off its answer"),
        ("many headers", [b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500 + b"\r\n"], "broke off"),
        ("endless header", [b"HTTP/1.1 200 OK\r\nA: " + b"b" * 200_000], "broke off"),
    ],
)  # fmt: skip
def test_wrong_answers(server: Server, label: str, pieces: list[bytes], awaited: str) -> None:
    server.pieces = pieces
    with pytest.raises(PeerError) as caught:
        imported(server.url)
    assert awaited in str(caught.value), label
    assert len(server.requests) == 1, "no redirect is followed, nothing is asked twice"


def test_no_such_device_object(server: Server) -> None:
    server.pieces = [answer(b"{}", "404 Not Found")]
    with pytest.raises(NotFound, match="no such project"):
        imported(server.url)


@pytest.mark.parametrize(
    ("label", "pieces"),
    [
        ("header by header", [b"HTTP/1.1 200 OK\r\n", *[b"A: b\r\n"] * 200]),
        ("octet by octet", [b"HTTP/1.1 200 OK\r\n\r\n", *[b" "] * 200]),
        ("silent", [b"HTTP/1.1 200 OK\r\n"]),
    ],
)
def test_a_slow_server_is_given_up(
    server: Server, label: str, pieces: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "TOTAL_TIMEOUT_S", 0.5)
    server.pieces, server.pause_s = pieces, 0.05 if len(pieces) > 1 else 9
    began = time.monotonic()
    with pytest.raises(PeerError, match="was too slow"):
        imported(server.url)
    assert time.monotonic() - began < 4, label


def test_a_closed_port_and_an_unknown_name(
    server: Server, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.close()
    with pytest.raises(PeerError, match=r"127.0.0.1 could not be reached: Connection refused"):
        imported(server.url)

    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(PeerError, match="its name is not known"):
        imported("http://nowhere.example")


def test_a_server_without_tls(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "CONNECT_TIMEOUT_S", 0.5)
    with pytest.raises(PeerError, match="could not be reached"):
        imported(server.url.replace("http:", "https:"))


@pytest.mark.parametrize(
    "url",
    [
        "", "iottalk.example.org", "ftp://example.org", "file:///etc/passwd", "http://",
        "http://:80", "http://example.org:0", "http://example.org:99999", "http://[::1",
        "gopher://example.org", "http://a b", "http://a\r\nX: y", "http://a\\@b", "javascript:x",
        "http://user:pw@example.org", "http://example.org?x=1", "http://example.org#x",
        "http://example.org?", "http://" + "a" * 300, "http://例.example",
    ],
)  # fmt: skip
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(UserError):
        imported(url)


@pytest.mark.parametrize("name", ["", "  ", "..", ".", "a\nb", "x" * 101, "a\x00b"])
def test_names_that_are_none(server: Server, name: str) -> None:
    with pytest.raises(UserError):
        imported(server.url, project=name)
    with pytest.raises(UserError):
        imported(server.url, device_object=name)
    assert server.requests == []


@pytest.mark.parametrize(
    ("label", "host", "addresses", "is_public"),
    [
        ("public", "x.example", ["93.184.216.34"], True),
        ("public, version 6", "x.example", ["2606:2800:220:1::1"], True),
        ("public behind NAT64", "x.example", ["64:ff9b::5db8:d822"], True),
        ("mapped public", "x.example", ["::ffff:93.184.216.34"], True),
        ("loopback", "x.example", ["127.0.0.1"], False),
        ("loopback, version 6", "x.example", ["::1"], False),
        ("private", "x.example", ["10.0.0.1"], False),
        ("one of two", "x.example", ["93.184.216.34", "192.168.1.1"], False),
        ("metadata of clouds", "x.example", ["169.254.169.254"], False),
        ("carrier's", "x.example", ["100.64.0.1"], False),
        ("this host", "x.example", ["0.0.0.0"], False),
        ("nobody's", "x.example", ["::"], False),
        ("everybody's", "x.example", ["255.255.255.255"], False),
        ("multicast", "x.example", ["224.0.0.1"], False),
        ("multicast, version 6", "x.example", ["ff02::1"], False),
        ("mapped", "x.example", ["::ffff:127.0.0.1"], False),
        ("compatible", "x.example", ["::127.0.0.1"], False),
        ("NAT64", "x.example", ["64:ff9b::7f00:1"], False),
        ("6to4", "x.example", ["2002:7f00:1::"], False),
        ("Teredo", "x.example", ["2001:0:4136:e378:8000:63bf:3fff:fdd2"], False),
        ("link-local", "x.example", ["fe80::1%eth0"], False),
        ("site-local", "x.example", ["fec0::1"], False),
        ("unique local", "x.example", ["fd00::1"], False),
        ("written otherwise", "2130706433", ["127.0.0.1"], False),
    ],
)
def test_the_servers_own_network_is_closed(
    label: str, host: str, addresses: list[str], is_public: bool, settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    asked: list[str] = []

    def resolve(name: str, port: int, **_: Any) -> list[Any]:
        asked.append(name)
        return [(0, 0, 0, "", (address, port)) for address in addresses]

    class NotToday:
        handle = None

        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def connect(self) -> None:
            raise ConnectionRefusedError(111, "Connection refused")

        def close(self) -> None:
            pass

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(fetch, "_Plain", NotToday)
    settings.IMPORT_PRIVATE_HOSTS = ["other.example"]
    with pytest.raises(GridtalkError) as caught:
        imported(f"http://{host}")
    assert isinstance(caught.value, PeerError if is_public else NotAllowed), label
    assert asked == [host], "resolved once"
    for allowed in ("*", host.upper()):
        settings.IMPORT_PRIVATE_HOSTS = [allowed]
        with pytest.raises(PeerError, match="Connection refused"):
            imported(f"http://{host}")


def test_the_second_address_is_tried_where_the_first_does_not_answer(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(name: str, port: int, **_: Any) -> list[Any]:
        return [(0, 0, 0, "", (address, port)) for address in ("127.0.0.2", "127.0.0.1")]

    found = fetch.fetch.__globals__["socket"]
    monkeypatch.setattr(found, "getaddrinfo", resolve)
    monkeypatch.setattr(fetch._Plain, "_new_conn", _connect)
    assert fetch.fetch(urlsplit(server.url), "/", private_hosts=["*"]).status == 200


def _connect(connection: Any) -> socket.socket:
    if connection.host == "127.0.0.2":
        raise ConnectionRefusedError(111, "Connection refused")
    made = socket.socket()
    made.connect((connection.host, connection.port))
    return connection.keep(made)


def plantbox() -> importing.Imported:
    types = {"Light-I": DfType("idf", ("int",)), "Lamp-O": DfType("odf", ("float",)),
             "Fan-O": DfType("odf", ("int",))}  # fmt: skip
    return importing.Imported(
        "Plantbox", tuple(types.items()), frozenset({"Light-I"}), "http://iot", "3", "5"
    )


def test_the_features_of_a_device_follow_the_device_object() -> None:
    basic_file = basic_file_make()
    df_type = df_type_make()
    function = function_create(
        user=None, basic_file=basic_file, df_type=df_type, draft=draft("read")
    )
    use = Use(function.pk, "pin = 4", True)
    idf = DfType("idf", ("int",))
    spec: DeviceSpec = spec_make(
        basic_file,
        Df("Light-I", idf, in_use=False, uses=(use,)),
        Df("Old-I", idf, in_use=True, uses=(use,)),
        Df("Older-I", idf, in_use=False),
        Df("Fan-O", idf, in_use=True),  # of the same name, but of another type
    )
    found = importing.device_spec_import(spec=spec, imported=plantbox())
    assert [(df.name, df.df_type, df.in_use, df.uses) for df in found.dfs] == [
        ("Light-I", idf, True, (use,)),
        ("Lamp-O", DfType("odf", ("float",)), False, ()),
        ("Fan-O", DfType("odf", ("int",)), False, ()),
        ("Old-I", idf, False, (use,)),
    ]
    device = device_save(user=None, spec=found).device
    assert (device.dm_name, device.source_server, device.source_project) == (
        "Plantbox", "http://iot", "3",
    )  # fmt: skip
    assert device.source_device_object == "5"
    in_use = device.devicedf_set.filter(in_use=True).values_list("name", flat=True)
    assert list(in_use) == ["Light-I"]
