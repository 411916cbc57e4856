"""Between Kannel and the server: sees what they say, and loses answers where a test wants it."""

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.scenarios.kannel.boxes import Kannel


class Relay(ThreadingHTTPServer):
    """Hands Kannel's requests on. ``answers``: by Kannel's id of the text, status and body of each.

    With ``lose_first`` the first answer to each text is lost: the connection ends without one.
    """

    daemon_threads = True

    def __init__(self, port: int, *, lose_first: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = f"http://127.0.0.1:{port}"
        self.lose_first = lose_first
        self.answers: dict[str, list[tuple[int, bytes]]] = {}


class _Handler(BaseHTTPRequestHandler):
    server: Relay

    def do_GET(self) -> None:
        query = urlsplit(self.path).query
        (kannel_id,) = parse_qs(query, encoding="latin-1")["id"]
        try:
            with urllib.request.urlopen(self.server.target + self.path, timeout=10) as answer:
                said = (answer.status, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                said = (error.code, error.read())
        answers = self.server.answers.setdefault(kannel_id, [])
        answers.append(said)
        if self.server.lose_first and len(answers) == 1:
            self.close_connection = True
            return
        self.send_response(said[0])
        self.send_header("Content-Length", str(len(said[1])))
        self.end_headers()
        self.wfile.write(said[1])

    def log_message(self, *_: object) -> None:
        """Not to the tests' output."""


@contextmanager
def relay_between(kannel: Kannel, port: int, *, lose_first: bool) -> Iterator[Relay]:
    """Kannel's texts take the way over a relay to the server's port, until the block ends."""
    with Relay(port, lose_first=lose_first) as relay:
        thread = threading.Thread(target=relay.serve_forever, daemon=True)
        thread.start()
        here = f"http://127.0.0.1:{relay.server_address[1]}"
        kannel.stop()
        kannel.start(get_url=kannel.get_url.replace(f"http://127.0.0.1:{port}", here))
        try:
            yield relay
        finally:
            kannel.stop()
            kannel.start()
            relay.shutdown()
            thread.join(timeout=5)
