"""``gridtalk up``: PostgreSQL, migrations, web and worker in one process tree."""

import asyncio
import os
import signal
import socket
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import click
import psutil

from gridtalk.cli import environment
from gridtalk.cli.options import data_dir, data_dir_option
from gridtalk.cli.postgres import EmbeddedPostgres
from gridtalk.cli.supervisor import Child, ChildFailed, Supervisor, stdout_is_utf8
from gridtalk.core.errors import SetupError

DEFAULT_PORT = 8000
DEFAULT_HOST = "127.0.0.1"


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
@data_dir_option
def up(*, host: str, port: int, web_workers: int, concurrency: int) -> None:
    """Run everything: database (unless GRIDTALK_DATABASE_URL is set), web server, worker."""
    folder = data_dir()
    environment.folder_prepare(folder)
    lock = environment.folder_lock(folder, "up")
    assert lock is not None
    try:
        _end_leftovers(folder)
        port_check(host, port)
        public_address_set(host, port)
        lock.sign("up", public_url=os.environ["GRIDTALK_PUBLIC_URL"])
        server = None
        if environment.database_url():
            environment.database_check(environment.database_url())
        else:
            server = EmbeddedPostgres(folder)
            server.check()
            if not server.pgdata.exists():
                click.echo(f"gridtalk | first start: making the database in {folder}")
            server.initialise()
            environment.embedded_set(server)
        stdout_is_utf8()
        asyncio.run(_run(server, folder, host, port, web_workers, concurrency))
    except ChildFailed as error:
        raise SetupError(str(error)) from error
    finally:
        lock.release()


async def _run(
    server: EmbeddedPostgres | None,
    folder: Path,
    host: str,
    port: int,
    web_workers: int,
    concurrency: int,
) -> None:
    began = time.monotonic()
    supervisor = Supervisor()
    supervisor.watch_signals()
    gridtalk = [sys.executable, "-m", "gridtalk.cli"]
    children_environment = {
        **os.environ,
        environment.SUPERVISED: str(folder),
        "GRIDTALK_SUPERVISOR": str(os.getpid()),
        "PYTHONUNBUFFERED": "1",
    }
    worker_ready = folder / "worker.ready"
    worker_ready.unlink(missing_ok=True)
    try:
        if server is not None:
            await supervisor.start(_postgres(server))
        migrate = Child("migrate", [*gridtalk, "migrate"], children_environment, is_ready=_at_once)
        code = 0 if supervisor.is_stopping() else await supervisor.run_once(migrate)
        if code and not supervisor.is_stopping():
            raise SetupError(f"the migrations failed (exit code {code}); see the lines above")
        web = Child(
            "web",
            [*gridtalk, "web", "--host", host, "--port", str(port), "--workers", str(web_workers)],
            children_environment,
            is_ready=lambda: _answers(host, port),
            stop_seconds=8,
        )
        worker = Child(
            "worker",
            [*gridtalk, "worker", "--concurrency", str(concurrency)],
            {**children_environment, "GRIDTALK_READY_FILE": str(worker_ready)},
            is_ready=lambda: _taken(worker_ready),
            before_start=lambda: worker_ready.unlink(missing_ok=True),
        )
        if not supervisor.is_stopping():
            # The worker is ended after the web process: it is the earlier one of the list.
            await asyncio.gather(supervisor.start(worker), supervisor.start(web))
        if not supervisor.is_stopping():
            supervisor.say(
                f"Gridtalk runs at {address(host, port)} (started in "
                f"{time.monotonic() - began:.1f} s). Ctrl-C ends it."
            )
        await supervisor.wait()
        supervisor.say("stopping")
    finally:
        await supervisor.stop()
    supervisor.say("stopped")


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


def port_check(host: str, port: int) -> None:
    """:class:`SetupError` where the web server could not listen there."""
    try:
        family, kind, protocol, _name, where = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise SetupError(f"--host {host} is no address of this machine: {error}") from error
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(where)
        except PermissionError as error:
            raise SetupError(
                f"port {port} may be opened by root alone; choose one above 1023 with --port"
            ) from error
        except OSError as error:
            raise SetupError(
                f"port {port} on {host} is in use by another program, or not ours to open "
                f"({error.strerror}); choose another with --port"
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
