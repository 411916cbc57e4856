"""``gridtalk catalogue install``: the shipped basic files, libraries and device models."""

from pathlib import Path

import click

from gridtalk.cli import environment
from gridtalk.cli.maintain import schema_check
from gridtalk.cli.options import data_dir, data_dir_option


@click.group()
def catalogue() -> None:
    """What DeviceTalk makes code from."""


@catalogue.command()
@click.option(
    "--catalogue",
    "folder",
    envvar="GRIDTALK_CATALOGUE",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where basic files, libraries and device models lie (default: those shipped).",
)
@data_dir_option
def install(*, folder: Path | None) -> None:
    """Store the catalogue; what is stored as it is stays, and so do users' libraries."""
    with environment.database(data_dir(), role="catalogue"):
        environment.django_start()
        schema_check()
        from gridtalk.devicetalk.device_file import catalogue_folder
        from gridtalk.devicetalk.services.catalogue_install import catalogue_install

        done = catalogue_install(folder=catalogue_folder(folder))
        for name in done.stored:
            click.echo(f"stored: {name}")
        for name in done.kept:
            click.echo(f"left alone, a user uploaded it: {name}")
        click.echo(f"{len(done.stored)} stored, {len(done.present)} there already")
