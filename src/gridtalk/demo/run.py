"""``gridtalk demo``: a living village against a real server, told in the terminal."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from gridtalk.cli import environment
from gridtalk.core.errors import SetupError
from gridtalk.demo.server import (
    MQTT_PORT,
    PhonesDoor,
    Server,
    free_port,
    operators_own_forget,
)

PORT = 8000


@click.command(name="demo")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help=f"Port of the pages "
              f"[default: {PORT}, or any that is free].")  # fmt: skip
@click.option(
    "--once", is_flag=True, help="End after the story: exit code 0, or 1 where it failed."
)
@click.option("--pace", default=2.0, show_default=True, type=click.FloatRange(0, 60),
              help="Seconds for an hour of the village.")  # fmt: skip
@click.option("--seed", default=1, show_default=True, help="Another seed, another day.")
def demo(*, port: int, once: bool, pace: float, seed: int) -> int:
    """Play a day of a small village against a server of its own."""
    data_dir = Path(os.environ.get("GRIDTALK_DATA_DIR", ".gridtalk")).absolute() / "demo"
    operators_own_forget()
    if port and free_port(port) != port:
        raise SetupError(f"port {port} is in use by another program; choose another with --port")
    phones = PhonesDoor(free_port(), secrets.token_urlsafe(24))
    server = Server(
        data_dir,
        port=port or free_port(PORT),
        mqtt_port=free_port(MQTT_PORT),
        environment={"GRIDTALK_DEMO_PHONES": phones.address},
    )
    click.echo(f"Starting a server for the village; its data are in {data_dir}")
    try:
        server.start()
        server.wait_ready()
        with _django(data_dir):
            from gridtalk.demo.day import day_play  # noqa: PLC0415  Django is set up only now

            return day_play(server, phones=phones, once=once, pace_s=pace, seed=seed)
    except KeyboardInterrupt:
        return 0
    finally:
        click.echo("Stopping the server …")
        server.stop()


def main(arguments: list[str]) -> int:
    """Run the command with these arguments; its exit code."""
    code = demo.main(args=arguments, prog_name="gridtalk demo", standalone_mode=False)
    return code if isinstance(code, int) else 0


@contextmanager
def _django(data_dir: Path) -> Iterator[None]:
    """Django on the database of the running server."""
    with environment.database(data_dir, role="demo"):
        environment.django_start()
        yield
