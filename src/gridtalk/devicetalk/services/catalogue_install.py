"""Loading the catalogue: basic files, libraries, device models and devices of Gridtalk's own."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gridtalk.devicetalk import device_file, tree
from gridtalk.devicetalk.device_file_schema import DeviceDocument, Folder
from gridtalk.devicetalk.models import BasicFile, Device, DeviceModel, Library
from gridtalk.devicetalk.selectors import basic_file_get
from gridtalk.devicetalk.services.catalogue import (
    basic_file_put,
    device_model_put,
    language_create,
)
from gridtalk.devicetalk.services.device_spec import plain_type
from gridtalk.devicetalk.services.documents import device_document_save
from gridtalk.devicetalk.services.libraries import library_put
from gridtalk.devicetalk.ziptree import folder_read
from gridtalk.files.services import files_read, files_stage


@dataclass
class Installed:
    """What was stored, what was there already as it is, and what was left alone, by name."""

    stored: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def catalogue_install(*, folder: Path) -> Installed:
    """Store what the folder holds and the database does not hold as it is; again is no error.

    Each basic file, library and device by itself: one that is refused (:class:`InvalidTree`) leaves
    those before it. A library of that name which a user uploaded is left alone, and so is a device
    of that name that everybody has, since somebody may have changed it.
    """
    done = Installed()
    for language_folder in _folders(folder / "basic-files"):
        language = language_create(user=None, name=language_folder.name)
        for place in _folders(language_folder):
            given = folder_read(place, ignore=device_file.IGNORED)
            what = f"basic file {language}/{place.name}"
            old = BasicFile.objects.filter(language=language, name=place.name).first()
            if old is not None and files_read(old.file_set.all()) == given:
                done.present.append(what)
                continue
            batch = files_stage(user=None, tree=given)
            basic_file_put(user=None, language=language, name=place.name, batch_id=batch.pk)
            done.stored.append(what)
        for basic_file in BasicFile.objects.filter(language=language).order_by("pk"):
            for place in _folders(folder / "libraries" / language_folder.name):
                _library_install(basic_file, place, done)
    for path in sorted((folder / "device-models").glob("*.json")):
        _device_model_install(folder, path.stem, done)
    for path in sorted((folder / "devices").glob("*.json")):
        _device_install(path, done)
    return done


def _folders(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from sorted(place for place in folder.iterdir() if place.is_dir())


def _library_install(basic_file: BasicFile, place: Path, done: Installed) -> None:
    what = f"library {basic_file.language}/{basic_file}/{place.name}"
    given = {
        f"{place.name}/{path}": content
        for path, content in folder_read(place, ignore=device_file.IGNORED).items()
    }
    old = Library.objects.filter(basic_file=basic_file, name=place.name).first()
    if old is not None and old.uploaded_by_id is not None:
        done.kept.append(what)
        return
    if old is not None and files_read(old.file_set.all()) == given:
        done.present.append(what)
        return
    batch = files_stage(user=None, tree=given)
    library_put(user=None, basic_file=basic_file, batch_id=batch.pk)
    done.stored.append(what)


def _device_model_install(folder: Path, name: str, done: Installed) -> None:
    document = device_file.device_model_load(folder, name)
    if document is None:
        return
    given = [(df.name, tree.DfType(df.type, tuple(df.params))) for df in document.features]
    old = DeviceModel.objects.filter(name=document.name).first()
    rows = old.features.select_related("df_type").order_by("order") if old else ()
    what = f"device model {document.name}"
    if old is not None and [(row.name, plain_type(row.df_type)) for row in rows] == given:
        done.present.append(what)
        return
    device_model_put(user=None, name=document.name, features=given)
    done.stored.append(what)


def _device_install(path: Path, done: Installed) -> None:
    """A device to begin with, everybody's: who wants to change it clones it."""
    document = device_file.document_read(path, DeviceDocument)
    what = f"device {document.language}/{document.name}"
    if isinstance(document.basic_file, Folder):
        return  # it brings its own basic file, for gridtalk generate
    basic_file = basic_file_get(language=document.language, name=document.basic_file)
    if Device.objects.filter(user=None, name=document.name, basic_file=basic_file).exists():
        done.present.append(what)
        return
    device_document_save(user=None, document=document)
    done.stored.append(what)
