"""The device library that saving makes: the seed's examples, literally, and its rules."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from gridtalk.core import clock
from gridtalk.core.errors import UserError
from gridtalk.devicetalk import models, selectors
from gridtalk.devicetalk.services import catalogue, devices
from gridtalk.devicetalk.services.device_spec import Chosen, Df, Use
from gridtalk.devicetalk.testing import (
    IDF_INT,
    ODF_FLOAT,
    basic_file_make,
    df_make,
    df_type_make,
    function_make,
    library_make,
    library_of,
    spec_make,
    user_make,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def basic_file() -> models.BasicFile:
    return basic_file_make()


@pytest.fixture
def amina() -> Any:
    return user_make()


def presets(library: models.DeviceLibrary) -> dict[str, list[tuple[str, str, bool]]]:
    """Per feature of a device library: function, variable setup, selected."""
    return {
        df.name: [
            (row.function.name, row.var_setup, row.selected)
            for row in df.devicelibrarydfhassafunction_set.order_by("function__name")
        ]
        for df in library.devicelibrarydf_set.order_by("name")
    }


def test_the_seeds_device_10(basic_file: models.BasicFile) -> None:
    """<Device:10> chose <Library:5>, <Library:3>, <DeviceLibrary:3>, in this order."""
    for number in range(1, 6):
        models.Library.objects.create(id=number, name=f"l{number}", basic_file=basic_file)
    models.DeviceLibrary.objects.create(id=3, name="other_library", basic_file=basic_file)
    function = function_make(basic_file)
    device = models.Device.objects.create(
        id=10, name="ten", dm_name="Plantbox", basic_file=basic_file, server_url="http://h",
        device_address="a",
    )  # fmt: skip
    spec = spec_make(
        basic_file, df_make("Light", function), name="ten",
        libraries=(Chosen("L", 5), Chosen("L", 3), Chosen("D", 3)),
    )  # fmt: skip
    devices.device_save(user=None, device=device, spec=spec)
    rows = models.DeviceHasLibrary.objects.order_by("id")
    assert list(rows.values_list("device", "device_library", "library", "order")) == [
        (10, None, 5, 0),
        (10, None, 3, 1),
        (10, 3, None, 2),
    ]


def test_every_feature_of_the_model_is_there(basic_file: models.BasicFile) -> None:
    """The seed's DF1, DF2, DF3, of which the device object uses DF1 alone."""
    catalogue.device_model_put(
        user=None, name="DM", features=[("DF1", IDF_INT), ("DF2", IDF_INT), ("DF3", ODF_FLOAT)]
    )
    function = function_make(basic_file)
    spec = spec_make(basic_file, df_make("DF1", function), dm_name="DM")
    device = devices.device_save(user=None, spec=spec).device
    assert list(device.devicedf_set.order_by("name").values_list("name", "in_use")) == [
        ("DF1", True), ("DF2", False), ("DF3", False)
    ]  # fmt: skip
    other = devices.device_save(user=None, spec=replace(spec, name="second")).device
    assert other.devicedf_set.count() == 3  # two devices of a model: two sets of features
    assert set(presets(library_of(device))) == {"DF1", "DF2", "DF3"}


def test_the_library_copies_features_and_functions(basic_file: models.BasicFile) -> None:
    used = function_make(basic_file, "used")
    unused = function_make(basic_file, "unused")
    spec = spec_make(
        basic_file, df_make("A", used, "pin = 1"), df_make("B", used, "pin = 2"),
        functions=(unused.pk,), global_var_setup="import x\ny = 1", gvs_readonly_lines=(0,),
    )  # fmt: skip
    saved = devices.device_save(user=None, spec=spec)
    library = saved.device_library
    assert library.name == "Plant_library"
    assert (library.global_var_setup, library.gvs_readonly_lines) == ("import x\ny = 1", [0])
    assert presets(library) == {"A": [("used", "pin = 1", True)], "B": [("used", "pin = 2", True)]}
    # Relation 1 → Relation 2: the unused one too, for other users.
    assert set(library.functions.all()) == {used, unused}
    assert set(saved.device.functions.all()) == {used, unused}


def test_presets_stack_up_over_device_models(basic_file: models.BasicFile) -> None:
    """A device library knows no device model: saving another one under its name adds features."""
    one, two = function_make(basic_file, "one"), function_make(basic_file, "two")
    spec = spec_make(basic_file, df_make("A", one, "pin = 1"), df_make("B", one))
    device = devices.device_save(user=None, spec=spec).device
    again = spec_make(
        basic_file, df_make("B", two, "new"), df_make("C", two), dm_name="Other model"
    )
    devices.device_save(user=None, spec=again, device=device)
    assert [df.name for df in device.devicedf_set.order_by("name")] == ["B", "C"]
    library = library_of(device)
    assert presets(library) == {
        "A": [("one", "pin = 1", True)],
        "B": [("one", "", False), ("two", "new", True)],
        "C": [("two", "", True)],
    }
    assert {row.name for row in library.functions.all()} == {"one", "two"}


def test_presets_of_several_libraries_the_later_wins(basic_file: models.BasicFile) -> None:
    first = devices.device_save(user=None, spec=spec_make(
        basic_file, df_make("A", function_make(basic_file, "one"), "1"),
        df_make("B", function_make(basic_file, "two"), "1"), name="first",
    )).device_library  # fmt: skip
    second = devices.device_save(user=None, spec=spec_make(
        basic_file, df_make("B", function_make(basic_file, "three"), "2"), name="second",
    )).device_library  # fmt: skip
    chosen = [Chosen("D", first.pk), Chosen("D", second.pk)]
    found = {df.name: df.uses[0].var_setup for df in
             selectors.selection_get(user=None, chosen=chosen).presets}  # fmt: skip
    assert found == {"A": "1", "B": "2"}
    found = {df.name: df.uses[0].var_setup for df in
             selectors.selection_get(user=None, chosen=chosen[::-1]).presets}  # fmt: skip
    assert found == {"A": "1", "B": "1"}


def test_presets_use_the_functions_that_count(basic_file: models.BasicFile) -> None:
    """What a choice brings can be saved as it is."""
    dht = library_make(basic_file, "dht")
    with time_machine.travel(clock.now() - timedelta(days=3)):
        old = function_make(basic_file, "read", "    old()")
        both = Df("A", IDF_INT, uses=(Use(old.pk, "old", True),))
        odf = models.SaFunction.objects.create(name="read", function_type=df_type_make(ODF_FLOAT))
        out = Df("A", ODF_FLOAT, uses=(Use(odf.pk, "odf", True),))
        first = devices.device_save(
            user=None, spec=spec_make(basic_file, both, out, name="first")
        ).device_library
    new, needs = function_make(basic_file, "read", "    new()"), function_make(basic_file, "needs")
    second = devices.device_save(
        user=None, spec=spec_make(basic_file, df_make("B", new, "new"), name="second")
    ).device_library
    # The older one is still used beside the newer one, and one is left out.
    df = second.devicelibrarydf_set.get()
    for number, function in enumerate((old, needs)):
        models.DeviceLibraryDfHasSaFunction.objects.create(
            device_library_df=df, function=function, var_setup=str(number)
        )
    models.SaFunction.objects.filter(pk=needs.pk).update(library_ref=dht.functions.get())
    second.functions.add(needs)
    chosen = (Chosen("D", first.pk), Chosen("D", second.pk))
    for order in (chosen, chosen[::-1]):
        found = selectors.selection_get(user=None, chosen=order)
        assert {row.pk for row in found.functions} == {new.pk, odf.pk}
        assert [row.pk for row in found.left_out] == [needs.pk]
        assert {(df.name, df.df_type.direction): df.uses for df in found.presets} == {
            ("A", "idf"): (Use(new.pk, "old", True),),
            ("A", "odf"): (Use(odf.pk, "odf", True),),
            ("B", "idf"): (Use(new.pk, "new", True),),
        }
    spec = spec_make(
        basic_file, *found.presets, name="third", libraries=chosen,
        functions=tuple(row.pk for row in found.functions),
    )  # fmt: skip
    assert set(devices.device_save(user=None, spec=spec).device.functions.all()) == {new, odf}
    # The device's own, newer still, counts for its presets too.
    own = function_make(basic_file, "read", "    own()")
    found = selectors.selection_get(user=None, chosen=chosen, own=[own])
    assert {use.function_id for df in found.presets for use in df.uses} == {own.pk, odf.pk}


def test_a_feature_that_is_not_set_up_takes_nothing_away(basic_file: models.BasicFile) -> None:
    catalogue.device_model_put(
        user=None, name="DM", features=[("A", IDF_INT), ("B", IDF_INT), ("C", IDF_INT)]
    )
    one, two = function_make(basic_file, "one"), function_make(basic_file, "two")
    pools = [
        devices.device_save(
            user=None, spec=spec_make(basic_file, df, dm_name="DM", name=df.name)
        ).device_library
        for df in (df_make("A", one, "a"), df_make("B", two, "b"))
    ]
    for order in (pools, pools[::-1]):
        found = selectors.selection_get(user=None, chosen=[Chosen("D", row.pk) for row in order])
        assert {df.name: [use.var_setup for use in df.uses] for df in found.presets} == {
            "A": ["a"], "B": ["b"], "C": [],
        }  # fmt: skip


def test_functions_are_joined_and_the_newer_counts(basic_file: models.BasicFile) -> None:
    with time_machine.travel(clock.now() - timedelta(days=3)):
        old = function_make(basic_file, "read", "    old()")
        first = devices.device_save(
            user=None, spec=spec_make(basic_file, df_make("A", old, "a"), name="first")
        ).device_library
    new = function_make(basic_file, "read", "    new()")
    other = function_make(basic_file, "other")
    second = devices.device_save(
        user=None, spec=spec_make(basic_file, df_make("A", new), df_make("B", other), name="second")
    ).device_library
    own = function_make(basic_file, "own")
    third = devices.device_save(
        user=None,
        spec=spec_make(
            basic_file, df_make("A", own), name="third",
            libraries=(Chosen("D", second.pk), Chosen("D", first.pk)),
        ),
    ).device_library  # fmt: skip
    assert set(third.functions.all()) == {new, other, own}
    assert third.dependency_library.count() == 0
    # Device libraries do not nest, and their features are not copied.
    assert presets(third) == {"A": [("own", "", True)]}
    # Saved under the first's name: its feature now uses the newer namesake.
    device = models.Device.objects.get(name="first")
    devices.device_save(
        user=None, device=device, spec=spec_make(basic_file, df_make("B", new), name="first")
    )
    assert presets(first) == {"A": [("read", "a", True)], "B": [("read", "", True)]}
    assert set(first.functions.all()) == {new}


def test_the_same_name_for_another_type_is_another_function(basic_file: models.BasicFile) -> None:
    idf = function_make(basic_file, "f")
    odf = models.SaFunction.objects.create(name="f", function_type=df_type_make(ODF_FLOAT))
    first = devices.device_save(
        user=None, spec=spec_make(basic_file, df_make("A", idf), name="first")
    ).device_library
    df = Df("O", ODF_FLOAT, uses=(Use(odf.pk, "", True),))
    second = devices.device_save(
        user=None, spec=spec_make(basic_file, df, name="x", libraries=(Chosen("D", first.pk),))
    ).device_library
    assert set(second.functions.all()) == {idf, odf}


def test_libraries_become_dependencies(basic_file: models.BasicFile) -> None:
    dht, relay = library_make(basic_file, "dht"), library_make(basic_file, "relay")
    function = function_make(basic_file)
    models.SaFunction.objects.filter(pk=function.pk).update(library_ref=dht.functions.get())
    first = devices.device_save(user=None, spec=spec_make(
        basic_file, df_make("A", function), name="first", libraries=(Chosen("L", dht.pk),)
    )).device_library  # fmt: skip
    assert set(first.dependency_library.all()) == {dht}
    saved = devices.device_save(user=None, spec=spec_make(
        basic_file, df_make("A", function), name="second",
        libraries=(Chosen("D", first.pk), Chosen("L", relay.pk)),
    ))  # fmt: skip
    assert set(saved.device_library.dependency_library.all()) == {dht, relay}
    assert saved.left_out == ()
    found = selectors.selection_get(user=None, chosen=[Chosen("D", first.pk)])
    assert [row.name for row in found.brought] == ["dht"]
    assert [row.name for row in found.library_functions] == ["read"]
    choices = selectors.library_choice_list(user=None, basic_file=basic_file)
    assert [(row.name, row.brings) for row in choices] == [
        ("first_library", ("dht",)), ("second_library", ("dht", "relay")), ("dht", ()),
        ("relay", ()),
    ]  # fmt: skip


def test_a_function_whose_library_is_not_chosen(basic_file: models.BasicFile) -> None:
    dht = library_make(basic_file, "dht")
    needs, plain = function_make(basic_file, "needs"), function_make(basic_file, "plain")
    models.SaFunction.objects.filter(pk=needs.pk).update(library_ref=dht.functions.get())
    spec = spec_make(basic_file, df_make("A", plain), functions=(needs.pk,))
    saved = devices.device_save(user=None, spec=spec)
    assert saved.left_out == ("needs",)
    assert set(saved.device.functions.all()) == {plain}
    with pytest.raises(UserError, match="A uses needs, which needs the library dht"):
        devices.device_save(user=None, spec=spec_make(basic_file, df_make("A", needs), name="x"))
    needs.refresh_from_db()
    found = selectors.selection_get(user=None, chosen=[], own=[needs, plain])
    assert (found.left_out, found.functions) == ((needs,), (plain,))
    found = selectors.selection_get(user=None, chosen=[Chosen("L", dht.pk)], own=[needs])
    assert (found.left_out, found.functions) == ((), (needs,))
