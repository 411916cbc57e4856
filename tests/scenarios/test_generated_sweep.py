"""The whole catalogue through its compilers: each basic file with each model, each device file.

A device model suits every basic file: with functions as the workshop makes them new. The device
files add the libraries; their check calls each function once, on simulated hardware.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.scenarios.device_server import DEVICES

from gridtalk.devicetalk.check.sandbox import Limits
from gridtalk.devicetalk.check.tools import Outcome, Policy, rendered_check
from gridtalk.devicetalk.device_file import Project, device_model_load, project_make, project_read
from gridtalk.devicetalk.device_file_schema import DeviceDocument
from gridtalk.devicetalk.ziptree import folder_write

pytestmark = pytest.mark.scenario

CATALOGUE = DEVICES.parent
BASIC_FILES = sorted(CATALOGUE.glob("basic-files/*/*"))
MODELS = sorted(path.stem for path in CATALOGUE.glob("device-models/*.json"))
#: What an output feature is sent; the others take a number.
SENT: dict[str, list[Any]] = {"Job-O": ["con", 1, "192.168.1.201", 0], "Ack-O": ["none"]}


def checked(project: Project) -> Outcome:
    """What the workshop's check says; skips where the server lacks the compiler."""
    outcome = rendered_check(
        basic_file=project.basic_file,
        device=project.device,
        rendered=project.render(),
        policy=Policy(Limits(), without_bubblewrap=True),
    )
    if outcome.state == "skipped":
        pytest.skip(outcome.summary)
    return outcome


def blank(folder: Path, model: str) -> Project:
    """A device of that model with all its features in use, and functions as they are made new."""
    found = device_model_load(CATALOGUE, model)
    assert found is not None
    types = {(df.type, tuple(df.params)): f"new_{n}" for n, df in enumerate(found.features)}
    document = {
        "name": f"Blank {model}", "device_model": model, "language": folder.parent.name,
        "basic_file": folder.name,
        "functions": [
            {"name": name, "type": kind, "params": list(params)}
            for (kind, params), name in types.items()
        ],
        "features": [
            {"name": df.name, "type": df.type, "function": types[df.type, tuple(df.params)]}
            for df in found.features
        ],
        "da": {"server_url": "http://127.0.0.1:8000/iottalk/v2"},
    }  # fmt: skip
    return project_make(DeviceDocument.model_validate(document), CATALOGUE, CATALOGUE)


@pytest.mark.parametrize("folder", BASIC_FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
@pytest.mark.parametrize("model", MODELS)
def test_each_basic_file_suits_each_model(folder: Path, model: str) -> None:
    outcome = checked(blank(folder, model))
    assert outcome.state == "passed"
    assert outcome.messages == ()  # no warning either


@pytest.mark.parametrize("path", sorted(DEVICES.glob("*.json")), ids=lambda path: path.stem)
def test_each_device_file_passes_the_check(path: Path) -> None:
    outcome = checked(project_read(path, CATALOGUE))
    assert outcome.state == "passed"
    assert outcome.messages == ()


def test_each_basic_file_has_a_device_of_each_model() -> None:
    made = {
        (document["language"], document["basic_file"], document["device_model"])
        for document in (json.loads(path.read_text()) for path in DEVICES.glob("*.json"))
    }
    wanted = {
        (folder.parent.name, folder.name, model) for folder in BASIC_FILES for model in MODELS
    }
    assert wanted <= made


@pytest.mark.parametrize("path", sorted(DEVICES.glob("*-cpp.json")), ids=lambda path: path.stem)
def test_the_functions_of_each_cpp_device_run(path: Path, tmp_path: Path) -> None:
    """Python's are run by the unit tests, Arduino's in simavr."""
    if shutil.which("g++") is None or not Path("/usr/include/nlohmann/json.hpp").exists():
        pytest.skip("Debian's packages g++ and nlohmann-json3-dev are needed")
    project = project_read(path, CATALOGUE)
    folder_write(project.render().files, tmp_path / "device")
    library = project.basic_file.config.out_path("{device_name}_library", project.device.name)
    used = [feature for feature in project.device.features if feature.in_use]
    lines = [f'#include "library/{library}/functions.hpp"', "#include <iostream>", "int main() {"]
    for feature in used:
        name = feature.name.replace("-", "_")
        if feature.df_type.direction == "idf":
            call = f"{name}().dump()"
        else:
            sent = json.dumps(SENT.get(feature.name, [1]))
            call = f'({name}(json::parse(R"({sent})")), "done")'
        lines.append(f'    std::cout << "{name} " << {call} << std::endl;')
    (tmp_path / "device/check.cpp").write_text("\n".join([*lines, "}", ""]))
    for command in (
        ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-I.", "-Ilibrary", "check.cpp",
         "-o", "check", "-pthread"],
        ["./check"],
    ):  # fmt: skip
        done = subprocess.run(
            command, cwd=tmp_path / "device", capture_output=True, text=True, timeout=300,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    for feature in used:
        assert f"{feature.name.replace('-', '_')} " in done.stdout
