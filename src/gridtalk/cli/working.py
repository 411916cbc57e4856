"""The inside of ``gridtalk worker``: ended in time, and revived together with the database.

procrastinate survives the loss of its database, but its pool of connections waits 1, 2, 4 … seconds
before it looks again. So we watch one connection ourselves and, when the database has gone and come
back, begin afresh: nothing is lost, since a row is the work and what ran is done again or swept.
"""

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import click
import psycopg
from procrastinate import PsycopgConnector
from procrastinate.contrib.django import app
from procrastinate.contrib.django.utils import connector_params

from gridtalk.core.collector import collector_tune

#: How long tasks under way may take to end when the worker is asked to.
STOP_SECONDS = 7
RECONNECT_SECONDS = 0.05
#: A database that vanished without closing the connection (a cable, a power cut) is asked.
ASK_EVERY_SECONDS = 10
ANSWER_SECONDS = 5


def work(*, concurrency: int, queues: list[str] | None) -> bool:
    """Work until a signal asks for the end (False), or the database was lost and is back (True)."""
    loop = asyncio.new_event_loop()
    # Not asyncio.run: it would wait for the threads of tasks that do not end.
    return loop.run_until_complete(_work(concurrency, queues))


async def _work(concurrency: int, queues: list[str] | None) -> bool:
    app.perform_import_paths()  # type: ignore[no-untyped-call]
    collector_tune()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    stopped = asyncio.create_task(stop.wait())
    if not await _database_back(stop):
        return False
    connector = _queue_connector()
    with app.replace_connector(connector) as connected:
        running = asyncio.create_task(_run(connected, concurrency, queues))
        watching = asyncio.create_task(_watch())
        await asyncio.wait({running, watching, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            click.echo(f"the database went away ({_reason(watching)}); waiting for it", err=True)
            return await _database_back(stop)
        if running.done():
            # It leaves by itself only after an error which it has logged, or which is raised here.
            running.result()
            return await _database_back(stop)
        running.cancel()
        await asyncio.wait({running}, timeout=STOP_SECONDS + 1)
        return False


def _queue_connector() -> PsycopgConnector:
    """The queue's own connections: their commits do not wait for the disk.

    What a crash of the database itself takes away (some milliseconds) are bells, which ring again,
    and marks that a task was done, which is then done again. The drains' connections are Django's
    and do wait. Measured at 50 texts a second: four of eight waits for the disk a text were these.
    """
    parameters = connector_params()
    asked = str(parameters.get("options") or "")
    parameters["options"] = f"{asked} -c synchronous_commit=off".strip()
    return PsycopgConnector(kwargs=parameters)


async def _run(connected: Any, concurrency: int, queues: list[str] | None) -> None:
    async with connected.open_async():
        _say_ready()
        await connected.run_worker_async(
            queues=queues,
            concurrency=concurrency + _checks(queues),
            install_signal_handlers=False,
            shutdown_graceful_timeout=STOP_SECONDS,
            # The net below NOTIFY: a notification that comes while the worker just looked is lost,
            # and a drain that waits is not rung for again. At 50 texts a second that happened once
            # in 20 s, and every text of that moment waited for this poll. One look: half a ms.
            fetch_job_polling_interval=0.1,
            delete_jobs="successful",
        )


def _checks(queues: list[str] | None) -> int:
    """One more task at once for each check that may run, so that no message waits for one."""
    from django.conf import settings

    return settings.CHECKS_AT_ONCE if queues is None or "checks" in queues else 0


async def _watch() -> None:
    """Returns or raises when the database has gone; not when a proxy closed an idle connection."""
    while True:
        async with await _connect() as connection:
            with contextlib.suppress(psycopg.Error, TimeoutError):
                await _hold(connection)


async def _hold(connection: psycopg.AsyncConnection[Any]) -> None:
    """Raises when the connection is lost."""
    loop = asyncio.get_running_loop()
    while True:
        spoke = asyncio.Event()
        handle = connection.fileno()
        loop.add_reader(handle, spoke.set)
        try:
            # The server says nothing on an idle connection, other than that it ends.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ASK_EVERY_SECONDS):
                    await spoke.wait()
        finally:
            loop.remove_reader(handle)
        async with asyncio.timeout(ANSWER_SECONDS):
            await connection.execute("SELECT 1")


async def _database_back(stop: asyncio.Event) -> bool:
    """Wait until the database answers; False where the end is asked for before."""
    while not stop.is_set():
        with contextlib.suppress(psycopg.Error):
            async with await _connect():
                return True
        await asyncio.sleep(RECONNECT_SECONDS)
    return False


async def _connect() -> psycopg.AsyncConnection[Any]:
    return await psycopg.AsyncConnection.connect(
        os.environ["GRIDTALK_DATABASE_URL"], autocommit=True, connect_timeout=ANSWER_SECONDS
    )


def _reason(task: asyncio.Task[None]) -> str:
    error = task.exception()
    told = str(error).strip().splitlines()
    return told[0] if told else type(error).__name__


def _say_ready() -> None:
    if path := os.environ.get("GRIDTALK_READY_FILE"):
        Path(path).touch()
