"""Saving devices: what is refused, whose they are, versions, what the database holds."""

import threading
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError, connection, transaction

from gridtalk.core import clock
from gridtalk.core.errors import Conflict, NotAllowed, NotFound, UserError
from gridtalk.devicetalk import models, selectors
from gridtalk.devicetalk.services import devices
from gridtalk.devicetalk.services.cleanup import cleanup
from gridtalk.devicetalk.services.device_restore import device_restore
from gridtalk.devicetalk.services.device_spec import Chosen, Df, Use, spec_of
from gridtalk.devicetalk.services.devices_lock import DeviceChanged
from gridtalk.devicetalk.services.functions import function_save
from gridtalk.devicetalk.services.history import (
    device_version_list,
    function_version_list,
    version_diff,
)
from gridtalk.devicetalk.testing import (
    IDF_INT,
    ODF_FLOAT,
    basic_file_make,
    device_make,
    df_make,
    df_type_make,
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
def basic_file() -> models.BasicFile:
    return basic_file_make()


@pytest.fixture
def amina() -> Any:
    return user_make()


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"name": "  "}, "its name is missing"),
    "a long name": ({"name": "x" * 93}, "93 characters; at most 92"),
    "a name with a line break": ({"name": "a\nb"}, "cannot be printed"),
    "no model": ({"dm_name": ""}, "device model's name is missing"),
    "no server": ({"server_url": ""}, "server's address is missing"),
    "no http": ({"server_url": "javascript:alert(1)"}, "begin it with http"),
    "a broken address": ({"server_url": "http://[::1"}, "begin it with http"),
    "a long address": ({"device_address": "x" * 51}, "51 characters; at most 50"),
    "no pause": ({"push_interval_s": 0.0}, "push interval"),
    "an endless pause": ({"push_interval_s": float("inf")}, "push interval"),
    "no number": ({"push_interval_s": float("nan")}, "push interval"),
    "no features": ({"dfs": ()}, "no features"),
    "no function": ({"dfs": (Df("Light", IDF_INT),)}, "Light has no function"),
    "a feature twice": ({"dfs": (df_make("A"), df_make("A"))}, r"feature A \(idf\) is there twice"),
    "an unknown function": ({"functions": (987654,)}, "no function 987654"),
    "an unknown library": ({"libraries": (Chosen("L", 987654),)}, "no library L987654"),
    "an unknown device library": ({"libraries": (Chosen("D", 1),)}, "no library D1 "),
    "a library twice": ({"libraries": (Chosen("L", 1), Chosen("L", 1))}, "library L1 is there twi"),
    "read-only lines beyond": ({"gvs_readonly_lines": (0,)}, "fewer lines"),
    "read-only lines far beyond": ({"gvs_readonly_lines": (5,)}, "fewer lines"),
    "read-only lines before": ({"gvs_readonly_lines": (-1,)}, "fewer lines"),
    "endless variables": ({"global_var_setup": "x" * 200_001}, "more than 200,000 characters"),
    "a NUL": ({"global_var_setup": "a\x00"}, "global variables have a NUL"),
}


@pytest.mark.parametrize(("fields", "words"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(
    basic_file: models.BasicFile, fields: dict[str, Any], words: str
) -> None:
    function = function_make(basic_file)
    spec = replace(spec_make(basic_file, df_make("Light", function)), **fields)
    with pytest.raises(UserError, match=words):
        devices.device_save(user=None, spec=spec)
    assert not models.Device.objects.exists()
    assert not models.DeviceLibrary.objects.exists()


def test_uses_that_are_wrong(basic_file: models.BasicFile) -> None:
    one, two = function_make(basic_file, "one"), function_make(basic_file, "two")
    twin = function_make(basic_file, "two", "    twin()")
    spec = spec_make(
        basic_file,
        Df("A", IDF_INT, uses=(Use(one.pk, "", True), Use(two.pk, "", True))),
        Df("B", ODF_FLOAT, uses=(Use(one.pk, "", True),)),
        functions=(twin.pk,),
        server_url="",
    )
    with pytest.raises(UserError) as caught:
        devices.device_save(user=None, spec=spec)
    for words in ("A has 2 selected", "B cannot use one", "two functions are called two",
                  "server's address is missing"):  # fmt: skip
        assert words in str(caught.value)


def test_a_name_at_its_longest(basic_file: models.BasicFile) -> None:
    spec = spec_make(basic_file, df_make("A", function_make(basic_file)), name="x" * 92)
    assert len(devices.device_save(user=None, spec=spec).device_library.name) == 100


def test_the_address_is_new_unless_kept(basic_file: models.BasicFile) -> None:
    device = device_make(basic_file)
    assert len(device.device_address) == 36
    spec = replace(spec_of(device), device_address="")
    assert devices.device_save(user=None, spec=spec, device=device).device.device_address == (
        device.device_address
    )
    clone = devices.device_clone(user=None, device=device, name="Clone").device
    assert clone.device_address != device.device_address
    assert set(clone.functions.all()) == set(device.functions.all())


def test_whose_devices(basic_file: models.BasicFile, amina: Any) -> None:
    salif, admin = user_make("salif"), user_make("root", group="admin")
    device = device_make(basic_file, amina)
    for call in (
        lambda: selectors.device_get(user=salif, device_id=device.pk),
        lambda: devices.device_delete(user=salif, device=device),
        lambda: devices.device_clone(user=salif, device=device, name="mine"),
        lambda: devices.device_save(user=salif, spec=spec_of(device), device=device),
        lambda: selectors.selection_get(user=salif, chosen=[Chosen("D", library_of(device).pk)]),
    ):
        with pytest.raises(NotFound):
            call()
    # Another user's function is no way round it.
    with pytest.raises(UserError, match="not yours"):
        devices.device_save(user=salif, spec=replace(spec_of(device), name="thief"))
    with pytest.raises(NotAllowed):
        devices.device_share(user=amina, device=device)
    devices.device_share(user=admin, device=device)
    device.refresh_from_db()
    assert library_of(device).user is None
    assert selectors.device_get(user=salif, device_id=device.pk) == device
    with pytest.raises(NotAllowed, match="clone it"):
        devices.device_save(user=salif, spec=spec_of(device), device=device)
    clone = devices.device_clone(user=salif, device=device, name="mine").device
    assert (clone.user, library_of(clone).user) == (salif, salif)
    assert [row.name for row in selectors.device_list(user=salif)] == ["mine", "Plant"]
    assert [row.name for row in selectors.device_list(user=amina, search="pla")] == ["Plant"]


def test_a_global_library_is_shadowed_by_ones_own(basic_file: models.BasicFile, amina: Any) -> None:
    device_make(basic_file)
    mine = device_make(basic_file, amina)
    choices = selectors.library_choice_list(user=amina, basic_file=basic_file)
    assert [row.chosen.id for row in choices] == [library_of(mine).pk]
    with pytest.raises(Conflict, match="everybody has a device Plant"):
        devices.device_share(user=None, device=mine)


def test_two_devices_of_one_name(basic_file: models.BasicFile, amina: Any) -> None:
    device_make(basic_file, amina)
    with pytest.raises(Conflict, match="you have a device Plant"):
        device_make(basic_file, amina)
    device_make(basic_file_make("other"), amina)
    device_make(basic_file, user_make("salif"))


def test_what_somebody_else_saved_meanwhile_is_shown(basic_file: models.BasicFile) -> None:
    device = device_make(basic_file)
    mine = spec_of(device)
    devices.device_save(
        user=None, spec=replace(mine, push_interval_s=5.0), device=device, revision=1
    )
    with pytest.raises(DeviceChanged) as caught:
        devices.device_save(user=None, spec=mine, device=device, revision=1)
    assert [line for line in caught.value.difference if line.startswith(("+ ", "- "))] == [
        '- "push_interval": 1.0,', '+ "push_interval": 5.0,'
    ]  # fmt: skip
    devices.device_save(user=None, spec=mine, device=device, revision=2)


def test_versions_and_restoring(basic_file: models.BasicFile) -> None:
    device = device_make(basic_file)
    function = device.functions.get()
    changed = function_save(
        user=None, function=function, draft=draft("read", "    x = 2"), device=device
    )
    assert changed.pk != function.pk  # it is in the device library: copied on write
    second, first = device_version_list(device=device)
    assert (first.number, second.number) == (1, 2)
    assert "+        x = 2" in version_diff(old=first, new=second)
    assert version_diff(old=first, new=first) == []
    device_restore(user=None, device=device, version=first)
    restored = device.functions.get()
    assert (restored.code, restored.pk in {function.pk, changed.pk}) == (function.code, False)
    assert library_of(device).functions.get() == restored
    assert device.versions.count() == 3
    device_restore(user=None, device=device, version=second)
    again = device.functions.get()
    assert again.code == list(draft("read", "    x = 2").code)
    history = function_version_list(function=again)
    assert [row.number for row in history] == [4, 3, 2, 1]
    device_restore(user=None, device=device, version=device_version_list(device=device)[0])
    assert device.functions.get() == again  # as it was already
    with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
        models.DeviceVersion.objects.update(number=9)


def test_read_only_variables_of_a_library(basic_file: models.BasicFile) -> None:
    dht = library_make(
        basic_file, "dht", gvs="# ***[gvs]***\nimport dht\nd = 1\n# ***[gvsro]***\n[0]"
    )
    function = function_make(basic_file)
    spec = spec_make(
        basic_file, df_make("A", function), libraries=(Chosen("L", dht.pk),),
        global_var_setup="import os\nd = 2", gvs_readonly_lines=(0,),
    )  # fmt: skip
    with pytest.raises(UserError, match="read-only line “import dht” of dht"):
        devices.device_save(user=None, spec=spec)
    good = replace(spec, global_var_setup="import dht\nd = 2")
    devices.device_save(user=None, spec=good)
    found = selectors.selection_get(user=None, chosen=[Chosen("L", dht.pk)])
    assert found.global_variables.text == "import dht\nd = 1"
    assert found.global_variables.readonly_lines == (0,)


def test_deleting(basic_file: models.BasicFile, amina: Any) -> None:
    device = device_make(basic_file, amina)
    library = library_of(device)
    devices.device_delete(user=amina, device=device)
    library.refresh_from_db()
    assert library.functions.count() == 1
    assert not models.DeviceVersion.objects.exists()


CONSTRAINTS: dict[str, Any] = {
    "a library and a device library": lambda d: models.DeviceHasLibrary.objects.create(
        device=d, order=0, device_library=library_of(d),
        library=models.Library.objects.create(name="l", basic_file=d.basic_file)),
    "neither": lambda d: models.DeviceHasLibrary.objects.create(device=d, order=0),
    "two selected": lambda d: models.DeviceDfHasSaFunction.objects.create(
        device_df=d.devicedf_set.get(), selected=True,
        function=models.SaFunction.objects.create(name="x", function_type=df_type_make())),
    "two selected in a library": lambda d: models.DeviceLibraryDfHasSaFunction.objects.create(
        device_library_df=library_of(d).devicelibrarydf_set.get(), selected=True,
        function=models.SaFunction.objects.create(name="x", function_type=df_type_make())),
    "a feature twice": lambda d: models.DeviceDf.objects.create(
        device=d, name="Light", df_type=df_type_make()),
    "a library's feature twice": lambda d: models.DeviceLibraryDf.objects.create(
        device_library=library_of(d), name="Light", df_type=df_type_make()),
    "two global libraries of a name": lambda d: models.DeviceLibrary.objects.create(
        name=d.library_name, basic_file=d.basic_file),
    "a type twice": lambda _: models.DfType.objects.create(df_type="idf", params=["int"]),
    "an unknown type": lambda _: models.DfType.objects.create(df_type="xdf", params=[]),
    "no push interval": lambda _: models.Device.objects.update(push_interval=0),
    "an empty name": lambda _: models.Device.objects.update(name=""),
}  # fmt: skip


@pytest.mark.parametrize("make", CONSTRAINTS.values(), ids=CONSTRAINTS)
def test_the_database_refuses(basic_file: models.BasicFile, make: Any) -> None:
    device = device_make(basic_file)
    with pytest.raises(IntegrityError), transaction.atomic():
        make(device)


@pytest.mark.django_db(transaction=True)
def test_two_savings_at_once_of_one_name() -> None:
    basic_file = basic_file_make()
    function = function_make(basic_file)
    spec = spec_make(basic_file, df_make("A", function))
    results = at_once(*[partial(devices.device_save, user=None, spec=spec)] * 2)
    assert [type(failure) for failure in failures(results)] == [Conflict]
    assert models.DeviceLibrary.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_cleaning_takes_no_function_of_a_device_that_is_being_saved() -> None:
    basic_file = basic_file_make()
    with time_machine.travel(clock.now() - timedelta(days=2)):
        function = function_make(basic_file)
    spec = spec_make(basic_file, df_make("A", function))
    cleaned: list[int] = []

    def clean() -> None:
        cleaned.append(cleanup().functions)
        connection.close()

    with transaction.atomic():
        devices.device_save(user=None, spec=spec)
        thread = threading.Thread(target=clean)
        thread.start()
        thread.join(timeout=20)
    assert cleaned == [0]
    assert models.Device.objects.get().functions.get() == function
