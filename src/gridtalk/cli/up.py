"""``gridtalk up``: PostgreSQL, broker, migrations, devices, web and worker in one process tree."""

import asyncio
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click
import psutil

from gridtalk.cli import environment, mqtt
from gridtalk.cli.options import data_dir, data_dir_option
from gridtalk.cli.postgres import EmbeddedPostgres
from gridtalk.cli.supervisor import Child, ChildFailed, Supervisor, stdout_is_utf8
from gridtalk.core.errors import SetupError

DEFAULT_PORT = 8000
DEFAULT_HOST = "127.0.0.1"
#: Every connected device holds a file of the broker; what systems allow by default is 1,024.
MOST_OPEN_FILES = 65_536
#: How long a start waits for the device server; an outside broker may be away for longer.
DEVICES_PATIENCE_S = 10


@dataclass(frozen=True)
class Plan:
    """What is asked for on the command line."""

    folder: Path
    host: str
    port: int
    web_workers: int
    concurrency: int
    broker: mqtt.BrokerPlan
    #: Ports whose root is a protocol of devices: ``(("v1", 9999),)``.
    roots: tuple[tuple[str, int], ...] = ()


@click.command()
@click.option("--host", default=DEFAULT_HOST, show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=DEFAULT_PORT, show_default=True, type=click.IntRange(1, 65535),
    help="Port to listen on.",
)  # fmt: skip
@click.option(
    "--web-workers", default=1, show_default=True, type=click.IntRange(1, 64),
    help="Web processes; each has 8 threads.",
)  # fmt: skip
@click.option(
    "--concurrency", default=4, show_default=True, type=click.IntRange(1, 64),
    help="Background tasks at once.",
)  # fmt: skip
@click.option(
    "--mqtt-host", default=DEFAULT_HOST, show_default=True, envvar="GRIDTALK_MQTT_HOST",
    help="Address on which our own MQTT broker takes devices; 0.0.0.0: from everywhere.",
)  # fmt: skip
@click.option(
    "--mqtt-port", default=mqtt.DEFAULT_PORT, show_default=True, type=click.IntRange(1, 65535),
    envvar="GRIDTALK_MQTT_PORT", help="Its port.",
)  # fmt: skip
@click.option(
    "--iottalk-v1-port", type=click.IntRange(1, 65535), envvar="GRIDTALK_IOTTALK_V1_PORT",
    help="A port of its own for IoTtalk v1, for devices whose address has no path.",
)  # fmt: skip
@click.option(
    "--iottalk-v2-port", type=click.IntRange(1, 65535), envvar="GRIDTALK_IOTTALK_V2_PORT",
    help="The same for IoTtalk v2.",
)  # fmt: skip
@click.option("--no-devices", is_flag=True, help="Without MQTT broker and device server.")
@data_dir_option
def up(
    *,
    host: str,
    port: int,
    web_workers: int,
    concurrency: int,
    mqtt_host: str,
    mqtt_port: int,
    iottalk_v1_port: int | None,
    iottalk_v2_port: int | None,
    no_devices: bool,
) -> None:
    """Run everything: database (unless GRIDTALK_DATABASE_URL is set), MQTT broker (unless
    GRIDTALK_MQTT_URL is set), device server, web server, worker.
    """
    folder = data_dir()
    environment.folder_prepare(folder)
    lock = environment.folder_lock(folder, "up")
    assert lock is not None
    try:
        _end_leftovers(folder)
        named = (("v1", iottalk_v1_port), ("v2", iottalk_v2_port))
        roots = tuple((version, root) for version, root in named if root)
        ports = {"--port": port, **{f"--iottalk-{version}-port": root for version, root in roots}}
        for option, listening in ports.items():
            port_check(host, listening, option=option)
        ports_differ(ports)
        public_address_set(host, port)
        server = None if environment.database_url() else EmbeddedPostgres(folder)
        if server is None:
            environment.database_check(environment.database_url())
        else:
            server.check()
        broker = mqtt.broker_plan(
            folder,
            host=mqtt_host,
            port=mqtt_port,
            wanted=not no_devices,
            taken=ports,
        )
        lock.sign("up", public_url=os.environ["GRIDTALK_PUBLIC_URL"])
        if server is not None:
            if not server.pgdata.exists():
                click.echo(f"gridtalk | first start: making the database in {folder}")
            server.initialise()
            environment.embedded_set(server)
        stdout_is_utf8()
        _files_allow()
        asyncio.run(_run(server, Plan(folder, host, port, web_workers, concurrency, broker, roots)))
    except ChildFailed as error:
        raise SetupError(str(error)) from error
    finally:
        lock.release()


def _files_allow() -> None:
    """Let the children open as many files as the system's hard limit permits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _run(server: EmbeddedPostgres | None, plan: Plan) -> None:
    began = time.monotonic()
    supervisor = Supervisor()
    supervisor.watch_signals()
    gridtalk = [sys.executable, "-m", "gridtalk.cli"]
    children_environment = {
        **os.environ,
        environment.SUPERVISED: str(plan.folder),
        "GRIDTALK_SUPERVISOR": str(os.getpid()),
        "PYTHONUNBUFFERED": "1",
    }
    waiting: asyncio.Task[None] | None = None
    try:
        await asyncio.gather(
            _broker(supervisor, plan), _tables(supervisor, server, gridtalk, children_environment)
        )
        webs = [
            _web(
                "web", plan, plan.port, ["--workers", str(plan.web_workers)], children_environment
            ),
            *(
                _web(f"iottalk-{version}", plan, port, ["--iottalk", version], children_environment)
                for version, port in plan.roots
            ),
        ]
        worker = _with_ready_file(
            "worker",
            [*gridtalk, "worker", "--concurrency", str(plan.concurrency)],
            children_environment,
            plan.folder,
        )
        if not supervisor.is_stopping() and plan.broker.has_devices:
            devices = _with_ready_file(
                "devices", [*gridtalk, "devices"], children_environment, plan.folder
            )
            waiting = asyncio.create_task(supervisor.start(devices))
            # The device server is ended last of the three, the worker after the web process.
            await asyncio.sleep(0)
        if not supervisor.is_stopping():
            await asyncio.gather(*map(supervisor.start, (worker, *webs)))
        if waiting is not None and not supervisor.is_stopping():
            ready, _late = await asyncio.wait({waiting}, timeout=DEVICES_PATIENCE_S)
            if not ready:
                supervisor.say("the device server has not reached its broker yet; it goes on")
        if not supervisor.is_stopping():
            supervisor.say(
                f"Gridtalk runs at {address(plan.host, plan.port)} (started in "
                f"{time.monotonic() - began:.1f} s). Ctrl-C ends it."
            )
        await supervisor.wait()
        supervisor.say("stopping")
    finally:
        await supervisor.stop()
        if waiting is not None:
            # What it raises, supervisor.wait has raised too.
            await asyncio.gather(waiting, return_exceptions=True)
    supervisor.say("stopped")


async def _broker(supervisor: Supervisor, plan: Plan) -> None:
    """Say which broker it is, and start it where it is a process of its own."""
    if plan.broker.told:
        supervisor.say(plan.broker.told)
    if plan.broker.private is not None:
        await supervisor.start(mqtt.broker_child(plan.broker.private, plan.folder))


async def _tables(
    supervisor: Supervisor,
    server: EmbeddedPostgres | None,
    gridtalk: list[str],
    children_environment: dict[str, str],
) -> None:
    """Start the database where it is ours, and bring its tables up to date."""
    if server is not None:
        await supervisor.start(_postgres(server))
    if supervisor.is_stopping():
        return
    migrate = Child("migrate", [*gridtalk, "migrate"], children_environment, is_ready=_at_once)
    code = await supervisor.run_once(migrate)
    if code and not supervisor.is_stopping():
        raise SetupError(f"the migrations failed (exit code {code}); see the lines above")


def _web(
    name: str, plan: Plan, port: int, options: list[str], children_environment: dict[str, str]
) -> Child:
    """A web process on that port."""
    command = [sys.executable, "-m", "gridtalk.cli", "web", "--host", plan.host]
    return Child(
        name,
        [*command, "--port", str(port), *options],
        children_environment,
        is_ready=lambda: _answers(plan.host, port),
        stop_seconds=8,
    )


def _with_ready_file(
    name: str, command: list[str], children_environment: dict[str, str], folder: Path
) -> Child:
    """A child that makes a file once it is at work."""
    path = folder / f"{name}.ready"
    path.unlink(missing_ok=True)
    return Child(
        name,
        command,
        {**children_environment, "GRIDTALK_READY_FILE": str(path)},
        is_ready=lambda: _taken(path),
        before_start=lambda: path.unlink(missing_ok=True),
    )


def _postgres(server: EmbeddedPostgres) -> Child:
    async def is_ready() -> bool:
        return server.is_ready()

    server.make_ready_to_start()
    return Child(
        "postgres",
        server.command(),
        server.environment(),
        is_ready=is_ready,
        before_start=server.make_ready_to_start,
        stop_signal=signal.SIGINT,
        stop_seconds=60,
        hidden=("redirecting log output", "Future log output"),
    )


async def _at_once() -> bool:
    return True


async def _taken(path: Path) -> bool:
    return path.exists()


async def _answers(host: str, port: int) -> bool:
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  no bind
    try:
        _reader, writer = await asyncio.wait_for(asyncio.open_connection(reachable, port), 1)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def address(host: str, port: int) -> str:
    """The address for a browser on this machine."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104  no bind
    return f"http://{f'[{shown}]' if ':' in shown and '[' not in shown else shown}:{port}/"


def ports_differ(ports: Mapping[str, int]) -> None:
    """:class:`SetupError` where two options name one port: two servers would share it."""
    named: dict[int, str] = {}
    for option, port in ports.items():
        if other := named.get(port):
            raise SetupError(f"{other} and {option} are both {port}; give each a port of its own")
        named[port] = option


def port_check(
    host: str, port: int, *, option: str = "--port", host_option: str = "--host"
) -> None:
    """:class:`SetupError`, naming the option that mends it, where nobody could listen there."""
    try:
        family, kind, protocol, _name, where = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise SetupError(f"{host_option} {host} is no address of this machine: {error}") from error
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(where)
        except PermissionError as error:
            raise SetupError(
                f"port {port} may be opened by root alone; choose one above 1023 with {option}"
            ) from error
        except OSError as error:
            raise SetupError(
                f"port {port} on {host} is in use by another program, or not ours to open "
                f"({error.strerror}); choose another with {option}"
            ) from error


def public_address_set(host: str, port: int) -> None:
    """Set what the settings need to know of the address, where the operator did not."""
    public = os.environ.get("GRIDTALK_PUBLIC_URL") or address(host, port).rstrip("/")
    os.environ["GRIDTALK_PUBLIC_URL"] = public
    if not os.environ.get("GRIDTALK_ALLOWED_HOSTS"):
        name = urlsplit(public).hostname or ""
        names = ["localhost", "127.0.0.1", "[::1]", f"[{name}]" if ":" in name else name]
        os.environ["GRIDTALK_ALLOWED_HOSTS"] = ",".join(dict.fromkeys(filter(None, names)))


def _end_leftovers(folder: Path) -> None:
    """End the web and worker processes of an ``up`` that was killed with SIGKILL a moment ago."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(environment.SUPERVISED) == str(folder):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    found = [process for process in found if process.pid != os.getpid()]
    for wanted in (signal.SIGTERM, signal.SIGKILL):
        for process in found:
            try:
                process.send_signal(wanted)
            except psutil.NoSuchProcess:
                continue
        _gone, found = psutil.wait_procs(found, timeout=3)
