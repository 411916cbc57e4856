"""The command line, ``gridtalk``: an explicit list of commands, imported when they are called.

Nothing here imports Django, so that ``gridtalk decode`` starts at once.
"""

import os
import sys
from importlib import import_module
from typing import NoReturn

import click

from gridtalk.cli.options import data_dir_option
from gridtalk.core.errors import GridtalkError, SetupError

#: Every command: name → module and object.
COMMANDS = {
    "up": "gridtalk.cli.up:up",
    "web": "gridtalk.cli.serve:web",
    "worker": "gridtalk.cli.serve:worker",
    "devices": "gridtalk.cli.devices:devices",
    "broker-config": "gridtalk.cli.broker:broker_config",
    "migrate": "gridtalk.cli.maintain:migrate",
    "verify": "gridtalk.cli.maintain:verify",
    "catalogue": "gridtalk.cli.catalogue:catalogue",
    "cleanup": "gridtalk.cli.maintain:cleanup",
    "demo": "gridtalk.cli.maintain:demo",
    "simulate": "gridtalk.cli.simulate:simulate",
    "user": "gridtalk.cli.people:user",
    "apikey": "gridtalk.cli.people:apikey",
    "interface": "gridtalk.cli.people:interface",
    "meter": "gridtalk.cli.grid:meter",
    "decode": "gridtalk.cli.decode:decode",
    "generate": "gridtalk.cli.generate:generate",
    "exec": "gridtalk.cli.maintain:execute",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The names, in the order of the list."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, or None where there is none."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gridtalk")
@data_dir_option
def cli() -> None:
    """Gridtalk: a server for prepaid mini-grids and the devices on them."""


def fail(text: str, code: int) -> NoReturn:
    """Say one line on the error output and leave with that code."""
    click.echo(f"gridtalk: {text}", err=True)
    sys.exit(code)


def main() -> None:
    """The entry point: a mistake or a fault of the set-up is one clear line, exit code 1 or 2."""
    try:
        cli(standalone_mode=False)
    except SetupError as error:
        fail(str(error), 2)
    except GridtalkError as error:
        fail(str(error), 1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        fail("interrupted", 130)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except BrokenPipeError:
        # Whoever read our output has gone (``gridtalk decode | head``): nothing left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
