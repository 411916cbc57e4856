"""The shipped catalogue in the database: what is stored makes the very code that its files make."""

from dataclasses import replace
from pathlib import Path

import pytest

from gridtalk.devicetalk import device_file, engine, models, tree
from gridtalk.devicetalk.services.catalogue import df_type_get
from gridtalk.devicetalk.services.catalogue_install import catalogue_install
from gridtalk.devicetalk.services.device_spec import Chosen, DeviceSpec, Df, Use
from gridtalk.devicetalk.services.devices import device_save
from gridtalk.devicetalk.services.functions import Draft, function_create
from gridtalk.devicetalk.testing import user_make

pytestmark = pytest.mark.django_db

CATALOGUE = device_file.catalogue_folder()


def test_installing_twice_changes_nothing() -> None:
    first = catalogue_install(folder=CATALOGUE)
    assert "basic file Python/iottalk-py" in first.stored
    assert "device model Plantbox" in first.stored
    assert first.present == []
    files = set(models.BasicFile.objects.values_list("file__pk", flat=True))
    mine = models.Library.objects.order_by("pk").first()
    assert mine is not None
    models.Library.objects.filter(pk=mine.pk).update(uploaded_by=user_make())
    again = catalogue_install(folder=CATALOGUE)
    assert again.stored == []
    assert len(again.present) == len(first.stored) - 1
    assert [name.rpartition("/")[2] for name in again.kept] == [mine.name]
    assert set(models.BasicFile.objects.values_list("file__pk", flat=True)) == files


def test_a_changed_file_is_stored_again(tmp_path: Path) -> None:
    folder = tmp_path / "device-models"
    folder.mkdir()
    model = '{"name": "DM", "features": [{"name": "A", "type": "idf", "params": ["%s"]}]}'
    for kind in ("int", "float"):
        (folder / "DM.json").write_text(model % kind)
        assert catalogue_install(folder=tmp_path).stored == ["device model DM"]
    feature = models.DeviceModelFeature.objects.get()
    assert feature.df_type.params == ["float"]


def save(project: device_file.Project) -> models.Device:
    """A project of the catalogue, saved through the services."""
    basic_file = models.BasicFile.objects.get(
        language__name=project.basic_file.language, name=project.basic_file.name
    )
    libraries = [
        models.Library.objects.get(basic_file=basic_file, name=library.name)
        for library in project.libraries
    ]
    made: dict[tuple[tree.DfType, str], models.SaFunction] = {}
    for function in project.device.functions:
        ref = function.library_ref
        made[function.df_type, function.name] = function_create(
            user=None,
            basic_file=basic_file,
            df_type=df_type_get(
                direction=function.df_type.direction, params=function.df_type.params
            ),
            draft=Draft(function.name, function.code, function.var_setup, function.readonly_lines),
            library_function=ref
            and models.LibraryFunction.objects.get(
                library__basic_file=basic_file, library__name=ref[0], name=ref[1]
            ),
        )
    device = project.device
    spec = DeviceSpec(
        name=device.name,
        dm_name=device.device_model,
        basic_file=basic_file,
        server_url=device.server_url,
        device_address=device.device_address,
        push_interval_s=device.push_interval_s,
        libraries=tuple(Chosen("L", library.pk) for library in libraries),
        global_var_setup=device.global_variables.text,
        gvs_readonly_lines=device.global_variables.readonly_lines,
        dfs=tuple(
            Df(df.name, df.df_type, df.in_use, (
                Use(made[df.df_type, df.function].pk, df.var_setup, True),
            ) if df.function else ())
            for df in device.features
        ),
    )  # fmt: skip
    return device_save(user=None, spec=spec).device


@pytest.mark.parametrize(
    "path", sorted((CATALOGUE / "devices").glob("*.json")), ids=lambda p: p.stem
)
def test_a_stored_device_makes_the_code_of_its_file(path: Path) -> None:
    catalogue_install(folder=CATALOGUE)
    project = device_file.project_read(path, CATALOGUE)
    # The database knows no order of functions: they come by name.
    functions = tuple(sorted(project.device.functions, key=lambda function: function.name))
    device = replace(project.device, device_address="an-address", functions=functions)
    project = replace(project, device=device)
    rendered = engine.device_render(save(project))
    assert rendered.files == project.render().files
    assert rendered.places == project.render().places
