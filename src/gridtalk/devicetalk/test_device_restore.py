"""Taking up an earlier version of a device: whose libraries it may take, and what is said."""

from functools import partial
from typing import Any

import pytest

from gridtalk.core.errors import UserError
from gridtalk.devicetalk import models
from gridtalk.devicetalk.services import devices, libraries
from gridtalk.devicetalk.services.device_restore import device_restore
from gridtalk.devicetalk.services.device_spec import Chosen, spec_of
from gridtalk.devicetalk.services.devices_lock import DeviceChanged
from gridtalk.devicetalk.services.functions import function_save
from gridtalk.devicetalk.services.history import device_version_list
from gridtalk.devicetalk.testing import (
    basic_file_make,
    device_make,
    df_make,
    draft,
    function_make,
    library_make,
    library_of,
    spec_make,
    user_make,
)
from gridtalk.testing_together import at_once, failures

pytestmark = pytest.mark.django_db


@pytest.fixture
def amina() -> Any:
    return user_make()


def used_then(user: Any, *chosen: Chosen) -> models.Device:
    """A device that chose these libraries at its first version, and nothing now."""
    basic_file = models.BasicFile.objects.get()
    spec = spec_make(basic_file, df_make("A", function_make(basic_file, "a", user=user)), name="x")
    with_libraries = spec_make(
        basic_file, df_make("A", function_make(basic_file, "a", user=user)), name="x",
        libraries=chosen,
    )  # fmt: skip
    device = devices.device_save(user=user, spec=with_libraries).device
    return devices.device_save(user=user, spec=spec, device=device).device


def first_of(device: models.Device) -> models.DeviceVersion:
    return device_version_list(device=device)[-1]


def test_nobody_elses_device_library_is_taken(amina: Any) -> None:
    """Not by its name, whoever restores; the owner's of that name comes before everybody's."""
    basic_file = basic_file_make()
    base = device_make(basic_file, amina, name="base")
    device = used_then(amina, Chosen("D", library_of(base).pk))
    bens = device_make(basic_file, user_make("ben"), name="base")
    libraries.device_library_delete(user=amina, device_library=library_of(base))
    admin = user_make("root", group="admin")
    for user in (amina, admin):
        with pytest.raises(UserError, match="base_library, save a device base again"):
            device_restore(user=user, device=device, version=first_of(device))
    everybodys = device_make(basic_file, name="base")
    for owner in (everybodys, base):
        devices.device_save(user=owner.user, spec=spec_of(owner), device=owner)
        taken = device_restore(user=admin, device=device, version=first_of(device))
        chosen = taken.device.devicehaslibrary_set.get().device_library
        assert chosen == library_of(owner)
        functions = taken.device_library.functions
        assert not functions.filter(pk__in=library_of(bens).functions.all()).exists()


def test_a_device_library_of_that_id_is_anothers(amina: Any) -> None:
    basic_file = basic_file_make()
    bens = library_of(device_make(basic_file, user_make("ben"), name="base"))
    device = used_then(None, Chosen("D", library_of(device_make(basic_file, name="base")).pk))
    version = first_of(device)
    version.snapshot["libraries"] = [{"kind": "D", "id": bens.pk, "name": "none"}]
    with pytest.raises(UserError, match="device library none"):
        device_restore(user=None, device=device, version=version)


def test_what_is_gone_is_named_with_what_brings_it_back(amina: Any) -> None:
    basic_file = basic_file_make()
    dht, base = library_make(basic_file, "dht", user=amina), device_make(basic_file, amina, "base")
    device = used_then(amina, Chosen("L", dht.pk), Chosen("D", library_of(base).pk))
    for row in (base, device):
        libraries.device_library_delete(user=amina, device_library=library_of(row))
    libraries.library_delete(user=amina, library=dht)
    with pytest.raises(UserError) as caught:
        device_restore(user=amina, device=device, version=first_of(device))
    assert str(caught.value) == (
        "what x used then is gone: library dht, upload it again; device library base_library, "
        "save a device base again, which makes it"
    )


@pytest.mark.django_db(transaction=True)
def test_restoring_and_saving_a_function_at_once() -> None:
    """Both hold the device first: one is told, neither waits for the other for ever."""
    device = device_make(basic_file_make())
    function = device.functions.get()
    for text in ("1", "2", "3"):
        number = device.revision
        results = at_once(
            partial(device_restore, user=None, device=device, version=first_of(device),
                    revision=number),
            partial(function_save, user=None, function=function, draft=draft("read", f"    {text}"),
                    device=models.Device.objects.get(), revision=number),
        )  # fmt: skip
        assert [type(failure) for failure in failures(results)] == [DeviceChanged]
        device.refresh_from_db()
        function = device.functions.get()
        assert device.revision == number + 1
