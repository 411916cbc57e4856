"""What the demo changes of the shipped meters is there to be changed; what they run on, too."""

import sys
from pathlib import Path

import pytest

from gridtalk.demo import devices
from gridtalk.demo.devices import CPP, PYTHON, Wanted, environment_python
from gridtalk.devicetalk.device_file import catalogue_folder


@pytest.mark.parametrize(("wanted", "suffix"), [(PYTHON, "py"), (CPP, "hpp")])
def test_the_changed_variables_are_the_librarys(wanted: Wanted, suffix: str) -> None:
    folder = catalogue_folder() / "libraries" / wanted.language / "sharedsolar"
    text = (folder / "examples" / f"gvs.{suffix}").read_text()
    for old, new in wanted.variables:
        assert text.count(old) == 1, wanted.name
        assert new not in text


def test_its_own_environment_gets_what_the_basic_file_needs_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "without make setup"))
    ran: list[list[str]] = []

    def quiet(command: list[str], *, cwd: Path) -> None:
        ran.append(command)

    def create(place: Path, *, with_pip: bool, clear: bool) -> None:
        place.mkdir()

    monkeypatch.setattr(devices, "_quiet", quiet)
    monkeypatch.setattr("venv.create", create)
    told: list[str] = []
    python = environment_python(tmp_path, tell=told.append)
    assert environment_python(tmp_path, tell=told.append) == python
    [command] = ran
    assert command[0] == str(python)
    required = Path(command[-1])
    assert required.is_absolute()
    assert required.read_text().startswith("iottalk-py==")
    assert len(told) == 1
