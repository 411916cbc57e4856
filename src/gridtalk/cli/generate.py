"""``gridtalk generate``: a device's code from its device file. No Django, no database."""

from pathlib import Path

import click


@click.command()
@click.argument("device_file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="A new or empty folder, or a zip where the name ends in .zip.",
)
@click.option(
    "--catalogue",
    envvar="GRIDTALK_CATALOGUE",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where basic files, libraries and device models lie (default: those shipped).",
)
def generate(*, device_file: Path, output: Path, catalogue: Path | None) -> None:
    """Make the code of the device that DEVICE_FILE (JSON) describes.

    Basic file, libraries and device model are named as in the catalogue, or by {"folder": "…"}
    relative to the file. A zip is replaced where it is there already; a folder is not.
    """
    from gridtalk.devicetalk.device_file import catalogue_folder, project_read
    from gridtalk.devicetalk.render import device_zip
    from gridtalk.devicetalk.ziptree import file_replace, folder_write

    project = project_read(device_file, catalogue_folder(catalogue))
    for note in project.notes:
        click.echo(f"note: {note}", err=True)
    rendered = project.render()
    if output.suffix.lower() == ".zip":
        file_replace(output, device_zip(device_name=project.device.name, rendered=rendered))
    else:
        folder_write(rendered.files, output)
    size = sum(map(len, rendered.files.values()))
    click.echo(f"{output}: {len(rendered.files)} files, {size} bytes")
    if project.basic_file.config.manual_url:
        click.echo(f"what to do with it: {project.basic_file.config.manual_url}")
