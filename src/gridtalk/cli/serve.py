"""``gridtalk web`` and ``gridtalk worker``: the two long-lived processes."""

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import click

from gridtalk.cli import environment, launch
from gridtalk.cli.options import data_dir, data_dir_option

#: How long the web process waits for requests under way when it ends.
WEB_STOP_SECONDS = 5


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
@click.option(
    "--iottalk", type=click.Choice(["v1", "v2"]), default=None,
    help="Serve only this protocol of devices, at the root of the port.",
)  # fmt: skip
@data_dir_option
def web(*, host: str, port: int, workers: int, iottalk: str | None) -> None:
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
        # Loaded before the processes fork: they share its memory and start at once.
        from gridtalk import asgi  # noqa: F401

        load = partial(load_application, f"/iottalk/{iottalk}") if iottalk else load_application
        _serve(host, port, workers, load)


def _serve(host: str, port: int, workers: int, load: Callable[[], Any]) -> None:
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
    ).serve(target_loader=load, wrap_loader=False)


def load_application(root: str = "") -> Callable[..., Any]:
    """What a web process serves, all of it or what is below ``root``.

    The process ends with its master, however that ends.
    """
    launch.die_with_parent(parent=os.getppid(), signal_number=signal.SIGTERM)
    from gridtalk.asgi import Rooted, application

    return Rooted(application, root) if root else application


@click.command()
@click.option(
    "--concurrency",
    default=4,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Background tasks at once.",
)
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
        from gridtalk.cli.working import work

        again = work(concurrency=concurrency, queues=list(queues) or None)
    # Threads of tasks which did not end in time would keep the process: it leaves without them.
    sys.stdout.flush()
    sys.stderr.flush()
    if again:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  ourselves
    os._exit(0)


def follow_supervisor() -> None:
    """As a child of ``up``: end when it ends, even by ``kill -9``."""
    if parent := os.environ.get("GRIDTALK_SUPERVISOR"):
        launch.die_with_parent(parent=int(parent), signal_number=signal.SIGTERM)
