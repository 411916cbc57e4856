"""The demo's devices, saved in a workshop that has the whole catalogue."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from gridtalk.demo import devices
from gridtalk.demo.devices import CPP, PYTHON
from gridtalk.devicetalk import engine
from gridtalk.devicetalk.device_file import catalogue_folder
from gridtalk.devicetalk.models import Device
from gridtalk.devicetalk.services.catalogue_install import catalogue_install
from gridtalk.devicetalk.testing import user_make


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
