"""No function comes into a device whose code could not run with it."""

import pytest

from gridtalk.core.errors import UserError
from gridtalk.devicetalk import models
from gridtalk.devicetalk.services import functions
from gridtalk.devicetalk.services.device_spec import Chosen
from gridtalk.devicetalk.services.devices import device_save
from gridtalk.devicetalk.services.functions_draft import Draft
from gridtalk.devicetalk.testing import (
    IDF_CODE,
    basic_file_make,
    df_make,
    df_type_make,
    draft,
    function_make,
    library_make,
    spec_make,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def python() -> models.BasicFile:
    return basic_file_make()


@pytest.fixture
def cxx() -> models.BasicFile:
    return basic_file_make("linux", "C++")


def device_of(basic_file: models.BasicFile, *libraries: models.Library) -> models.Device:
    """A device with one function, which chose these libraries."""
    function = function_make(basic_file, f"first_{basic_file.name}")
    chosen = tuple(Chosen("L", library.pk) for library in libraries)
    spec = spec_make(basic_file, df_make("A", function), libraries=chosen)
    return device_save(user=None, spec=spec).device


def make(
    basic_file: models.BasicFile,
    device: models.Device | None,
    library_function: models.LibraryFunction | None = None,
) -> models.SaFunction:
    """A new function of that basic file, for the device."""
    begun = functions.function_new(
        basic_file=basic_file, df_type=df_type_make(), library_function=library_function, name="new"
    )
    return functions.function_create(
        user=None,
        basic_file=basic_file,
        df_type=df_type_make(),
        draft=Draft("new", begun.code, begun.var_setup, begun.readonly_lines),
        library_function=library_function,
        device=device,
    )


def test_a_function_of_another_language(python: models.BasicFile, cxx: models.BasicFile) -> None:
    device = device_of(python)
    with pytest.raises(UserError, match=r"for C\+\+/linux; Plant is for Python/base"):
        make(cxx, device)
    foreign = library_make(cxx, "dht").functions.get()
    for basic_file in (python, cxx):
        with pytest.raises(UserError, match="for Python/base"):
            make(basic_file, device, foreign)
    with pytest.raises(UserError, match=r"library dht for C\+\+/linux; this is for Python/base"):
        functions.function_new(basic_file=python, df_type=df_type_make(), library_function=foreign)
    assert device.functions.count() == 1


def test_a_function_of_a_library_that_was_not_chosen(python: models.BasicFile) -> None:
    library = library_make(python, "dht")
    with pytest.raises(UserError, match="read needs the library dht; choose it for Plant first"):
        make(python, device_of(python), library.functions.get())


def test_a_function_of_a_library_that_was_chosen(python: models.BasicFile) -> None:
    library = library_make(python, "dht")
    device = device_of(python, library)
    assert make(python, device, library.functions.get()) in device.functions.all()


def test_saving_takes_no_function_of_another_language_into_a_device(
    python: models.BasicFile, cxx: models.BasicFile
) -> None:
    theirs = device_of(cxx).functions.get()
    device = device_of(python)
    with pytest.raises(UserError, match=r"for C\+\+/linux; Plant is for Python/base"):
        functions.function_save(
            user=None, function=theirs, draft=draft("theirs", *IDF_CODE), device=device
        )
    library = library_make(cxx, "dht")
    made = make(cxx, None, library.functions.get())
    with pytest.raises(UserError, match=r"for C\+\+/linux; Plant is for Python/base"):
        functions.function_save(user=None, function=made, draft=draft("made"), device=device)
    assert device.functions.count() == 1


def test_a_function_of_another_device_of_the_language_is_taken(python: models.BasicFile) -> None:
    other = device_save(
        user=None,
        spec=spec_make(python, df_make("A", function_make(python, "good")), name="Other"),
    ).device
    device = device_of(python)
    functions.function_save(
        user=None, function=other.functions.get(), draft=draft("good"), device=device
    )
    assert device.functions.filter(name="good").exists()
