"""From a consumer's text at our door to the answer at the provider's, at 50 texts a second.

``gridtalk up`` with its defaults, on its embedded PostgreSQL, in a folder that is removed in the
end. Each text is a ``bal`` with a right account number, brought as Kannel brings it; the answers go
to a stand-in for Kannel's ``sendsms`` which takes them at once. The latency of a text is from the
start of our request to the arrival of its answer.

    python bench/reply.py [--rate 50] [--seconds 20]

To hold: p95 under 200 ms; the exit code says whether it did. Loads of the machine beside it count.
"""

import argparse
import http.client
import json
import queue
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import psycopg

from gridtalk.demo.server import Server, free_port

LIMIT_S = 0.2
ACCOUNTS = 500
WARM_UP_S = 3.0
#: How long the last answers are waited for.
GRACE_S = 15.0
#: Connections that bring texts, as many as Kannel might open at this rate.
CALLERS = 16

#: Run by ``gridtalk exec``: the interface, its key, accounts with pins.
VILLAGE = """
import json, sys
from gridtalk.cli.environment import django_start
django_start()
from gridtalk.grid.models import Circuit
from gridtalk.grid.services import meter_create
from gridtalk.messaging.services import interface_create
port, accounts = int(sys.argv[1]), int(sys.argv[2])
interface, key = interface_create(
    kind="kannel", name="bench", phone="444", region="ML", host="127.0.0.1", port=port,
    username="bench", password="bench",
)
for number in range(-(-accounts // 50)):
    meter_create(
        name=f"bench {number}", phone=f"+2237000{number:04}", communication_interface=interface,
        circuits=50,
    )
pins = list(Circuit.objects.filter(is_main=False).order_by("pk").values_list("pin", flat=True))
print(json.dumps({"interface": interface.pk, "key": key, "pins": pins[:accounts]}))
"""


STAGES = {
    "stored → handled": """
        SELECT extract(epoch FROM handled_at - created_at) FROM incoming_messages
        JOIN messages USING (id) WHERE handled_at IS NOT NULL ORDER BY 1""",
    "answer written → noted as handed over": """
        SELECT extract(epoch FROM sent_at - created_at) FROM messages
        WHERE kind = 'outgoing' AND sent_at IS NOT NULL ORDER BY 1""",
}


class Arrivals:
    """When the answer to each phone arrived."""

    def __init__(self) -> None:
        self.times: dict[str, float] = {}
        self.again = 0
        self._lock = threading.Lock()

    def note(self, number: str, at: float) -> None:
        """An answer for that phone is here."""
        with self._lock:
            if number in self.times:
                self.again += 1
            self.times.setdefault(number, at)


class SendSms:
    """``/cgi-bin/sendsms`` that takes all at once: plain sockets, to cost the machine little."""

    ANSWER = (
        b"HTTP/1.1 202 Accepted\r\nContent-Type: text/plain\r\nContent-Length: 25\r\n\r\n"
        b"0: Accepted for delivery\n"
    )

    def __init__(self, arrivals: Arrivals) -> None:
        self.arrivals = arrivals
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            for line in lines:
                if line.startswith(b"GET "):
                    at = time.perf_counter()
                    fields = parse_qs(urlsplit(line.split()[1].decode()).query)
                    self.arrivals.note(fields["to"][0], at)
                elif line == b"\r\n":
                    connection.sendall(self.ANSWER)

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()


class Callers:
    """Brings texts over lasting connections, at the moment that each is due."""

    def __init__(self, port: int, path: str) -> None:
        self.port, self.path = port, path
        self.due: queue.Queue[tuple[float, str, str] | None] = queue.Queue()
        self.began: dict[str, float] = {}
        self.took: list[float] = []
        self.refused: list[int] = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(CALLERS)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while (item := self.due.get()) is not None:
            at, number, pin = item
            time.sleep(max(0.0, at - time.perf_counter()))
            began = self.began[number] = time.perf_counter()
            connection.request(
                "GET",
                f"{self.path}&id={number}&ts={int(time.time())}&from={quote(number)}&to=444"
                f"&smsc=bench&coding=0&charset=UTF-8&text=bal.{pin}",
            )
            answer = connection.getresponse()
            answer.read()
            self.took.append(time.perf_counter() - began)
            if answer.status != 200:
                self.refused.append(answer.status)
        connection.close()

    def end(self) -> None:
        """Wait until all that was given has been brought."""
        for _ in self._threads:
            self.due.put(None)
        for thread in self._threads:
            thread.join(timeout=60)


@contextmanager
def server() -> Iterator[Server]:
    """A ``gridtalk up`` of our own, with its defaults."""
    with tempfile.TemporaryDirectory(prefix="gridtalk-bench-") as folder:
        Path(folder).chmod(0o755)
        running = Server(Path(folder, "data"), port=free_port())
        running.start()
        try:
            running.wait_ready()
            yield running
        finally:
            running.stop()


def village_make(running: Server, port: int) -> dict[str, object]:
    """Accounts on the server's database."""
    done = subprocess.run(
        [sys.executable, "-m", "gridtalk.cli", "--data-dir", str(running.data_dir), "exec", "--",
         sys.executable, "-c", VILLAGE, str(port), str(ACCOUNTS)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(done.stderr)
    made: dict[str, object] = json.loads(done.stdout)
    return made


def stages_read(running: Server) -> dict[str, list[float]]:
    """By the database's own times: how long a text waited for each step, in seconds."""
    url = f"postgresql://gridtalk@/gridtalk?host={running.data_dir / 'postgres'}"
    with psycopg.connect(url) as connection:
        return {
            name: [float(row[0]) for row in connection.execute(sql)] for name, sql in STAGES.items()
        }


def part(latencies: list[float], percent: int) -> float:
    """A percentile, in milliseconds."""
    return 1000 * latencies[min(len(latencies) - 1, len(latencies) * percent // 100)]


def measure(rate: float, seconds: float) -> int:
    """Run it and print what was seen; 0 where the limit was held."""
    arrivals = Arrivals()
    kannel = SendSms(arrivals)
    with server() as running:
        made = village_make(running, kannel.port)
        pins = made["pins"]
        assert isinstance(pins, list)
        callers = Callers(running.port, f"/sms/kannel/{made['interface']}/in?key={made['key']}")
        warm = int(WARM_UP_S * rate)
        began = time.perf_counter() + 0.5
        numbers = []
        for place in range(warm + int(seconds * rate)):
            # A phone of its own for each text, so that every answer has one arrival.
            number = f"+2236{place:07}"
            callers.due.put((began + place / rate, number, str(pins[place % len(pins)])))
            if place >= warm:
                numbers.append(number)
        callers.end()
        deadline = time.perf_counter() + GRACE_S
        while len(arrivals.times) < warm + len(numbers) and time.perf_counter() < deadline:
            time.sleep(0.05)
        stages = stages_read(running)
    kannel.close()
    found = [n for n in numbers if n in arrivals.times]
    if callers.refused or len(found) < len(numbers) or arrivals.again:
        print(
            f"WRONG: {len(callers.refused)} refused, {len(numbers) - len(found)} of {len(numbers)} "
            f"not answered, {arrivals.again} answered twice"
        )
        return 1
    latencies = sorted(arrivals.times[n] - callers.began[n] for n in found)
    took = sorted(callers.took)
    print(
        f"{len(found)} texts at {rate:g}/s, text → answer handed over: "
        f"p50 {part(latencies, 50):.0f} ms, p95 {part(latencies, 95):.0f} ms, "
        f"p99 {part(latencies, 99):.0f} ms, longest {1000 * latencies[-1]:.0f} ms, "
        f"mean {1000 * statistics.mean(latencies):.0f} ms"
    )
    print(f"our 200 to the text itself: p50 {part(took, 50):.0f} ms, p95 {part(took, 95):.0f} ms")
    for name, values in stages.items():
        print(f"{name}: p50 {part(values, 50):.0f} ms, p95 {part(values, 95):.0f} ms")
    held = part(latencies, 95) < 1000 * LIMIT_S
    print(f"to hold: p95 under {1000 * LIMIT_S:.0f} ms: {'held' if held else 'MISSED'}")
    return 0 if held else 1


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=50, help="texts a second")
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    sys.exit(measure(given.rate, given.seconds))


if __name__ == "__main__":
    main()
