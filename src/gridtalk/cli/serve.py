"""``gridtalk web`` and ``gridtalk worker``: the two long-lived processes."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gridtalk.cli import environment, launch
from gridtalk.cli.options import data_dir, data_dir_option

#: How long the web process waits for requests under way when it ends.
WEB_STOP_SECONDS = 5
WORKER_STOP_SECONDS = 8
RECONNECT_SECONDS = 0.1


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(1, 65535),
    help="Port to listen on.",
)  # fmt: skip
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1, 64),
    help="Processes; each has 8 threads (GRIDTALK_WEB_THREADS).",
)  # fmt: skip
@data_dir_option
def web(*, host: str, port: int, workers: int) -> None:
    """Serve the pages, the API and the inbound addresses."""
    follow_supervisor()
    with environment.database(data_dir(), role="web"):
        if not os.environ.get(environment.SUPERVISED):
            from gridtalk.cli.maintain import schema_check
            from gridtalk.cli.up import port_check, public_address_set

            port_check(host, port)
            public_address_set(host, port)
            environment.django_start()
            schema_check()
        environment.django_start()
        _serve(host, port, workers)


def _serve(host: str, port: int, workers: int) -> None:
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces
    from granian.log import LogLevels

    Granian(
        "gridtalk.asgi:application",
        address=host,
        port=port,
        workers=workers,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
        workers_kill_timeout=WEB_STOP_SECONDS,
    ).serve(target_loader=load_application, wrap_loader=False)


def load_application() -> Callable[..., Any]:
    """What a web process serves; the process ends with its master, however that ends."""
    launch.die_with_parent(parent=os.getppid(), signal_number=signal.SIGTERM)
    from gridtalk.asgi import application

    return application


@click.command()
@click.option(
    "--concurrency", default=4, show_default=True, type=click.IntRange(1, 64),
    help="Background tasks at once.",
)  # fmt: skip
@click.option("--queue", "queues", multiple=True, help="Only this queue (again for more).")
@data_dir_option
def worker(*, concurrency: int, queues: tuple[str, ...]) -> None:
    """Do the background work: send, handle what came in, check."""
    follow_supervisor()
    with environment.database(data_dir(), role="worker"):
        environment.django_start()
        if not os.environ.get(environment.SUPERVISED):
            from gridtalk.cli.maintain import schema_check

            schema_check()
        asyncio.run(_work(concurrency, list(queues) or None))


async def _work(concurrency: int, queues: list[str] | None) -> None:
    """Run the worker; when the database goes away, wait for it and go on."""
    from procrastinate.contrib.django import app
    from procrastinate.exceptions import ConnectorException

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    running: asyncio.Task[None] | None = None

    def stop() -> None:
        stopping.set()
        if running is not None:
            running.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    while not stopping.is_set():
        if not await _database_answers():
            await asyncio.sleep(RECONNECT_SECONDS)
            continue
        _say_ready()
        connector = app.connector.get_worker_connector()  # type: ignore[attr-defined]
        with app.replace_connector(connector) as connected:
            running = asyncio.create_task(_run(connected, concurrency, queues))
            try:
                await running
            except ConnectorException as error:
                click.echo(f"the database went away ({_first_line(error)}); reconnecting", err=True)
                await asyncio.sleep(RECONNECT_SECONDS)
            except asyncio.CancelledError:
                return


async def _run(app: Any, concurrency: int, queues: list[str] | None) -> None:
    async with app.open_async():
        await app.run_worker_async(
            queues=queues,
            concurrency=concurrency,
            install_signal_handlers=False,
            shutdown_graceful_timeout=WORKER_STOP_SECONDS,
            # A poll is only the net below NOTIFY; a lost notification costs this long.
            fetch_job_polling_interval=1.0,
            delete_jobs="successful",
        )


async def _database_answers() -> bool:
    import psycopg

    try:
        connection = await psycopg.AsyncConnection.connect(
            os.environ["GRIDTALK_DATABASE_URL"], connect_timeout=3
        )
    except psycopg.Error:
        return False
    await connection.close()
    return True


def _first_line(error: BaseException) -> str:
    told = str(error.__cause__ or error).strip().splitlines()
    return told[0] if told else type(error).__name__


def _say_ready() -> None:
    if path := os.environ.get("GRIDTALK_READY_FILE"):
        Path(path).touch()


def follow_supervisor() -> None:
    """As a child of ``up``: end when it ends, even by ``kill -9``."""
    if parent := os.environ.get("GRIDTALK_SUPERVISOR"):
        launch.die_with_parent(parent=int(parent), signal_number=signal.SIGTERM)
