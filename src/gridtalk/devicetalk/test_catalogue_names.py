"""Device features whose names mean something else in the code that the shipped basic files make."""

import ast

import pytest

from gridtalk.devicetalk.config import BasicFile
from gridtalk.devicetalk.device_file import basic_file_load, catalogue_folder
from gridtalk.devicetalk.render import device_render
from gridtalk.devicetalk.render_function import function_new
from gridtalk.devicetalk.tree import Device, DfType, Feature, InvalidTree

SHIPPED = {
    folder.parent.name: basic_file_load(folder, folder.parent.name)
    for folder in (catalogue_folder() / "basic-files").glob("*/*")
}
PYTHON = SHIPPED["Python"]
#: What iottalk-py 2.3.1 reads in an SA file (its dai.py), and calls or uses as a setting.
IOTTALK_PY = (
    "api_url", "device_model", "device_addr", "device_name", "persistent_binding", "username",
    "extra_setup_webpage", "device_webpage", "push_interval", "interval", "profile",
    "register_callback", "on_register", "on_deregister", "on_connect", "on_disconnect",
    "idf_list", "odf_list",
)  # fmt: skip


def files_of(basic_file: BasicFile, *names: str, in_use: bool = True) -> dict[str, str]:
    """The files of a device with input features of these names, and one of its own."""
    df_type = DfType("idf", ("int",))
    function = function_new(basic_file=basic_file, df_type=df_type, name="f")
    device = Device(
        name="Dev",
        device_model="M",
        features=(
            Feature("Own-I", df_type, "f"),
            *(Feature(name, df_type, "f", in_use=in_use) for name in names),
        ),
        functions=(function,),
        server_url="http://example.org",
    )
    rendered = device_render(basic_file=basic_file, device=device, libraries=())
    return {path: content.decode() for path, content in rendered.files.items()}


@pytest.mark.parametrize(
    ("language", "name", "cause"),
    [
        ("Python", "class", "class is a word of the language"),
        ("Python", "None", "None is a word of the language"),
        *(("Python", name, f"own code uses the name {name}") for name in IOTTALK_PY),
        ("Python", "push-interval", "own code uses the name push_interval"),
        ("Python", "guarded", "own code uses the name guarded"),
        ("Python", "NoData", "own code uses the name NoData"),
        ("C++", "class", "class is a word of the language"),
        ("C++", "and_eq", "and_eq is a word of the language"),
        ("C++", "main", "own code uses the name main"),
        ("Arduino", "switch", "switch is a word of the language"),
        ("Arduino", "loop", "own code uses the name loop"),
        ("Arduino", "OUTPUT", "own code uses the name OUTPUT"),
    ],
)
def test_a_name_that_means_something_else(language: str, name: str, cause: str) -> None:
    with pytest.raises(InvalidTree) as caught:
        files_of(SHIPPED[language], name)
    assert f"device feature {name}: " in str(caught.value)
    assert cause in str(caught.value)
    assert files_of(SHIPPED[language], name, in_use=False)


@pytest.mark.parametrize(
    ("language", "name"),
    [
        ("Python", "int"), ("Python", "match"), ("Python", "Class"), ("Python", "main"),
        ("C++", "None"), ("C++", "settings"), ("C++", "def"), ("Arduino", "output"),
    ],
)  # fmt: skip
def test_a_name_of_another_language(language: str, name: str) -> None:
    assert files_of(SHIPPED[language], name)


def test_every_name_of_the_python_template_is_reserved() -> None:
    files = files_of(PYTHON)
    for path in ("sa.py", "library/Dev_library/functions.py"):
        names: set[str] = set()
        for node in ast.walk(ast.parse(files[path])):
            if isinstance(node, ast.alias):
                names.add(node.asname or node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
        assert names - {"Own_I", "values"} <= PYTHON.config.reserved, path
    assert set(IOTTALK_PY) <= PYTHON.config.reserved


def test_the_manuals_are_those_of_the_language() -> None:
    manuals = {language: basic.config.manual_url for language, basic in SHIPPED.items()}
    assert len(set(manuals.values())) == len(manuals)
