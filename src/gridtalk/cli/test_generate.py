"""``gridtalk generate``: folders, zips, and neither Django nor a database."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

from click.testing import CliRunner

from gridtalk.cli.generate import generate
from gridtalk.devicetalk.device_file import catalogue_folder, project_read
from gridtalk.devicetalk.render import device_zip
from gridtalk.devicetalk.tree import InvalidTree

CATALOGUE = catalogue_folder()


def test_generate_a_folder_and_a_zip(tmp_path: Path) -> None:
    device = str(CATALOGUE / "devices/dummy-python.json")
    for name in ("one.zip", "two.ZIP", "folder"):
        done = CliRunner().invoke(generate, [device, "-o", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
    packed = (tmp_path / "one.zip").read_bytes()
    assert packed == (tmp_path / "two.ZIP").read_bytes()
    project = project_read(Path(device), CATALOGUE)
    assert packed == device_zip(device_name="Dummy 1", rendered=project.render())
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        for name in archive.namelist():
            path = tmp_path / "folder" / name.removeprefix("Dummy_1/")
            assert path.read_bytes() == archive.read(name)
    again = CliRunner().invoke(generate, [device, "-o", str(tmp_path / "folder")])
    assert isinstance(again.exception, InvalidTree)
    assert "not empty" in str(again.exception)


def test_generate_needs_no_django() -> None:
    code = (
        "import sys; from gridtalk.devicetalk import device_file, render; "
        "import gridtalk.cli.generate; "
        "print([m for m in sys.modules if m.split('.')[0] in ('django', 'psycopg')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
