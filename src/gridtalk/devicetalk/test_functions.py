"""SA functions: read-only lines, copy on write, shared functions, history."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from gridtalk.core.errors import Conflict, NotFound, UserError
from gridtalk.devicetalk import models
from gridtalk.devicetalk.services import functions
from gridtalk.devicetalk.services.device_spec import spec_of
from gridtalk.devicetalk.services.devices import device_save
from gridtalk.devicetalk.services.functions import function_save
from gridtalk.devicetalk.services.functions_draft import Draft
from gridtalk.devicetalk.services.history import function_version_list, version_diff
from gridtalk.devicetalk.testing import (
    IDF_CODE,
    basic_file_make,
    df_make,
    df_type_make,
    draft,
    function_make,
    library_make,
    spec_make,
    user_make,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def basic_file() -> models.BasicFile:
    return basic_file_make()


def two_uses(basic_file: models.BasicFile, user: Any = None) -> models.Device:
    """A device whose features A and B use one function, which nothing else has."""
    function = function_make(basic_file, user=user)
    spec = spec_make(basic_file, df_make("A", function, "1"), df_make("B", function, "2"))
    device = device_save(user=user, spec=spec).device
    models.DeviceLibrary.objects.all().delete()
    return device


def uses(device: models.Device) -> dict[str, str]:
    rows = models.DeviceDfHasSaFunction.objects.filter(device_df__device=device)
    return {row.device_df.name: row.function.name for row in rows}


def test_a_new_function_begins_as_its_template(basic_file: models.BasicFile) -> None:
    library = library_make(basic_file, "dht", read="# ***[var_define]***\npin = 4\n")
    new = functions.function_new(
        basic_file=basic_file, df_type=df_type_make(), library_function=library.functions.get()
    )
    assert (new.name, new.library_ref) == ("read_dht", ("dht", "read"))
    assert new.var_setup == ("pin = 4",)
    assert new.code == (*IDF_CODE[:2], "", IDF_CODE[2])
    assert new.readonly_lines == (0, 1, 3)
    assert not models.SaFunction.objects.exists()


def test_any_text_survives(basic_file: models.BasicFile) -> None:
    lines = (
        "{{ 7 * 7 }}",
        "{% if x %}",
        "{*x*}",
        "\\n \\",
        "a\r",
        "程式 ü",
        "'\"`$(rm -rf /)",
        "\t",
    )
    function = function_make(basic_file, "evil", *lines)
    function.refresh_from_db()
    assert tuple(function.code) == (*IDF_CODE[:2], *lines, IDF_CODE[2])
    assert function.readonly_lines == [0, 1, 2 + len(lines)]


@pytest.mark.parametrize("line", ["a\nb", "a\x00", "\ud800"], ids=["break", "NUL", "surrogate"])
def test_a_line_that_cannot_be_stored_is_named(basic_file: models.BasicFile, line: str) -> None:
    with pytest.raises(UserError, match="line 3 of evil"):
        function_make(basic_file, "evil", line)
    with pytest.raises(UserError, match="line 1 of the variables of evil"):
        functions.function_create(
            user=None, basic_file=basic_file, df_type=df_type_make(),
            draft=Draft("evil", IDF_CODE, (line,)),
        )  # fmt: skip


READ_ONLY: dict[str, tuple[tuple[str, ...], tuple[int, ...] | None, str]] = {
    "changed": (("def hacked():", *IDF_CODE[1:]), None, "def {*df_name*}"),
    "missing": (IDF_CODE[:2], None, "return 0"),
    "other order": (IDF_CODE[::-1], None, "{*variable_setup*}"),
    "changed, with numbers": (("def hacked():", *IDF_CODE[1:]), (0, 1, 2), "def {*df_name*}"),
    "fewer numbers": (IDF_CODE, (0, 1), "return 0"),
    "more numbers": ((*IDF_CODE, "x"), (0, 1, 2, 3), "“x” is read-only"),
    "beyond the end": (IDF_CODE, (0, 1, 99), "no line 99"),
    "negative": (IDF_CODE, (-1, 0, 1), "could be read-only"),
    "empty": ((), (), "def {*df_name*}"),
}


@pytest.mark.parametrize(("code", "numbers", "words"), READ_ONLY.values(), ids=READ_ONLY)
def test_read_only_lines_are_held(
    basic_file: models.BasicFile,
    code: tuple[str, ...],
    numbers: tuple[int, ...] | None,
    words: str,
) -> None:
    bad = Draft("read", code, readonly_lines=numbers)
    with pytest.raises(UserError) as caught:
        functions.function_create(
            user=None, basic_file=basic_file, df_type=df_type_make(), draft=bad
        )
    assert words in str(caught.value)
    function = function_make(basic_file, "read", "    x = 1")
    with pytest.raises(UserError) as caught:
        function_save(user=None, function=function, draft=bad)
    assert words in str(caught.value)


def test_a_change_in_place_keeps_history(basic_file: models.BasicFile) -> None:
    function = function_make(basic_file, "read", "    x = 1")
    saved = function_save(user=None, function=function, draft=draft("read", "    x = 2"))
    assert saved.pk == function.pk
    function_save(user=None, function=function, draft=draft("read", "    x = 2"))  # no change
    new, old = function_version_list(function=saved)
    assert [new.number, old.number] == [2, 1]
    changed = [line for line in version_diff(old=old, new=new) if line[:3] in {"+  ", "-  "}]
    assert changed == ["-      x = 1", "+      x = 2"]
    functions.function_restore(user=None, function=saved, version=old)
    saved.refresh_from_db()
    assert saved.code == list(draft("read", "    x = 1").code)
    assert [row.number for row in function_version_list(function=saved)] == [3, 2, 1]
    with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
        models.SaFunctionVersion.objects.update(number=9)


def test_copy_on_write_of_what_a_device_library_has(basic_file: models.BasicFile) -> None:
    function = function_make(basic_file)
    device = device_save(
        user=None, spec=spec_make(basic_file, df_make("A", function, "pin = 1"))
    ).device
    saved = function_save(
        user=None, function=function, draft=draft("read", "    x = 2"), device=device
    )
    assert saved.pk != function.pk
    function.refresh_from_db()
    assert function.code == list(IDF_CODE)
    library = models.DeviceLibrary.objects.get()
    assert list(library.functions.all()) == [saved]
    row = models.DeviceDfHasSaFunction.objects.get()
    assert (row.function, row.var_setup, row.selected) == (saved, "pin = 1", True)
    assert list(device.functions.all()) == [saved]
    # The history goes on in the copy.
    assert [row.number for row in function_version_list(function=saved)] == [2, 1]
    # Saved again: the device library has it since, so it is copied again.
    again = function_save(user=None, function=saved, draft=draft("read", "    x"), device=device)
    assert again.pk != saved.pk
    assert [row.number for row in function_version_list(function=again)] == [3, 2, 1]
    device_save(user=None, device=device, spec=spec_of(device))
    assert list(library.functions.all()) == [again]


def test_another_devices_or_users_function_is_copied(basic_file: models.BasicFile) -> None:
    amina = user_make()
    function = function_make(basic_file)
    one = models.Device.objects.create(
        name="one", basic_file=basic_file, user=amina, dm_name="d", server_url="http://h"
    )
    one.functions.add(function)
    copy = function_save(user=amina, function=function, draft=draft("read", "  x"), device=one)
    assert (copy.pk != function.pk, copy.user) == (True, amina)
    two = models.Device.objects.create(
        name="two", basic_file=basic_file, user=amina, dm_name="d", server_url="http://h"
    )
    two.functions.add(copy)
    third = function_save(user=amina, function=copy, draft=draft("read", "  y"), device=two)
    assert third.pk != copy.pk
    assert list(one.functions.all()) == [copy]
    with pytest.raises(NotFound):
        function_save(user=user_make("salif"), function=copy, draft=draft("read", "  z"))


def test_a_shared_function_asks(basic_file: models.BasicFile) -> None:
    device = two_uses(basic_file)
    function = device.functions.get()
    with pytest.raises(functions.FunctionShared, match="used by A, B") as caught:
        function_save(user=None, function=function, draft=draft("read", " x"), device=device)
    assert caught.value.features == ("A", "B")
    # Its name or variables alone change nothing of the code.
    function_save(user=None, function=function, draft=draft("renamed"), device=device)
    assert uses(device) == {"A": "renamed", "B": "renamed"}


def test_a_shared_function_changed_for_all(basic_file: models.BasicFile) -> None:
    device = two_uses(basic_file)
    function = device.functions.get()
    saved = function_save(
        user=None, function=function, draft=draft("read", " x"), device=device, shared="all"
    )
    assert saved.pk == function.pk
    assert uses(device) == {"A": "read", "B": "read"}


def test_a_shared_function_saved_as_new(basic_file: models.BasicFile) -> None:
    device = two_uses(basic_file)
    function = device.functions.get()
    df = device.devicedf_set.get(name="B")
    with pytest.raises(Conflict, match="function read already"):
        function_save(
            user=None, function=function, draft=draft("read", " x"), device=device, shared="new",
            df_id=df.pk,
        )  # fmt: skip
    saved = function_save(
        user=None, function=function, draft=draft("mine", " x"), device=device, shared="new",
        df_id=df.pk,
    )  # fmt: skip
    assert uses(device) == {"A": "read", "B": "mine"}
    assert set(device.functions.all()) == {function, saved}
    function.refresh_from_db()
    assert function.code == list(IDF_CODE)


def test_names_are_unique_in_a_device(basic_file: models.BasicFile) -> None:
    device = two_uses(basic_file)
    with pytest.raises(Conflict, match="function read already"):
        function_make(basic_file, "read", device=device)
    other = function_make(basic_file, "other", device=device)
    with pytest.raises(Conflict, match="function read already"):
        function_save(user=None, function=other, draft=draft("read"), device=device)


def test_deleting_is_refused_while_a_feature_uses_it(basic_file: models.BasicFile) -> None:
    device = two_uses(basic_file)
    function = device.functions.get()
    with pytest.raises(Conflict, match="used by A, B"):
        functions.function_delete(user=None, function=function, device=device)
    unused = function_make(basic_file, "unused", device=device)
    functions.function_delete(user=None, function=unused, device=device)
    assert list(device.functions.all()) == [function]
    with pytest.raises(NotFound):
        functions.function_delete(user=None, function=unused, device=device)
    at_a, at_b = device.devicedf_set.order_by("name")
    with pytest.raises(Conflict, match="used by B;"):
        functions.function_delete(user=None, function=function, device=device, df_id=at_a.pk)
    models.DeviceDfHasSaFunction.objects.filter(device_df=at_b).delete()
    functions.function_delete(user=None, function=function, device=device, df_id=at_a.pk)
    assert uses(device) == {}


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb"])
def test_names_that_will_not_do(basic_file: models.BasicFile, name: str) -> None:
    with pytest.raises(UserError, match="name"):
        function_make(basic_file, name)
