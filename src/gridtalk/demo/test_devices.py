"""What the demo changes of the shipped meters is there to be changed; what they run on, too."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from gridtalk.demo import devices
from gridtalk.demo.devices import CPP, PYTHON, Wanted, environment_python
from gridtalk.devicetalk import engine
from gridtalk.devicetalk.device_file import catalogue_folder
from gridtalk.devicetalk.models import Device
from gridtalk.devicetalk.services.catalogue_install import catalogue_install
from gridtalk.devicetalk.testing import user_make


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


@pytest.mark.django_db
def test_its_devices_keep_an_address_that_is_not_the_shipped_ones(tmp_path: Path) -> None:
    """The meter that a device is bound to stays its meter, though the demo's port changes."""
    catalogue_install(folder=catalogue_folder())
    nobody = cast("Any", None)
    workshop = devices.Workshop(
        nobody, nobody, nobody, "http://127.0.0.1:8000", tmp_path, "UTC", "+2567", user_make(),
        tell=print,
    )  # fmt: skip
    first = {wanted: workshop._saved(wanted) for wanted in (PYTHON, CPP)}
    moved = replace(workshop, server_url="http://127.0.0.1:8001")
    for wanted, device in first.items():
        again = moved._saved(wanted)
        assert (again.pk, again.device_address) == (device.pk, device.device_address)
        files = engine.device_render(again).files.values()
        assert any(again.device_address.encode() in content for content in files)
    addresses = Device.objects.values_list("device_address", flat=True)
    assert len({*addresses}) == len(addresses)
