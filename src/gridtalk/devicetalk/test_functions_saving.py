"""A function saved in a device saves the device: revision, version, library; nobody is overrun."""

from functools import partial

import pytest

from gridtalk.core.errors import Conflict, NotFound, UserError
from gridtalk.devicetalk import engine, models
from gridtalk.devicetalk.device_file_schema import DeviceDocument
from gridtalk.devicetalk.services import devices, functions
from gridtalk.devicetalk.services.device_spec import Df, Use, spec_of
from gridtalk.devicetalk.services.devices_lock import DeviceChanged
from gridtalk.devicetalk.services.documents import device_document_save
from gridtalk.devicetalk.services.documents_read import device_document
from gridtalk.devicetalk.services.functions import function_save
from gridtalk.devicetalk.services.history import device_version_list, function_version_list
from gridtalk.devicetalk.testing import (
    IDF_CODE,
    ODF_FLOAT,
    basic_file_make,
    device_make,
    df_make,
    df_type_make,
    draft,
    function_make,
    library_of,
    spec_make,
    user_make,
)
from gridtalk.testing_together import at_once, failures

pytestmark = pytest.mark.django_db


@pytest.fixture
def device() -> models.Device:
    return device_make(basic_file_make())


def coded(document: DeviceDocument, lines: dict[str, str]) -> DeviceDocument:
    """The document with these lines of its functions replaced."""
    functions = [
        part.model_copy(update={
            "code": "\n".join(lines.get(line, line) for line in part.code or []).split("\n"),
            "readonly_lines": None,
        })
        for part in document.functions
    ]  # fmt: skip
    return document.model_copy(update={"functions": functions})


def test_a_function_saved_in_a_device_saves_the_device(device: models.Device) -> None:
    document = device_document(device=device)
    function = device.functions.get()
    saved = function_save(
        user=None, function=function, draft=draft("read", "    x = 2"), device=device, revision=1
    )
    assert device.revision == 2
    device.refresh_from_db()
    assert device.revision == 2
    newest = device_version_list(device=device)[0]
    assert (newest.number, newest.snapshot["functions"][0]["code"]) == (2, saved.code)
    assert library_of(device).functions.get() == saved
    # Who began before is shown what was saved, and overwrites nothing.
    with pytest.raises(DeviceChanged) as caught:
        device_document_save(user=None, document=document, device=device, revision=1)
    assert "+        x = 2" in caught.value.difference
    assert device.functions.get() == saved


def test_saving_what_is_there_already_changes_nothing(device: models.Device) -> None:
    function = device.functions.get()
    same = function_save(user=None, function=function, draft=draft("read"), device=device)
    assert (same, device.revision) == (function, 1)
    assert device.versions.count() == 1


def test_all_that_changes_a_devices_functions_saves_it(device: models.Device) -> None:
    basic_file, user = device.basic_file, None
    made = function_make(basic_file, "more", device=device)
    assert device.revision == 2
    saved = function_save(user=user, function=made, draft=draft("more", " y"), device=device)
    first = function_version_list(function=saved)[-1]
    restored = functions.function_restore(user=user, function=saved, version=first, device=device)
    functions.function_delete(user=user, function=restored, device=device, revision=4)
    assert device.revision == 5
    versions = device_version_list(device=device)
    assert [row.number for row in versions] == [5, 4, 3, 2, 1]
    names = [[part["name"] for part in row.snapshot["functions"]] for row in versions]
    assert names == [["read"], *[["more", "read"]] * 3, ["read"]]


@pytest.mark.parametrize("revision", [1, None])
def test_what_somebody_else_saved_meanwhile_is_shown(
    device: models.Device, revision: int | None
) -> None:
    """Also to who names no revision: the device had the function that they began with."""
    function = device.functions.get()
    theirs = function_save(user=None, function=function, draft=draft("theirs", " x"), device=device)
    for call in (
        partial(function_save, draft=draft("read", " mine")),
        partial(functions.function_restore, version=function.versions.get()),
    ):
        with pytest.raises(DeviceChanged, match="at version 2") as caught:
            call(user=None, function=function, device=device, revision=revision)
        assert "+     x" in caught.value.difference
    assert device.functions.get() == theirs
    if revision is not None:
        for change in (
            partial(functions.function_delete, user=None, function=theirs),
            partial(
                functions.function_create, user=None, basic_file=device.basic_file,
                df_type=df_type_make(), draft=draft("more"),
            ),
        ):  # fmt: skip
            with pytest.raises(DeviceChanged):
                change(device=device, revision=revision)
    assert device.versions.count() == 2


def test_a_function_that_the_device_never_had_is_added(device: models.Device) -> None:
    own = function_make(device.basic_file, "own")
    saved = function_save(user=None, function=own, draft=draft("own", " x"), device=device)
    assert {*device.functions.values_list("name", flat=True)} == {"own", "read"}
    assert (saved, device.revision) == (own, 2)


def test_a_feature_that_gives_up_its_function_is_not_in_use(device: models.Device) -> None:
    function, light = device.functions.get(), device.devicedf_set.get()
    other = function_make(device.basic_file, "other")
    spec = spec_make(
        device.basic_file, *spec_of(device).dfs, df_make("Wet", other),
        df_make("Spare"), functions=(function.pk,),
    )  # fmt: skip
    devices.device_save(user=None, spec=spec, device=device)
    functions.function_delete(user=None, function=function, device=device, df_id=light.pk)
    in_use = dict(device.devicedf_set.values_list("name", "in_use"))
    assert in_use == {"Light": False, "Wet": True, "Spare": False}
    device.refresh_from_db()
    assert b"def Wet" in engine.device_render(device).files["sa.py"]
    devices.device_save(user=None, spec=spec_of(device), device=device)  # nothing is missing
    # A function that the feature could use, but did not, leaves it as it is.
    third = function_make(device.basic_file, "third", device=device)
    wet = device.devicedf_set.get(name="Wet")
    models.DeviceDfHasSaFunction.objects.create(device_df=wet, function=third)
    functions.function_delete(user=None, function=third, device=device, df_id=wet.pk)
    assert device.devicedf_set.get(name="Wet").in_use


def test_a_devices_function_is_saved_for_the_device(device: models.Device) -> None:
    function = device.functions.get()
    version = function.versions.get()
    with pytest.raises(UserError, match="function of Plant; say for which device"):
        function_save(user=None, function=function, draft=draft("read", " x"))
    with pytest.raises(UserError, match="say for which device"):
        functions.function_restore(user=None, function=function, version=version)
    # Nobody hears of a device that they do not see.
    salif = user_make("salif")
    models.Device.objects.update(user=user_make())
    models.DeviceLibrary.objects.update(user=None)
    copy = function_save(user=salif, function=function, draft=draft("read", " x"))
    assert (copy.user, copy.pk != function.pk) == (salif, True)


def test_one_name_for_two_types() -> None:
    """The seed joins functions by type and name: what can be saved can be changed."""
    basic_file = basic_file_make()
    idf = function_make(basic_file, "f")
    odf = models.SaFunction.objects.create(
        name="f", function_type=df_type_make(ODF_FLOAT), code=["def {*df_name*}(data):", "    pass"]
    )
    spec = spec_make(
        basic_file, df_make("A", idf), Df("O", ODF_FLOAT, uses=(Use(odf.pk, "", True),))
    )
    device = devices.device_save(user=None, spec=spec).device
    function_save(user=None, function=idf, draft=draft("f", "    y = 2"), device=device)
    document = coded(device_document(device=device), {"    y = 2": "    y = 3"})
    device = device_document_save(user=None, document=document, device=device).device
    code = engine.device_render(device).files["sa.py"].decode()
    assert "def A():\n    y = 3\n" in code
    assert "def O(data):\n    pass\n" in code
    with pytest.raises(Conflict, match="function f already"):
        function_make(basic_file, "f", device=device)


@pytest.mark.django_db(transaction=True)
def test_two_people_save_one_function_at_once() -> None:
    device = device_make(basic_file_make())
    function = device.functions.get()
    for revision in (1, None):
        texts = [f"    x = {revision}{who}" for who in (1, 2)]
        results = at_once(*[
            partial(function_save, user=None, function=function, draft=draft("read", text),
                    device=models.Device.objects.get(), revision=revision)
            for text in texts
        ])  # fmt: skip
        assert [type(failure) for failure in failures(results)] == [DeviceChanged]
        (saved,) = [row for row in results if isinstance(row, models.SaFunction)]
        assert device.functions.get() == saved
        difference = failures(results)[0].difference  # type: ignore[attr-defined]
        assert "+    " + saved.code[2] in difference
        function = saved
    assert device.versions.count() == 3


@pytest.mark.django_db(transaction=True)
def test_a_device_and_its_function_are_saved_at_once() -> None:
    device = device_make(basic_file_make())
    function = device.functions.get()
    last = IDF_CODE[-1]
    document = coded(device_document(device=device), {last: f"    x = 1\n{last}"})
    results = at_once(
        partial(device_document_save, user=None, document=document, device=device, revision=1),
        partial(function_save, user=None, function=function, draft=draft("read", "    x = 2"),
                device=models.Device.objects.get(), revision=1),
    )  # fmt: skip
    assert [type(failure) for failure in failures(results)] == [DeviceChanged]
    device.refresh_from_db()
    assert (device.revision, device.versions.count()) == (2, 2)


@pytest.mark.django_db(transaction=True)
def test_two_people_take_a_function_out_and_add_one_at_once() -> None:
    device = device_make(basic_file_make())
    spare = function_make(device.basic_file, "spare", device=device)
    results = at_once(*[
        partial(functions.function_delete, user=None, function=spare,
                device=models.Device.objects.get())
        for _ in range(2)
    ])  # fmt: skip
    assert [type(failure) for failure in failures(results)] == [NotFound]
    results = at_once(*[
        partial(function_make, device.basic_file, "new", device=models.Device.objects.get())
        for _ in range(2)
    ])  # fmt: skip
    assert [type(failure) for failure in failures(results)] == [Conflict]
    device.refresh_from_db()
    assert (device.revision, device.versions.count()) == (4, 4)
