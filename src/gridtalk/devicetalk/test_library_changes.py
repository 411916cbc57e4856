"""A library or a template changes: the devices that use it can go on being saved as they are."""

from dataclasses import replace
from typing import Any

import pytest

from gridtalk.core.errors import UserError
from gridtalk.devicetalk import engine, models, selectors
from gridtalk.devicetalk.services import devices
from gridtalk.devicetalk.services.device_restore import device_restore
from gridtalk.devicetalk.services.device_spec import Chosen, DeviceSpec, libraries_of, spec_of
from gridtalk.devicetalk.services.documents import device_document_save
from gridtalk.devicetalk.services.documents_read import device_document
from gridtalk.devicetalk.services.history import device_version_list
from gridtalk.devicetalk.testing import (
    basic_file_make,
    device_make,
    df_make,
    function_make,
    library_make,
    spec_make,
    user_make,
)

pytestmark = pytest.mark.django_db

NEW_TEMPLATE = (
    b"def {*df_name*}():\n    # newer\n    {*variable_setup*}\n    {*new_line*}\n    return 0\n"
)


def put(basic_file: models.BasicFile, name: str, text: str) -> models.Library:
    """A library, new or in the place of the old one; the first line of its variables is fixed."""
    return library_make(basic_file, name, gvs=f"# ***[gvs]***\n{text}\n# ***[gvsro]***\n[0]")


class Changed:
    """A device of everybody's that uses dht, of which there is a newer version since."""

    def __init__(self) -> None:
        self.basic_file = basic_file_make()
        self.dht = put(self.basic_file, "dht", "import dht\nd = dht.Sensor(4)")
        self.spec = spec_make(
            self.basic_file, df_make("A", function_make(self.basic_file)),
            libraries=(Chosen("L", self.dht.pk),), gvs_readonly_lines=(0,),
            global_var_setup="import dht\nd = dht.Sensor(7)",
        )  # fmt: skip
        self.device = devices.device_save(user=None, spec=self.spec).device
        put(self.basic_file, "dht", "import dht2\nd = dht2.Sensor(4)")

    def save(self, **fields: Any) -> models.Device:
        """Save the device as it is stored, with these changes."""
        self.device.refresh_from_db()
        spec = replace(spec_of(self.device), **fields)
        return devices.device_save(user=None, spec=spec, device=self.device).device

    def refused(self, **fields: Any) -> str:
        """Why saving it so is refused."""
        with pytest.raises(UserError) as caught:
            self.save(**fields)
        return str(caught.value)


@pytest.fixture
def changed() -> Changed:
    return Changed()


def test_what_does_not_touch_the_variables_is_saved(changed: Changed) -> None:
    assert changed.save(push_interval_s=7.0).push_interval == 7.0
    document = device_document(device=changed.device)
    da = document.da.model_copy(update={"push_interval_s": 2.0})
    document = document.model_copy(update={"da": da})
    saved = device_document_save(user=None, document=document, device=changed.device)
    assert saved.device.push_interval == 2.0
    assert changed.save(global_var_setup="import dht\nd = dht.Sensor(9)").revision == 4


def test_the_lines_of_then_are_kept_or_those_of_now_are_taken(changed: Changed) -> None:
    for text, numbers in (("d = 1", ()), ("import dht\nd = 1", ()), ("import os", (0,))):
        why = changed.refused(global_var_setup=text, gvs_readonly_lines=numbers)
        assert "lack the read-only line “import dht” of dht; put it back, or take the lib" in why
    changed.save(global_var_setup="import dht2\nd = 1")
    # From now on those.
    why = changed.refused(global_var_setup="import dht\nd = 1")
    assert "read-only line “import dht2” of dht; put it back, or choose" in why


def test_chosen_anew_the_library_brings_its_lines(changed: Changed) -> None:
    """As the message says: take it out, save, choose it."""
    libraries = changed.spec.libraries
    changed.save(libraries=(), global_var_setup="", gvs_readonly_lines=())
    assert "“import dht2”" in changed.refused(libraries=libraries)
    found = selectors.selection_get(user=None, chosen=libraries).global_variables
    device = changed.save(
        libraries=libraries, global_var_setup=found.text, gvs_readonly_lines=found.readonly_lines
    )
    assert device.global_var_setup == "import dht2\nd = dht2.Sensor(4)"


def test_another_library_goes_or_comes(changed: Changed) -> None:
    relay = put(changed.basic_file, "relay", "import relay\nr = 1")
    (dht,) = changed.spec.libraries
    both = (dht, Chosen("L", relay.pk))
    found = selectors.selection_get(
        user=None, chosen=both, present=selectors.globals_get(device=changed.device),
        had=libraries_of(changed.device),
    ).global_variables  # fmt: skip
    assert found.text == "import relay\nr = 1\nimport dht\nd = dht.Sensor(7)"
    why = changed.refused(libraries=both)
    assert "“import relay” of relay" in why
    changed.save(
        libraries=both, global_var_setup=found.text, gvs_readonly_lines=found.readonly_lines
    )
    # Its lines go with it; those of the other stay.
    changed.save(
        libraries=(dht,), gvs_readonly_lines=(0,), global_var_setup="import dht\nd = dht.Sensor(7)"
    )


def test_a_device_library_that_changed(changed: Changed) -> None:
    pool = models.DeviceLibrary.objects.get(name="Plant_library")
    text, numbers = changed.device.global_var_setup, (0,)
    mine = replace(
        changed.spec, name="mine", libraries=(Chosen("D", pool.pk),), global_var_setup=text,
        gvs_readonly_lines=numbers,
    )  # fmt: skip
    device = devices.device_save(user=None, spec=mine).device
    changed.save(global_var_setup="import dht2\nd = 1")
    devices.device_save(user=None, device=device, spec=replace(mine, push_interval_s=3.0))
    # A new device has them as they are now, and the library's block is not there twice.
    found = selectors.selection_get(user=None, chosen=mine.libraries).global_variables
    assert (found.text, found.readonly_lines) == ("import dht2\nd = 1", (0,))


def test_a_library_that_the_device_gave_up_comes_with_its_block(changed: Changed) -> None:
    """The device library depends on it still, for its functions; its variables are gone."""
    pool = models.DeviceLibrary.objects.get(name="Plant_library")

    def brought(*more: Chosen) -> str:
        chosen = (Chosen("D", pool.pk), *more)
        return selectors.selection_get(user=None, chosen=chosen).global_variables.text

    assert brought() == "import dht\nd = dht.Sensor(7)"
    device = changed.save(libraries=(), global_var_setup="own = 1", gvs_readonly_lines=())
    assert brought() == "import dht2\nd = dht2.Sensor(4)\nown = 1"
    # Nobody knows any more what it was made with: it comes as it is, unless a library is asked for.
    devices.device_delete(user=None, device=device)
    assert brought() == "own = 1"
    assert brought(*changed.spec.libraries) == "import dht2\nd = dht2.Sensor(4)\nown = 1"


def test_clones_and_copies_are_as_the_original(changed: Changed) -> None:
    amina = user_make("amina", group="makers")
    clone = devices.device_clone(user=amina, device=changed.device, name="clone").device
    document = device_document(device=changed.device).model_copy(update={"name": "copy"})
    copy = device_document_save(user=amina, document=document).device
    for made in (clone, copy):
        assert made.global_var_setup == changed.device.global_var_setup
        assert engine.device_render(made).files
    # Nothing else gets round the library's lines.
    other: list[DeviceSpec] = [
        replace(changed.spec, name="x", global_var_setup="import dht\nd = 1"),
        replace(changed.spec, name="x", libraries=(
            *changed.spec.libraries, Chosen("L", put(changed.basic_file, "relay", "import r").pk))),
    ]  # fmt: skip
    for spec in other:
        with pytest.raises(UserError, match="“import dht2” of dht"):
            devices.device_save(user=amina, spec=spec)


def test_somebody_elses_device_is_no_original(changed: Changed) -> None:
    amina, salif = user_make("amina", group="makers"), user_make("salif", group="makers")
    models.Device.objects.update(user=amina)
    function = function_make(changed.basic_file, "own", user=salif)
    spec = replace(changed.spec, name="x", dfs=(df_make("A", function),))
    with pytest.raises(UserError, match="“import dht2” of dht"):
        devices.device_save(user=salif, spec=spec)


def test_an_older_version_is_restored(changed: Changed) -> None:
    changed.save(global_var_setup="import dht2\nd = 1")
    first = device_version_list(device=changed.device)[-1]
    device_restore(user=None, device=changed.device, version=first)
    changed.device.refresh_from_db()
    assert changed.device.global_var_setup == "import dht\nd = dht.Sensor(7)"
    changed.save(push_interval_s=3.0)


def test_a_copy_after_the_template_changed() -> None:
    amina = user_make("amina", group="makers")
    device = device_make(basic_file_make(), amina)
    basic_file_make(**{"idf.j2": NEW_TEMPLATE})
    document = device_document(device=device).model_copy(update={"name": "copy"})
    copy = device_document_save(user=amina, document=document).device
    assert copy.functions.get().code == device.functions.get().code
    # Nobody else has such a function, and what was changed in it begins with no template.
    salif = user_make("salif", group="makers")
    with pytest.raises(UserError, match="is read-only"):
        device_document_save(user=salif, document=document)
    part = document.functions[0]
    code = [*part.code[:-1], "    return 1"] if part.code else []
    wrong = document.model_copy(
        update={"name": "x", "functions": [part.model_copy(update={"code": code})]}
    )
    with pytest.raises(UserError, match="is read-only"):
        device_document_save(user=amina, document=wrong)
