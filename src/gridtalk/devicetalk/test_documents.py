"""Devices as documents: functions left out as their library is not chosen; saved at once."""

from functools import partial

import pytest

from gridtalk.core.errors import UserError
from gridtalk.devicetalk.device_file_schema import (
    DaPart,
    DeviceDocument,
    FeaturePart,
    FunctionPart,
    LibraryRef,
    UsePart,
)
from gridtalk.devicetalk.services import devices
from gridtalk.devicetalk.services.documents import device_document_save
from gridtalk.devicetalk.services.documents_read import device_document
from gridtalk.devicetalk.testing import (
    basic_file_make,
    df_make,
    function_make,
    library_make,
    spec_make,
)
from gridtalk.testing_together import at_once, failures

pytestmark = pytest.mark.django_db

FUNCTIONS = (
    FunctionPart(name="plain", type="idf", params=["int"]),
    FunctionPart(
        name="wet", type="idf", params=["int"],
        library_ref=LibraryRef(library="dht", function="read"),
    ),
)  # fmt: skip


def document_make(feature: FeaturePart, libraries: tuple[str, ...] = ()) -> DeviceDocument:
    """A device with a function of its own, and one that the library dht began."""
    basic_file = basic_file_make()
    library_make(basic_file, "dht")
    return DeviceDocument(
        name="Box", device_model="Plantbox", language="Python", basic_file="base",
        libraries=list(libraries), functions=list(FUNCTIONS), features=[feature],
        da=DaPart(server_url="http://127.0.0.1:9992"),
    )  # fmt: skip


COULD = FeaturePart(
    name="Light", type="idf", params=["int"], function="plain", others=[UsePart(function="wet")]
)
DOES = FeaturePart(name="Light", type="idf", params=["int"], function="wet")


@pytest.mark.parametrize("is_changed", [False, True])
def test_a_function_of_a_library_no_longer_chosen_is_left_out(is_changed: bool) -> None:
    device = device_document_save(user=None, document=document_make(COULD, ("dht",))).device
    assert device.functions.count() == 2
    document = device_document(device=device)
    if is_changed:
        functions = [
            part.model_copy(update={"var_setup": ["pin = 5"]}) for part in document.functions
        ]
        document = document.model_copy(update={"functions": functions})
    without = document.model_copy(update={"libraries": []})
    saved = device_document_save(user=None, document=without, device=device, revision=1)
    assert saved.left_out == ("wet",)
    assert [row.name for row in saved.device.functions.all()] == ["plain"]
    light = saved.device.devicedf_set.get(name="Light")
    assert [row.function.name for row in light.devicedfhassafunction_set.all()] == ["plain"]


def test_a_new_device_leaves_it_out_too() -> None:
    saved = device_document_save(user=None, document=document_make(COULD))
    assert saved.left_out == ("wet",)
    assert [row.name for row in saved.device.functions.all()] == ["plain"]


def test_a_feature_that_uses_it_needs_its_library() -> None:
    document = document_make(DOES)
    with pytest.raises(UserError, match="Light uses wet, which needs the library dht"):
        device_document_save(user=None, document=document)
    chosen = document.model_copy(update={"libraries": ["dht"]})
    device = device_document_save(user=None, document=chosen).device
    with pytest.raises(UserError, match="Light uses wet, which needs the library dht"):
        device_document_save(user=None, document=document, device=device)
    device.refresh_from_db()
    assert (device.revision, device.functions.count()) == (1, 2)


def test_a_function_that_its_library_never_had_is_refused() -> None:
    document = document_make(COULD)
    gone = FUNCTIONS[1].model_copy(update={"library_ref": LibraryRef(library="dht", function="x")})
    with pytest.raises(UserError, match=r"no library 'dht' for .*base has a function 'x'"):
        device_document_save(
            user=None, document=document.model_copy(update={"functions": [FUNCTIONS[0], gone]})
        )


@pytest.mark.django_db(transaction=True)
def test_two_devices_that_share_functions_are_saved_at_once() -> None:
    """Each changes the function that the other only keeps: neither waits for ever."""
    basic_file = basic_file_make()
    functions = [function_make(basic_file, f"f{number}") for number in range(6)]
    spec = spec_make(basic_file, *(df_make(row.name, row) for row in functions), name="a")
    first = devices.device_save(user=None, spec=spec).device
    both = [first, devices.device_clone(user=None, device=first, name="b").device]
    documents = [device_document(device=device) for device in both]
    for number in range(5):
        changed = []
        for document, name in zip(documents, ("f5", "f0"), strict=True):
            parts = [
                part.model_copy(update={"var_setup": [f"x = {number}"]})
                if part.name == name else part
                for part in document.functions
            ]  # fmt: skip
            changed.append(document.model_copy(update={"functions": parts}))
        results = at_once(*[
            partial(device_document_save, user=None, document=document, device=device)
            for document, device in zip(changed, both, strict=True)
        ])  # fmt: skip
        assert failures(results) == []
        # The functions are shared again.
        for device in both:
            devices.device_save(user=None, spec=spec_make(
                basic_file, *spec.dfs, name=device.name), device=device)  # fmt: skip
