"""The shipped catalogue in the database: what is stored makes the very code that its files make."""

from dataclasses import replace
from pathlib import Path

import pytest
from django.db import transaction

from gridtalk.devicetalk import device_file, engine, models
from gridtalk.devicetalk.device_file_schema import DeviceDocument
from gridtalk.devicetalk.services.catalogue_install import catalogue_install
from gridtalk.devicetalk.services.documents import device_document_save
from gridtalk.devicetalk.services.documents_read import device_document
from gridtalk.devicetalk.testing import user_make

pytestmark = pytest.mark.django_db

CATALOGUE = device_file.catalogue_folder()


def test_installing_twice_changes_nothing() -> None:
    first = catalogue_install(folder=CATALOGUE)
    assert "basic file Python/iottalk-py" in first.stored
    assert "device model Plantbox" in first.stored
    assert "device Python/Plantbox 1" in first.stored
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


def test_stored_devices_make_the_code_of_their_files() -> None:
    # Installed once for all: that takes longer than the rest. Each finds the others gone.
    catalogue_install(folder=CATALOGUE)
    paths = sorted((CATALOGUE / "devices").glob("*.json"))
    assert paths
    for path in paths:
        with transaction.atomic():
            a_stored_device_makes_the_code_of_its_file(path)
            transaction.set_rollback(True)


def a_stored_device_makes_the_code_of_its_file(path: Path) -> None:
    document = device_file.document_read(path, DeviceDocument)
    project = device_file.project_make(document, CATALOGUE, path.parent)
    # The database knows no order of functions: they come by name.
    functions = tuple(sorted(project.device.functions, key=lambda function: function.name))
    device = replace(project.device, device_address="an-address", functions=functions)
    project = replace(project, device=device)
    user = user_make()
    document = document.model_copy(
        update={"da": document.da.model_copy(update={"device_address": "an-address"})}
    )
    saved = device_document_save(user=user, document=document).device
    rendered = engine.device_render(saved)
    assert rendered.files == project.render().files
    assert rendered.places == project.render().places
    # Out and in again: the same document, the same functions' rows, the same code.
    given = device_document(device=saved)
    functions_before = set(saved.functions.values_list("pk", flat=True))
    again = device_document_save(
        user=user, document=given, device=saved, revision=saved.revision
    ).device
    assert device_document(device=again) == given
    assert set(again.functions.values_list("pk", flat=True)) == functions_before
    assert engine.device_render(again).files == rendered.files
    # And what the API gives is a device file, which needs no database.
    flat = device_document(device=again, flat=True)
    assert device_file.project_make(flat, CATALOGUE, path.parent).render().files == rendered.files
