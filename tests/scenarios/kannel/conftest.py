"""A real Kannel between phones and a real ``gridtalk up``.

Phones reach Kannel through its fake SMSC: a TCP port on which each line is a text. One such
connection carries all phones and meters (:class:`Air`); bearerbox and smsbox are started and
stopped by :class:`Kannel`; :class:`World` holds all of it together for the tests.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import psycopg
import pytest

from gridtalk.cli import launch
from gridtalk.demo.meter import Meter, MeterCircuit
from gridtalk.demo.server import free_port

HERE = Path(__file__).parent
#: The gateway's own number at this Kannel.
OURS = "444"
USER, PASSWORD = "gw", "gw & p w+"
CONF = """
group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = admin
status-password = status
admin-deny-ip = "*.*.*.*"
admin-allow-ip = "127.0.0.1"
smsbox-port = {boxes}
smsbox-interface = 127.0.0.1
box-deny-ip = "*.*.*.*"
box-allow-ip = "127.0.0.1"
dlr-storage = internal
store-type = spool
store-location = "{folder}/store"

group = smsc
smsc = fake
smsc-id = FAKE
host = 127.0.0.1
port = {air}
connect-allow-ip = "127.0.0.1"

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {boxes}
smsbox-id = smsbox1
sendsms-port = {sendsms}
sendsms-interface = 127.0.0.1
mo-recode = true
http-request-retry = 8640
http-queue-delay = 1
http-timeout = 30
max-pending-requests = 512

group = smsbox-route
smsbox-id = smsbox1
smsc-id = FAKE

group = sendsms-user
username = {user}
password = "{password}"
concatenation = true
max-messages = 10
user-deny-ip = "*.*.*.*"
user-allow-ip = "127.0.0.1"

group = sms-service
keyword = default
catch-all = true
get-url = "{get_url}"
accept-x-kannel-headers = true
max-messages = 0
concatenation = true
assume-plain-text = true
omit-empty = true
"""


def until(probe: Callable[[], Any], what: str, seconds: float = 20) -> Any:
    """Poll until the probe says something true, and give that back; a failure says ``what``."""
    deadline = time.monotonic() + seconds
    while not (found := probe()):
        if time.monotonic() > deadline:
            pytest.fail(f"after {seconds:g} s still not: {what}", pytrace=False)
        time.sleep(0.05)
    return found


def listens(port: int) -> bool:
    """Whether somebody takes connections on that loopback port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class Kannel:
    """bearerbox and smsbox on free ports, with a spool that outlives a restart."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "store").mkdir(parents=True)
        self.ports = {name: free_port() for name in ("admin", "boxes", "sendsms", "air")}
        self.get_url = ""
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *, get_url: str = "") -> None:
        """Start both boxes; ``get_url`` replaces the address for inbound texts this once."""
        conf = self.folder / "kannel.conf"
        conf.write_text(
            CONF.format(
                **self.ports,
                folder=self.folder,
                user=USER,
                password=PASSWORD,
                get_url=get_url or self.get_url,
            )
        )
        self._start("bearerbox", conf, self.ports["boxes"])
        self._start("smsbox", conf, self.ports["sendsms"])

    def _start(self, name: str, conf: Path, port: int) -> None:
        program = shutil.which(name, path=f"/usr/sbin:/usr/bin:{os.environ.get('PATH', '')}")
        assert program is not None
        # Through launch.py, so that it ends with the tests even if these are killed.
        through = [sys.executable, "-I", "-S", launch.__file__, "-1", "-1", str(os.getpid())]
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*through, str(int(signal.SIGTERM)), program, "-v", "1", str(conf)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self._running[name] = process
        until(
            lambda: process.poll() is not None or listens(port),
            f"{name} to listen; it said {self.said(name)}",
        )
        assert process.poll() is None, f"{name} ended: {self.said(name)}"

    def said(self, name: str) -> str:
        """The last of what a box logged."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-2000:]

    def stop(self) -> None:
        """Stop smsbox, then bearerbox; what is in the spool stays."""
        for name in ("smsbox", "bearerbox"):
            process = self._running.pop(name, None)
            if process is None:
                continue
            # With texts queued that nobody takes, bearerbox wants a second word.
            for patience in (4, 4):
                if process.poll() is None:
                    process.terminate()
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(patience)
            if process.poll() is None:
                process.kill()
                process.wait()

    def kill(self) -> None:
        """End both at once, as a power cut does."""
        for process in self._running.values():
            process.kill()
        for process in self._running.values():
            process.wait()
        self._running.clear()


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


@dataclass
class FieldMeter:
    """A simulated meter at its number: obeys what arrives there, and acknowledges it."""

    air: Air
    number: str
    box: Meter
    pins: list[str]
    circuit_ids: list[int]
    people: list[str]
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def hear(self, text: str) -> None:
        """A text has arrived."""
        with self._lock:
            self.box.now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
            answers = self.box.hear(text)
        for answer in answers:
            self.air.say(self.number, answer)

    def credits(self) -> list[Decimal]:
        """All that was added at this meter, ever."""
        return [one.amount for one in self.box.applied]


@dataclass
class World:
    """The server, Kannel and the phones."""

    server: Any
    kannel: Kannel
    air: Air
    interface: int
    _numbers: Iterator[int] = field(default_factory=lambda: count(70_000_000))
    _tokens: list[str] = field(default_factory=list)

    def number_new(self) -> str:
        """A number in Mali that nobody has."""
        return f"+223{next(self._numbers)}"

    def service(self, do: str, **given: Any) -> Any:
        """Have ``village.py`` do something in the server's database."""
        done = self.server.command(
            "exec", "--", sys.executable, str(HERE / "village.py"),
            stdin=json.dumps({"do": do, **given}),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def meter_new(
        self,
        *,
        people: int = 1,
        circuits: int = 0,
        lang: str = "en",
        knows_job_ids: bool = True,
        number: str = "",
        interface: int = 0,
    ) -> FieldMeter:
        """A meter in the database and at its number, with that many people on its circuits."""
        number = number or self.number_new()
        phones = [self.number_new() for _ in range(people)]
        made = self.service(
            "meter", name=f"m{digits(number)}", phone=number, people=phones, lang=lang,
            interface=interface or self.interface, circuits=max(people, circuits),
            knows_job_ids=knows_job_ids,
        )  # fmt: skip
        lines = {address: MeterCircuit(address) for _, _, address in made["circuits"]}
        box = Meter(number, datetime(2026, 1, 1), lines, knows_job_ids=knows_job_ids)  # noqa: DTZ001  its own clock
        meter = FieldMeter(
            self.air, number, box, [pin for _, pin, _ in made["circuits"]],
            [pk for pk, _, _ in made["circuits"]], phones,
        )  # fmt: skip
        self.air.listen(number, meter.hear)
        return meter

    def token(self) -> str:
        """An unused token, worth 500."""
        if not self._tokens:
            self._tokens = self.service("tokens", count=50, value="500.00")
        return self._tokens.pop()

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """What the server's database says."""
        with self.server.database() as connection:
            return list(connection.execute(sql, values or None).fetchall())

    def one(self, sql: str, *values: Any) -> Any:
        """The first column of the only row."""
        rows = self.rows(sql, *values)
        assert len(rows) == 1, f"{len(rows)} rows of {sql} {values}"
        return rows[0][0]

    def verify(self) -> None:
        """The books are clean."""
        done = self.server.command("verify")
        assert done.returncode == 0, done.stdout
        assert "The ledger is clean" in done.stdout


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With a failure, what the database and the server have to say of it."""
    report = yield
    world = getattr(item, "funcargs", {}).get("world")
    if report.failed and world is not None:
        with contextlib.suppress(psycopg.Error):
            rows = world.rows(
                """SELECT created_at::time(1), now()::time(1), kind, number, text, state, attempts,
                last_error, handled_at::time(1), outcome, error
                FROM messages LEFT JOIN incoming_messages USING (id) ORDER BY id DESC LIMIT 20"""
            )
            lines = [" | ".join(str(value) for value in row) for row in reversed(rows)]
            report.sections.append(("the last messages", "\n".join(lines)))
        report.sections.append(("gridtalk up", world.server.said()[-3000:]))
        report.sections.append(("bearerbox", world.kannel.said("bearerbox")))
    return report


@pytest.fixture(scope="package")
def world(gridtalk_new: Callable[[], Any]) -> Iterator[World]:
    """One server, one Kannel; whoever stops one of them starts it again."""
    path = f"/usr/sbin:/usr/bin:{os.environ.get('PATH', '')}"
    if not (shutil.which("bearerbox", path=path) and shutil.which("smsbox", path=path)):
        pytest.skip("bearerbox and smsbox are not installed: Debian's package kannel")
    server = gridtalk_new()
    kannel = Kannel(server.folder / "kannel")
    server.up()
    air = Air(kannel.ports["air"])
    try:
        interface, kannel.get_url = interface_add(server, kannel, "Kannel", PASSWORD)
        kannel.start()
        yield World(server, kannel, air, interface)
    finally:
        air.end()
        kannel.stop()
        server.end()


def interface_add(server: Any, kannel: Kannel, name: str, password: str) -> tuple[int, str]:
    """Add this Kannel with the command line as an operator does; its id and its ``get-url``."""
    done = server.command(
        "interface", "add", "kannel", name, "host=127.0.0.1", f"port={kannel.ports['sendsms']}",
        f"username={USER}", f"phone={OURS}", "region=ML", "--password-stdin",
        stdin=f"{password}\n", GRIDTALK_PUBLIC_URL=f"http://127.0.0.1:{server.port}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, *_, url = done.stdout.strip().splitlines()
    return int(first.split()[1]), url


@pytest.fixture
def interface_new(world: World) -> Callable[[str, str], tuple[int, str]]:
    """Makes one more interface to the same Kannel: name, password → id, ``get-url``."""
    return lambda name, password: interface_add(world.server, world.kannel, name, password)
