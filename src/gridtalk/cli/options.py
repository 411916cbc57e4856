"""Options which several commands share."""

import os
from pathlib import Path
from typing import Any, TypeVar

import click

_META = "gridtalk.data_dir"
DEFAULT_DATA_DIR = ".gridtalk"
F = TypeVar("F", bound=Any)


def _remember(ctx: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.find_root().meta[_META] = value


def data_dir_option(function: F) -> F:
    """``--data-dir``, before or after the subcommand; read it with :func:`data_dir`."""
    decorated: F = click.option(
        "--data-dir",
        metavar="FOLDER",
        expose_value=False,
        callback=_remember,
        help="Where the database, secrets and files are kept "
        f"(default: GRIDTALK_DATA_DIR, else ./{DEFAULT_DATA_DIR}).",
    )(function)
    return decorated


def data_dir() -> Path:
    """The data folder that the present command is to use, absolute."""
    given = click.get_current_context().find_root().meta.get(_META)
    chosen = given or os.environ.get("GRIDTALK_DATA_DIR") or DEFAULT_DATA_DIR
    return Path(chosen).expanduser().absolute()
