"""Device files and the shipped catalogue.

The golden files are remade by ``GRIDTALK_GOLDEN=write``; read the difference before committing it.
"""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gridtalk.core.errors import SetupError, UserError
from gridtalk.devicetalk.device_file import (
    basic_file_load,
    catalogue_folder,
    device_model_load,
    library_load,
    project_read,
)
from gridtalk.devicetalk.render_function import function_new
from gridtalk.devicetalk.testing_engine import tree_with
from gridtalk.devicetalk.tree import DfType, InvalidTree
from gridtalk.devicetalk.ziptree import folder_write

CATALOGUE = catalogue_folder()
GOLDEN = Path(__file__).parent / "golden"
DEVICES = sorted((CATALOGUE / "devices").glob("*.json"))
BASIC_FILES = sorted(CATALOGUE.glob("basic-files/*/*"))
LIBRARIES = sorted(CATALOGUE.glob("libraries/*/*"))
MODELS = sorted(CATALOGUE.glob("device-models/*.json"))
#: What iottalk-py gives a function, without installing it here.
NO_DATA = "class NoData: pass\n"
CALL_ALL = """
import importlib, inspect, sys
name = sys.argv[1]
module = importlib.import_module(f"library.{name}.functions")
VALUES = {"Job_O": ["con", 1, "192.168.1.201", 0]}
for df, kind in zip(sys.argv[2::2], sys.argv[3::2]):
    function = getattr(module, df)
    print(df, function() if kind == "idf" else function(VALUES.get(df, [1])))
"""


def ids(paths: list[Path]) -> list[str]:
    return [f"{path.parent.name}-{path.stem}" for path in paths]


@pytest.mark.parametrize("path", DEVICES, ids=ids(DEVICES))
def test_devices_of_the_catalogue_are_as_they_were(path: Path) -> None:
    project = project_read(path, CATALOGUE)
    assert project.notes == ()
    rendered = project.render()
    config = project.basic_file.config
    made = [config.out_path(p, project.device.name) for p in (*config.sa, config.safuncs)]
    text = "".join(f"===== {p}\n{rendered.files[p].decode()}" for p in made)
    text += "===== all files\n" + "".join(f"{p}\n" for p in rendered.files)
    # The version changes with every file of the catalogue; the rest is what is held here.
    text = re.sub(r"(?<=[\"'])[0-9a-f]{16}(?=[\"'])", "VERSION", text)
    golden = GOLDEN / f"{path.stem}.txt"
    if os.environ.get("GRIDTALK_GOLDEN") == "write":
        golden.write_text(text)
    assert text == golden.read_text()
    assert len({place.df_name for place in rendered.places}) == len(
        [feature for feature in project.device.features if feature.in_use]
    )


@pytest.mark.parametrize(
    "path", [p for p in DEVICES if p.stem.endswith("-python")], ids=lambda p: p.stem
)
def test_python_devices_compile_and_their_functions_run(path: Path, tmp_path: Path) -> None:
    project = project_read(path, CATALOGUE)
    rendered = project.render()
    for name, content in rendered.files.items():
        if name.endswith(".py"):
            compile(content, name, "exec", flags=ast.PyCF_ONLY_AST, dont_inherit=True)
    folder_write(rendered.files, tmp_path / "device")
    stub = tmp_path / "stub/iottalkpy"
    stub.mkdir(parents=True)
    (stub / "dan.py").write_text(NO_DATA)
    library = project.basic_file.config.out_path("{device_name}_library", project.device.name)
    used = [feature for feature in project.device.features if feature.in_use]
    calls = [x for f in used for x in (f.name.replace("-", "_"), f.df_type.direction)]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CALL_ALL, library, *calls],
        cwd=tmp_path / "device", capture_output=True, text=True, timeout=60, check=False,
        env=os.environ | {"PYTHONPATH": f"{tmp_path / 'device'}:{tmp_path / 'stub'}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for feature in used:
        assert f"{feature.name.replace('-', '_')} " in done.stdout


@pytest.mark.parametrize("folder", BASIC_FILES, ids=ids(BASIC_FILES))
@pytest.mark.parametrize("model", MODELS, ids=lambda p: p.stem)
def test_every_basic_file_makes_functions_for_every_model(folder: Path, model: Path) -> None:
    basic_file = basic_file_load(folder, folder.parent.name)
    document = device_model_load(CATALOGUE, model.stem)
    assert document is not None
    assert document.name == model.stem
    for feature in document.features:
        made = function_new(
            basic_file=basic_file, df_type=DfType(feature.type, tuple(feature.params)), name="n"
        )
        assert "" in made.code  # there is a line to write in
        if folder.parent.name == "Python":
            text = "\n".join(made.code).replace("{*df_name*}", "f")
            ast.parse(text.replace("{*variable_setup*}", ""))


@pytest.mark.parametrize("folder", LIBRARIES, ids=ids(LIBRARIES))
def test_every_library_is_taken_whole(folder: Path) -> None:
    language = folder.parent.name
    for shelf in sorted((CATALOGUE / "basic-files" / language).iterdir()):
        parsed = library_load(folder, basic_file_load(shelf, language))
        assert parsed.notes == ()
        assert parsed.library.library_functions


def write(folder: Path, document: dict[str, Any] | str) -> Path:
    path = folder / "device.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def document_of(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((CATALOGUE / "devices" / f"{name}.json").read_text())
    return document


def test_folders_beside_the_device_file(tmp_path: Path) -> None:
    folder_write(tree_with(), tmp_path / "mine")
    folder_write({"own/own.py": b"x = 1\n"}, tmp_path / "own")
    path = write(
        tmp_path,
        {
            "name": "D", "device_model": "Unknown", "language": "Python",
            "basic_file": {"folder": "mine"}, "libraries": [{"folder": "./own"}],
            "functions": [{"name": "f", "type": "idf", "code": ["{{ x }}"]}],
            "features": [{"name": "A", "type": "idf", "params": [], "function": "f"}],
        },
    )  # fmt: skip
    files = project_read(path, CATALOGUE).render().files
    assert files["library/own/own.py"] == b"x = 1\n"
    assert files["library/D_library/functions.py"] == b"{{ x }}\n--\n"


@pytest.mark.parametrize(
    ("label", "change", "awaited"),
    [
        ("not JSON", "{", "line 1, column 2"),
        ("NaN", '{"a": NaN}', "NaN is not a number"),
        ("twice", '{"a": 1, "a": 2}', "'a' is there twice"),
        ("deep", "[" * 100_000, "recursion"),
        ("no object", "[]", "valid dictionary"),
        ("unknown field", {"nmae": "x"}, "nmae: Extra inputs"),
        ("type", {"name": 5}, "name: Input should be a valid string"),
        ("name", {"name": "x" * 93}, "name: String should have at most 92"),
        ("interval", {"da": {"push_interval_s": 0}}, "da.push_interval_s"),
        ("basic file", {"basic_file": "nothing"}, "it has: iottalk-py"),
        ("traversal", {"basic_file": "../Python/iottalk-py"}, "cannot be the name of a folder"),
        ("language", {"language": "../../etc"}, "cannot be the name of a folder"),
        ("model", {"device_model": "../x"}, "cannot be the name of a folder"),
        ("library", {"libraries": ["none"]}, "it has: dht"),
        ("folder", {"libraries": [{"folder": "none"}]}, "there is no such folder"),
        ("ref", {"libraries": []}, "library 'dummy' is not chosen"),
        ("features", {"features": [{"name": "New-I"}]}, "does not tell its type"),
        ("none in use", {"features": []}, "none is in use"),
        (
            "line break in code",
            {"functions": [{"name": "f", "type": "idf", "code": ["a\nb"]}]},
            "functions.0.code.0",
        ),
        (
            "read-only lines",
            {"functions": [{"name": "f", "type": "idf", "code": [""], "readonly_lines": [1]}]},
            "beyond its code",
        ),
    ],
)
def test_bad_documents(
    label: str, change: dict[str, Any] | str, awaited: str, tmp_path: Path
) -> None:
    document = change if isinstance(change, str) else document_of("dummy-python") | change
    with pytest.raises(UserError) as caught:
        project_read(write(tmp_path, document), CATALOGUE).render()
    assert awaited in str(caught.value), label


def test_what_is_not_mentioned_comes_from_the_model() -> None:
    project = project_read(CATALOGUE / "devices/dummy-python.json", CATALOGUE)
    [sensor, control] = project.device.features
    assert sensor.df_type == DfType("idf", ("float",))
    assert control.var_setup == 'label = "received"'


def test_no_catalogue(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="is no catalogue"):
        catalogue_folder(tmp_path)


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    document = {
        "name": "box",
        "device_model": "Nowhere",
        "language": "Python",
        "basic_file": "iottalk-py",
        "libraries": ["nope", "dummy", {"device_library": "x_library"}, "nada"],
        "functions": [
            {"name": f"of {name}", "type": "idf", "library_ref": {"library": name, "function": "f"}}
            for name in ("nope", "dummy")
        ],
        "features": [{"name": "A"}, {"name": "B", "type": "idf"}],
    }
    path = tmp_path / "device.json"
    path.write_text(json.dumps(document))
    with pytest.raises(InvalidTree, match="cannot be made") as caught:
        project_read(path, catalogue_folder())
    text = str(caught.value)
    for awaited in (
        "no library 'nope'", "'x_library': device libraries", "no library 'nada'",
        "function of dummy: library 'dummy' has no function 'f'", "device feature A:",
        "device feature B:",
    ):  # fmt: skip
        assert awaited in text
    assert "of nope" not in text, "what else is wrong with it nobody can know"
