"""Basic files, libraries and device models: taken whole, or nothing changes; and the cleaning."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import time_machine
from django.core.checks import run_checks

from gridtalk.core import clock
from gridtalk.core.errors import Conflict, NotAllowed, UserError
from gridtalk.devicetalk import engine, models
from gridtalk.devicetalk.services import catalogue, libraries
from gridtalk.devicetalk.services.cleanup import cleanup
from gridtalk.devicetalk.services.device_spec import Chosen, spec_of
from gridtalk.devicetalk.services.devices import device_delete, device_save
from gridtalk.devicetalk.services.functions import function_save
from gridtalk.devicetalk.testing import (
    BASIC_FILE,
    IDF_INT,
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
from gridtalk.devicetalk.tree import InvalidTree
from gridtalk.files.models import File, UploadBatch
from gridtalk.files.services import file_put, files_read, files_stage
from gridtalk.testing_together import at_once, failures

pytestmark = pytest.mark.django_db


@pytest.fixture
def basic_file() -> models.BasicFile:
    return basic_file_make()


def test_an_invalid_update_leaves_the_present_version(
    basic_file: models.BasicFile, django_capture_on_commit_callbacks: Any
) -> None:
    bad = {
        "config.ini": b"[templates]\nsa = gone.py\n[new-function]\nIDF = idf.j2\nODF = ../odf.j2\n",
        "idf.j2": b"{% if %}",
    }
    batch = files_stage(user=None, tree=bad)
    with django_capture_on_commit_callbacks(execute=True), pytest.raises(InvalidTree) as caught:
        catalogue.basic_file_put(
            user=None, language=basic_file.language, name="base", batch_id=batch.pk
        )
    for missing in ("'safuncs'", "'url'", "'root'", "'example-dir'"):
        assert missing in str(caught.value)
    assert files_read(basic_file.file_set.all()) == BASIC_FILE
    assert File.objects.count() == len(BASIC_FILE)
    assert not UploadBatch.objects.exists()


def test_templates_that_cannot_be_rendered_leave_the_present_version(
    basic_file: models.BasicFile,
) -> None:
    device = device_save(
        user=None, spec=spec_make(basic_file, df_make("A", function_make(basic_file)))
    ).device
    files = engine.device_render(device).files
    bad = {
        **BASIC_FILE,
        "sa.py": b"\n{{ sa.devicename }}\n{% include 'no.j2' %}",
        "idf.j2": b"{{ parms.len }}",
    }
    batch = files_stage(user=None, tree=bad)
    with pytest.raises(InvalidTree) as caught:
        catalogue.basic_file_put(
            user=None, language=basic_file.language, name="base", batch_id=batch.pk
        )
    for fault in (
        "sa.py, line 2: 'dict object' has no attribute 'devicename'",
        "sa.py, line 3: there is no file no.j2",
        "idf.j2, line 1: 'parms' is undefined",
    ):
        assert fault in str(caught.value)
    assert files_read(basic_file.file_set.all()) == BASIC_FILE
    assert engine.device_render(device).files == files


def test_an_update_takes_the_place(basic_file: models.BasicFile) -> None:
    again = basic_file_make(**{"sa.py": b"new", "extra/a.txt": b"x"})
    assert again.pk == basic_file.pk
    assert basic_file.open("sa.py").read() == "new"
    assert basic_file.file_set.count() == len(BASIC_FILE) + 1
    assert engine.basic_file_load(basic_file).config.lib_root == "library/"


def test_libraries_lie_where_the_basic_file_puts_them(basic_file: models.BasicFile) -> None:
    """The seed: ``dir_path`` is relative to the root of the basic file."""
    plain = library_make(basic_file, "dht")
    device = device_make(basic_file, name="My dev")
    pool = library_of(device)
    assert (plain.dir_path, pool.dir_path) == ("library/dht", "library/My_dev_library")
    paths = engine.device_render(device).files
    assert any(path.startswith(f"{pool.dir_path}/") for path in paths)
    config = BASIC_FILE["config.ini"].replace(b"root = library/", b"root = src/lib")
    basic_file_make(**{"config.ini": config})
    plain.refresh_from_db()
    assert plain.dir_path == "src/lib/dht"


def test_a_browsers_folder_name_is_taken_off() -> None:
    language = catalogue.language_create(user=None, name="C++")
    tree = {f"my folder/{path}": data for path, data in BASIC_FILE.items()}
    batch = files_stage(user=None, tree=tree)
    found = catalogue.basic_file_put(user=None, language=language, name="b", batch_id=batch.pk)
    assert files_read(found.file_set.all()) == BASIC_FILE


def test_only_administrators_keep_the_catalogue(basic_file: models.BasicFile) -> None:
    amina = user_make()
    batch = files_stage(user=amina, tree=BASIC_FILE)
    language = basic_file.language
    for call in (
        lambda: catalogue.language_create(user=amina, name="Rust"),
        lambda: catalogue.language_delete(user=amina, language=language),
        lambda: catalogue.basic_file_put(
            user=amina, language=language, name="x", batch_id=batch.pk
        ),
        lambda: catalogue.basic_file_delete(user=amina, basic_file=basic_file),
        lambda: catalogue.device_model_put(user=amina, name="x", features=[("A", IDF_INT)]),
    ):
        with pytest.raises(NotAllowed, match="only an administrator"):
            call()


def test_a_basic_file_that_is_used(basic_file: models.BasicFile) -> None:
    library = library_make(basic_file)
    function = function_make(basic_file)
    device_save(user=None, spec=spec_make(
        basic_file, df_make("A", function), libraries=(Chosen("L", library.pk),)
    ))  # fmt: skip
    words = "1 device, 1 device library, 1 library would be lost"
    with pytest.raises(Conflict, match=words):
        catalogue.basic_file_delete(user=None, basic_file=basic_file)
    with pytest.raises(Conflict, match="basic files base; delete those first"):
        catalogue.language_delete(user=None, language=basic_file.language)
    with pytest.raises(Conflict, match="used by 1 device, 1 device library"):
        libraries.library_delete(user=None, library=library)
    other = models.DeviceLibrary.objects.create(name="x", basic_file=basic_file)
    models.DeviceHasLibrary.objects.create(
        device=models.Device.objects.get(), device_library=other, order=9
    )
    with pytest.raises(Conflict, match="x is used by 1 device"):
        libraries.device_library_delete(user=None, device_library=other)
    lost = catalogue.basic_file_delete(user=None, basic_file=basic_file, with_all=True)
    assert (lost.devices, lost.device_libraries, lost.libraries) == (1, 2, 1)
    assert str(lost) == "1 device, 2 device libraries, 1 library"
    assert not File.objects.filter(upload_batch=None).exists()
    catalogue.language_delete(user=None, language=basic_file.language)


def test_a_library_is_read(basic_file: models.BasicFile) -> None:
    library = library_make(
        basic_file, "dht",
        read="# ***[var_define]***\npin = 4\n# ***[runs_content]***\nreturn x\n",
        gvs="# ***[gvs]***\nimport dht\nd = 1\n# ***[gvsro]***\n[0]\n",
    )  # fmt: skip
    function = library.functions.get()
    assert (function.name, function.var_define, function.runs_content) == (
        "read", "pin = 4", "return x"
    )  # fmt: skip
    assert (function.import_string, function.member_var_define) == ("", "")
    assert (library.global_var_setup, library.gvs_readonly_lines) == ("import dht\nd = 1", [0])
    loaded = engine.library_load(library)
    assert dict(loaded.files) == {"dht/dht.py": b"x = 1\n"}
    assert loaded.global_variables.readonly_lines == (0,)


def test_replacing_updates_functions_by_name(basic_file: models.BasicFile) -> None:
    library = library_make(basic_file, "dht", keep="one", gone="two")
    kept, gone = library.functions.order_by("-name")
    using = [function_make(basic_file, name) for name in ("a", "b")]
    for function, ref in zip(using, (kept, gone), strict=True):
        models.SaFunction.objects.filter(pk=function.pk).update(library_ref=ref)
    again = library_make(basic_file, "dht", keep="three", new="four")
    assert again.pk == library.pk
    kept.refresh_from_db()
    assert kept.runs_content == "three"
    for function in using:
        function.refresh_from_db()
    assert [function.library_ref for function in using] == [kept, None]
    assert set(again.functions.values_list("name", flat=True)) == {"keep", "new"}


def test_never_half_a_library(
    basic_file: models.BasicFile, django_capture_on_commit_callbacks: Any
) -> None:
    library = library_make(basic_file, "dht", read="one")
    before = files_read(library.file_set.all())
    batch = files_stage(user=None, tree={
        "dht/dht/dht.py": b"2", "dht/README": b"", "dht/examples/a.py": b"", "dht/examples/a.c": b""
    })  # fmt: skip
    with django_capture_on_commit_callbacks(execute=True), pytest.raises(InvalidTree) as caught:
        libraries.library_put(user=None, basic_file=basic_file, batch_id=batch.pk)
    assert "dht/README" in str(caught.value)
    assert "same function 'a'" in str(caught.value)
    assert files_read(library.file_set.all()) == before
    assert library.functions.get().runs_content == "one"
    assert not UploadBatch.objects.exists()


def test_whose_library(basic_file: models.BasicFile) -> None:
    amina, salif = user_make(), user_make("salif")
    library = library_make(basic_file, "dht", amina)
    assert library.uploaded_by == amina
    with pytest.raises(NotAllowed, match="uploaded by somebody else"):
        library_make(basic_file, "dht", salif)
    with pytest.raises(NotAllowed):
        libraries.library_delete(user=salif, library=library)
    library_make(basic_file, "dht", amina, read="new")
    library_make(basic_file, "dht", user_make("root", group="admin"), read="newer")
    library.refresh_from_db()
    assert library.uploaded_by == amina
    libraries.library_delete(user=amina, library=library)


@pytest.mark.django_db(transaction=True)
def test_two_uploads_at_once_end_as_one_of_the_two() -> None:
    basic_file = basic_file_make()
    trees = [
        {f"dht/dht/{who}{n}.py": who.encode() for n in range(5)}
        | {f"dht/examples/{who}.py": b"# ***[runs_content]***\nx"}
        for who in ("a", "b")
    ]
    batches = [files_stage(user=None, tree=tree) for tree in trees]
    put = partial(libraries.library_put, user=None, basic_file=basic_file)
    results = at_once(*[partial(put, batch_id=batch.pk) for batch in batches])
    assert failures(results) == []
    library = models.Library.objects.get()
    assert files_read(library.file_set.all()) in trees
    who = library.file_set.first().file_path.split("/")[2][0]
    assert list(library.functions.values_list("name", flat=True)) == [who]
    assert File.objects.count() == len(BASIC_FILE) + 6  # the loser's are gone
    assert not UploadBatch.objects.exists()


def test_device_models() -> None:
    model = catalogue.device_model_put(
        user=None, name="DM", features=[("B", IDF_INT), ("A", IDF_INT)], description="d"
    )
    assert list(model.features.order_by("order").values_list("name", flat=True)) == ["B", "A"]
    again = catalogue.device_model_put(user=None, name="DM", features=[("C", IDF_INT)])
    assert (again.pk, model.features.get().name) == (model.pk, "C")
    for features, words in ([], "at least one"), ([("A", IDF_INT)] * 2, "A are there twice"):
        with pytest.raises(UserError, match=words):
            catalogue.device_model_put(user=None, name="DM", features=features)
    for direction, params in (("xdf", []), ("idf", ["int; rm"]), ("idf", [""])):
        with pytest.raises(UserError):
            catalogue.df_type_get(direction=direction, params=params)


def test_the_engine_makes_the_zip(basic_file: models.BasicFile) -> None:
    library = library_make(basic_file)
    function = function_make(basic_file, "read", "    {{ 7 * 7 }}")
    spec = spec_make(
        basic_file, df_make("Light-I", function, "pin = 1"), libraries=(Chosen("L", library.pk),)
    )
    device = device_save(user=None, spec=spec).device
    rendered = engine.device_render(device)
    assert set(rendered.files) == {
        "sa.py", "Makefile", "library/Plant_library/functions.py", "library/dht/dht.py"
    }  # fmt: skip
    sa = rendered.files["sa.py"].decode()
    assert "def Light_I():\n    pin = 1\n    {{ 7 * 7 }}\n" in sa
    # The next device which chooses the device library gets its library too.
    pool = models.DeviceLibrary.objects.get()
    spec = spec_make(
        basic_file, df_make("A", function), name="next", libraries=(Chosen("D", pool.pk),)
    )
    nxt = device_save(user=None, spec=spec).device
    assert [row.name for row in engine.libraries_load(nxt)] == ["dht", "Plant_library"]
    assert [row.name for row in engine.device_library_load(pool).features] == ["Light-I"]


def test_a_device_has_one_file(
    basic_file: models.BasicFile, django_capture_on_commit_callbacks: Any
) -> None:
    device = device_make(basic_file)
    with django_capture_on_commit_callbacks(execute=True):
        file_put(owner=device, path="Plant.zip", data=b"1")
        file_put(owner=device, path="Renamed.zip", data=b"2")
        file_put(owner=basic_file, path="sa.py", data=b"new")
        file_put(owner=basic_file, path="other.py", data=b"o")
    device = models.Device.objects.get()
    assert (device.file.file_path, device.file.open("rb").read()) == ("Renamed.zip", b"2")
    assert files_read(basic_file.file_set.all()) == {
        **BASIC_FILE, "sa.py": b"new", "other.py": b"o"
    }  # fmt: skip
    assert not UploadBatch.objects.exists()
    with django_capture_on_commit_callbacks(execute=True):
        device_delete(user=None, device=device)
    assert File.objects.count() == len(BASIC_FILE) + 1
    with pytest.raises(TypeError, match="a language cannot have files"):
        file_put(owner=basic_file.language, path="x", data=b"")


def test_cleanup(basic_file: models.BasicFile, django_capture_on_commit_callbacks: Any) -> None:
    with time_machine.travel(clock.now() - timedelta(days=2)):
        device = device_make(basic_file)
        kept = device.functions.get()
        copy = function_save(user=None, function=kept, draft=draft("read", " x"), device=device)
        device_save(user=None, spec=spec_of(device), device=device)
        lost = function_make(basic_file, "lost")
        lost_copy = function_make(basic_file, "lost copy")
        models.SaFunction.objects.filter(pk=lost_copy.pk).update(copied_from=lost)
        files_stage(user=None, tree={"never": b"taken"})
    young = function_make(basic_file, "young")
    cleaned = cleanup()
    assert (cleaned.files, cleaned.functions) == (1, 2)
    assert set(models.SaFunction.objects.all()) == {kept, copy, young}
    assert files_read(basic_file.file_set.all()) == BASIC_FILE
    assert cleanup().functions == 0
    # Once its device, device library and versions are gone, a chain of copies goes as well.
    device.delete()
    models.DeviceLibrary.objects.all().delete()
    assert cleanup().functions == 2


def test_the_settings_sections_must_have_columns(settings: Any) -> None:
    assert [error for error in run_checks() if error.id == "devicetalk.E001"] == []
    settings.LIBRARYFUNCTION_FIELDS = ["var_define", "nothing", "name"]
    found = [error.msg for error in run_checks() if error.id == "devicetalk.E001"]
    assert len(found) == 2
    assert "“nothing”" in found[0]
