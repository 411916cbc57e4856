"""The device server under load: registrations, data to committed samples, memory, many devices.

A whole ``gridtalk up`` (embedded PostgreSQL with fsync, Mosquitto, web, one ``gridtalk devices``)
in a folder of its own. Measured, in this order:

1. registrations a second over HTTP, each with its own user at the broker;
2. all devices connect (light ones, this process): seconds until all are shown online and connected,
   memory of the devices process and of Mosquitto for each;
3. IDF messages a second from the broker to committed samples, in turns with a bare subscriber (paho
   in a process of its own, COPY in batches into a table of the same shape): the ratio must reach
   TARGET. One publisher, the same messages for both, on topics that only the one hears;
4. the broker is restarted: seconds until all devices are back, and how many were shown offline.

    python bench/devices.py [--devices 5000] [--messages 40000] [--rounds 3]
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import psutil
import psycopg

TARGET = 0.5
ROOT = Path(__file__).resolve().parent.parent
FEATURES: dict[str, Any] = {
    "idf_list": [["Temperature-I", ["float"]], ["Pair-I", ["int", "int"]]],
    "odf_list": [["Lamp-O", ["int"]]],
}
#: Devices that send in part 3; more messages of one in a second would be a flood.
SENDING = 500


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


class Server:
    """``gridtalk up``, and what belongs to it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gridtalk-bench-"))
        self.folder.chmod(0o755)
        self.port, self.mqtt_port = free_port(), free_port()
        limits = {
            f"GRIDTALK_DEVICE_REGISTRATIONS_PER_MINUTE{ending}": "1000000"
            for ending in ("", "_IN_ALL")
        }
        command = ["--data-dir", str(self.folder / "data"), "up", "--port", str(self.port)]
        self.log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gridtalk.cli", *command, "--mqtt-port", str(self.mqtt_port)],
            env={**os.environ, **limits}, stdout=self.log, stderr=self.log, cwd=self.folder,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while b"Gridtalk runs at" not in (self.folder / "log").read_bytes():
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.end()
                raise SystemExit("gridtalk up does not start")
            time.sleep(0.1)
        time.sleep(3)

    def database(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, autocommit=True)

    @property
    def url(self) -> str:
        return f"postgresql://gridtalk@/gridtalk?host={self.folder / 'data' / 'postgres'}"

    def child(self, word: str) -> psutil.Process:
        for process in psutil.Process(self.process.pid).children(recursive=True):
            if word in process.cmdline() or process.name() == word:
                return process
        raise SystemExit(f"no process “{word}”")

    def secret(self) -> tuple[int, str]:
        """The server's own port of the broker, and its password there."""
        environ = self.child("devices").environ()
        os.environ["GRIDTALK_SECRET_KEY"] = environ["GRIDTALK_SECRET_KEY"]
        os.environ["GRIDTALK_ENCRYPTION_KEY"] = environ["GRIDTALK_ENCRYPTION_KEY"]
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gridtalk.settings")
        from gridtalk.iottalk.credentials import server_password

        return int(environ["GRIDTALK_MQTT_SERVER_PORT"]), server_password()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(40)
        self.log.close()
        if b"ERROR" in (said := (self.folder / "log").read_bytes()):
            print(said.decode(errors="replace")[-4000:])
        shutil.rmtree(self.folder, ignore_errors=True)


def one(database: psycopg.Connection[Any], statement: str, *values: Any) -> Any:
    row = database.execute(statement, values).fetchone()
    assert row is not None
    return row[0]


# --- 1. registrations, 2. connections ------------------------------------------------------------


async def register(server: Server, count: int, parallel: int = 16) -> tuple[list[Any], float]:
    """Register devices; the answers, and registrations a second."""
    from gridtalk.iottalk.testing_light import http_json

    answers: list[Any] = []
    left = iter(range(count))
    began = time.monotonic()

    async def some() -> None:
        for number in left:
            body = {"name": f"bench {number}", "accept_protos": ["mqtt"], **FEATURES}
            path = f"/iottalk/v2/{uuid.uuid4()}"
            status, answer = await http_json("127.0.0.1", server.port, "PUT", path, body)
            if status != 200:
                raise SystemExit(f"registration {number}: {status} {answer}")
            answers.append(answer)

    await asyncio.gather(*[some() for _ in range(parallel)])
    return answers, count / (time.monotonic() - began)


async def all_online(database: psycopg.Connection[Any], count: int, limit_s: float) -> float:
    """Seconds until all are shown online, and all their features connected."""
    began = time.monotonic()
    while True:
        online = one(database, "SELECT count(*) FROM registered_devices WHERE online")
        linked = one(database, "SELECT count(*) FROM registered_features WHERE state = 'ok'")
        if online == count and linked == 3 * count:
            return time.monotonic() - began
        if time.monotonic() > began + limit_s:
            raise SystemExit(f"{online} of {count} online, {linked} features connected")
        await asyncio.sleep(0.25)


# --- 3. data -------------------------------------------------------------------------------------


def publisher(port: int, password: str) -> paho.Client:
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="bench-publisher")
    client.username_pw_set("gridtalk", password)
    client.connect("127.0.0.1", port)
    client.loop_start()
    while not client.is_connected():
        time.sleep(0.01)
    return client


def publish(client: paho.Client, topics: list[str], count: int) -> None:
    """Publish values at QoS 0, as fast as the broker takes them."""
    last = None
    for number in range(count):
        payload = json.dumps([number, round(number / 7, 3)])
        last = client.publish(topics[number % len(topics)], payload)
        if number % 2000 == 0:
            last.wait_for_publish(30)
    assert last is not None
    last.wait_for_publish(30)


def bare(port: int, password: str, url: str, ready: Any) -> None:
    """The bare subscriber: paho's loop in a thread, COPY of whatever came, each 50 ms."""
    waiting: list[tuple[str, bytes, float]] = []
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="bench-bare")
    client.username_pw_set("gridtalk", password)
    client.on_message = lambda _c, _u, m: waiting.append((m.topic, m.payload, time.time()))
    client.on_subscribe = lambda *_: ready.set()
    client.connect("127.0.0.1", port)
    client.subscribe("gt/bare/x/+/i/+", 1)
    client.loop_start()
    features: dict[str, int] = {}
    with psycopg.connect(url, autocommit=True) as database:
        while True:
            time.sleep(0.05)
            taken, waiting[:] = waiting[:], []
            if not taken:
                continue
            with (
                database.cursor() as cursor,
                cursor.copy("COPY bench_samples (feature_id, at, value) FROM STDIN") as copy,
            ):
                for topic, payload, at in taken:
                    feature = features.setdefault(topic, len(features))
                    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
                    copy.write(f"{feature}\t{stamp}\t{payload.decode()}\n")


def rate(
    client: paho.Client, database: psycopg.Connection[Any], table: str, topics: list[str], n: int
) -> float:
    """Messages a second from the first publish to the last committed row."""
    count = f"SELECT count(*) FROM {table}"
    before = one(database, count)
    began = time.monotonic()
    publish(client, topics, n)
    while (stored := one(database, count) - before) < n:
        if time.monotonic() > began + 120:
            raise SystemExit(f"{stored} of {n} messages in {table}")
        time.sleep(0.02)
    return n / (time.monotonic() - began)


def data(port: int, password: str, url: str, mine: list[str], messages: int, rounds: int) -> float:
    """In turns, ours and the bare subscriber; the median ratio.

    In a process of its own: paho cannot use file handles above 1,024.
    """
    database = psycopg.connect(url, autocommit=True)
    database.execute(
        "CREATE TABLE bench_samples (id bigserial PRIMARY KEY, feature_id int NOT NULL,"
        " at timestamptz NOT NULL, value jsonb NOT NULL)"
    )
    database.execute("CREATE INDEX ON bench_samples (feature_id, at DESC)")
    database.execute("CREATE INDEX ON bench_samples (at)")
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    arguments = (port, password, url, ready)
    subscriber = context.Process(target=bare, args=arguments)
    subscriber.start()
    ready.wait(20)
    client = publisher(port, password)
    theirs = [f"gt/bare/x/{number}/i/2" for number in range(len(mine))]
    ratios = []
    for number in range(rounds + 1):
        ours = rate(client, database, "df_samples", mine, messages)
        time.sleep(1)
        base = rate(client, database, "bench_samples", theirs, messages)
        time.sleep(1)
        note = " (warm-up)" if number == 0 else ""
        print(
            f"  {ours:8,.0f} messages/s to committed samples, bare subscriber {base:8,.0f}/s, "
            f"ratio {ours / base:.2f}{note}",
            flush=True,
        )
        if number:
            ratios.append(ours / base)
    subscriber.terminate()
    client.disconnect()
    return statistics.median(ratios)


# --- all -----------------------------------------------------------------------------------------


async def measure(server: Server, given: argparse.Namespace) -> int:
    from gridtalk.iottalk.testing_light import LightDevice

    database = server.database()
    before = [server.child(name).memory_info().rss for name in ("devices", "mosquitto")]
    answers, per_second = await register(server, given.devices)
    print(f"{per_second:,.0f} registrations/s ({given.devices} devices)", flush=True)
    devices = [LightDevice(answer) for answer in answers]
    began = time.monotonic()
    for number, device in enumerate(devices):
        device.start()
        if number % 50 == 49:
            await asyncio.sleep(0.1)
    await all_online(database, given.devices, 240)
    print(f"all connected and online after {time.monotonic() - began:.1f} s", flush=True)
    await asyncio.sleep(3)
    for name, rss in zip(("devices", "mosquitto"), before, strict=True):
        more = server.child(name).memory_info().rss - rss
        print(f"  {name}: {more / given.devices / 1024:.1f} KB a device", flush=True)
    port, password = server.secret()
    # Of each device the second input, number 2.
    mine = [f"{answer['ctrl_chans'][0][:-3]}/i/2" for answer in answers[:SENDING]]
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        ratio = await asyncio.get_running_loop().run_in_executor(
            pool, data, port, password, server.url, mine, given.messages, given.rounds
        )
    print(f"ratio {ratio:.2f} (to hold: {TARGET})", flush=True)
    offline = "SELECT count(*) FROM device_events WHERE kind = 'offline'"
    gone = one(database, offline)
    connects = [device.connects for device in devices]
    server.child("mosquitto").kill()
    began = time.monotonic()
    while any(d.connects == c for d, c in zip(devices, connects, strict=True)):
        await asyncio.sleep(0.1)
        if time.monotonic() > began + 120:
            raise SystemExit("not all devices came back to the broker")
    back = time.monotonic() - began
    await asyncio.sleep(2)
    await all_online(database, given.devices, 240)
    wrongly = one(database, offline) - gone
    print(
        f"broker killed: all devices back at it after {back:.1f} s, all online and connected "
        f"{time.monotonic() - began - back:.1f} s later, {wrongly} shown offline meanwhile"
    )
    for device in devices:
        await device.kill()
    return 0 if ratio >= TARGET else 1


def main() -> int:
    """Run all parts and print what was seen."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--devices", type=int, default=5_000)
    parser.add_argument("--messages", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server = Server()
    try:
        return asyncio.run(measure(server, given))
    finally:
        server.end()


if __name__ == "__main__":
    sys.exit(main())
