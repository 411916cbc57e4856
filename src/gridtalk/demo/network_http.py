"""The HTTP side of the simulated network: Kannel's ``sendsms``, and what the demo's page posts."""

import sys
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from gridtalk.demo.network import Network

#: The most that the demo's page may post, in bytes.
LONGEST_BODY = 16_384


class NetworkServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], network: "Network") -> None:
        self.network = network
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that was killed while we answered is what the fault tests are about."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: NetworkServer

    def setup(self) -> None:
        super().setup()
        # Without it, Nagle and the client's delayed acknowledgement add 40 ms to each answer.
        self.connection.setsockopt(6, 1, 1)  # IPPROTO_TCP, TCP_NODELAY

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path == "/cgi-bin/sendsms":
            network = self.server.network
            time.sleep(network.answer_s / 2)
            if not network.gate("asked", address.query):
                self.close_connection = True
                return
            status, text = network.sendsms(address.query)
            network.gate("taken", address.query)
            time.sleep(network.answer_s / 2)
        else:
            status, text = HTTPStatus.NOT_FOUND, "Unknown request."
        self._answer(status, text)

    def do_POST(self) -> None:
        """What the demo's pages do: ``POST /phones/<key>`` says a phone's text, ``/plugs/<key>``
        pulls a device's plug."""
        length = self.headers.get("Content-Length", "")
        place, _, key = urlsplit(self.path).path.rpartition("/")
        network = self.server.network
        doors = {"/phones": network.said, "/plugs": network.plug_turned}
        if place not in doors:
            self._answer(HTTPStatus.NOT_FOUND, "Unknown request.")
        elif not length.isdecimal() or int(length) > LONGEST_BODY:
            self.close_connection = True
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too long")
        else:
            self._answer(*doors[place](key, self.rfile.read(int(length))))

    def _answer(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Silence: the URL carries a password."""
