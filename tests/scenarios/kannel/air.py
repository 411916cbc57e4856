"""Everybody who has a number, as seen by Kannel's fake SMSC."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from itertools import count
from urllib.parse import quote, unquote_to_bytes

import pytest
from tests.scenarios.kannel.boxes import until

#: The gateway's own number at this Kannel.
OURS = "444"


class Air:
    """Everybody who has a number, behind the fake SMSC; connects again whenever Kannel is back.

    ``inboxes`` holds the texts that arrived, by the number's digits, parts already joined;
    ``parts`` in how many SMS each came.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._changed = threading.Condition()
        self._ended = False
        self._pieces: dict[tuple[str, int], dict[int, bytes]] = {}
        self._listeners: dict[str, Callable[[str], None]] = {}
        self._references = count(1)
        self.inboxes: dict[str, list[str]] = {}
        self.parts: dict[str, int] = {}
        self.not_understood: list[bytes] = []
        self._thread = threading.Thread(target=self._run, name="air", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Leave the network."""
        self._ended = True
        with self._changed:
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=5)

    def listen(self, number: str, hear: Callable[[str], None]) -> None:
        """Call ``hear`` with each text to that number, on a thread of ours."""
        self._listeners[digits(number)] = hear

    def say(self, number: str, text: str, *, ucs2: bool = False) -> None:
        """A phone texts the gateway; waits for the network where there is none."""
        if ucs2:
            octets = text.encode("utf-16-be", "surrogatepass")
            self.line(f"{number} {OURS} ucs2 {quote(octets, safe='')}".encode())
        else:
            self.line(f"{number} {OURS} text {text}".encode())

    def say_in_parts(self, number: str, parts: list[str]) -> None:
        """A long text as phones send it: parts with a user data header."""
        reference = next(self._references) % 256
        for place, part in enumerate(parts, 1):
            header = quote(bytes([5, 0, 3, reference, len(parts), place]), safe="")
            self.line(f"{number} {OURS} udh {header} {quote(part, safe='')}".encode())

    def line(self, octets: bytes) -> None:
        """One line to the fake SMSC, as it is."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._socket is not None, timeout=15):
                pytest.fail("the fake SMSC does not take phones", pytrace=False)
            assert self._socket is not None
            self._socket.sendall(octets + b"\n")

    def inbox(self, number: str) -> list[str]:
        """What arrived at a phone so far."""
        with self._changed:
            return list(self.inboxes.get(digits(number), []))

    def await_text(self, number: str, *words: str, seconds: float = 20) -> str:
        """The first text at that phone with all of these words in it."""

        def found() -> str:
            return next((t for t in self.inbox(number) if all(word in t for word in words)), "")

        return str(
            until(found, f"a text to {number} with {words}; it has {self.inbox(number)}", seconds)
        )

    def _run(self) -> None:
        while not self._ended:
            try:
                connection = socket.create_connection(("127.0.0.1", self._port), timeout=2)
            except OSError:
                time.sleep(0.1)
                continue
            connection.settimeout(None)
            with connection, connection.makefile("rb") as lines:
                with self._changed:
                    self._socket = connection
                    self._changed.notify_all()
                with contextlib.suppress(OSError):
                    for octets in lines:
                        self._take(octets.rstrip(b"\n"))
                with self._changed:
                    self._socket = None

    def _take(self, octets: bytes) -> None:
        words = octets.split(b" ", 3)
        if len(words) != 4 or words[0] != OURS.encode():
            self.not_understood.append(octets)
            return
        number, kind, rest = digits(words[1].decode()), words[2], words[3]
        match kind:
            case b"text":
                self._arrived(number, rest.decode(), 1)
            case b"ucs-2":
                self._arrived(number, plain(rest).decode("utf-16-be"), 1)
            case b"udh":
                header, _data, piece = rest.split(b" ", 2)
                *_rest, reference, most, place = plain(header)
                pieces = self._pieces.setdefault((number, reference), {})
                pieces[place] = plain(piece)
                if len(pieces) == most:
                    del self._pieces[number, reference]
                    self._arrived(number, whole([pieces[n] for n in sorted(pieces)]), most)
            case _:
                self.not_understood.append(octets)

    def _arrived(self, number: str, text: str, parts: int) -> None:
        with self._changed:
            self.inboxes.setdefault(number, []).append(text)
            self.parts[text] = parts
        hear = self._listeners.get(number)
        if hear is not None:
            # Not on the reading thread: what it answers may have to wait for the network.
            threading.Thread(target=hear, args=(text,), daemon=True).start()


def digits(number: str) -> str:
    """The digits of a number: with or without its plus, the same phone."""
    return "".join(sign for sign in number if sign.isdigit())


def plain(octets: bytes) -> bytes:
    """The fake SMSC's own encoding (a form's), undone."""
    return unquote_to_bytes(octets.replace(b"+", b" "))


def whole(pieces: list[bytes]) -> str:
    """The parts as one text. The fake SMSC does not say in which alphabet: UTF-8 where it can be,
    which UTF-16 with its many zero octets or lone high octets is not."""
    joined = b"".join(pieces)
    with contextlib.suppress(UnicodeDecodeError):
        if b"\0" not in joined:
            return joined.decode()
    return joined.decode("utf-16-be")
