"""Hostile texts and paths through the calls: plain text in the output, or refused by name."""

import ast
import io
import json
import zipfile
from copy import deepcopy
from typing import Any

import pytest

from gridtalk.api.tests.workshop import BASIC_FILE, DOCUMENT, Workshop, counts
from gridtalk.devicetalk.testing_hostile import PATHS, TEXTS

pytestmark = pytest.mark.django_db


@pytest.fixture
def workshop() -> Workshop:
    return Workshop()


def with_text(text: str, name: str) -> dict[str, Any]:
    """The document with that text wherever a user's text can stand that is no name."""
    document = deepcopy(DOCUMENT) | {"name": name, "global_variables": {"text": text}}
    wet = document["functions"][1]
    wet["code"][2], wet["var_setup"] = text, [text]
    document["features"][0]["var_setup"] = text
    document["features"][1].pop("others")
    return document


def test_no_users_text_is_interpreted(workshop: Workshop) -> None:
    """Literally in the output, or refused with its reason; test_hostile.py tests every place."""
    taken = 0
    for number, (label, text) in enumerate(TEXTS.items()):
        for name in (text, f"Box {number}"):
            made = workshop.maker.send("POST", "device", with_text(text, name))
            if made.status_code != 201:
                assert made.status_code == 400, (label, made.content)
                assert len(made.json()["error"]) > 20, label
                continue
            taken += 1
            packed = workshop.maker.get(f"device/{made.json()['id']}/zip")
            assert packed.status_code == 200, (label, packed.content)
            folder, files = unpacked(packed.content)
            assert folder.replace("_", "a").isalnum(), "a safe name, whatever the device's is"
            sa = files["sa.py"]
            assert "1337" not in sa, (label, "7 * 191 was computed")
            assert "root:" not in "".join(files.values()), (label, "a file of the server was read")
            first = sa.partition("\n")[0].removeprefix("name = ")
            assert ast.literal_eval(first) == name.strip(), label
            assert sa.count(text) >= 3, (label, "code, its variables, a feature's variables")
            break
    assert taken >= len(TEXTS) - 4, "only NUL, half a character and line breaks in code are refused"


def unpacked(data: bytes) -> tuple[str, dict[str, str]]:
    """The zip's one folder, and its files as text."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        (folder,) = {name.partition("/")[0] for name in names}
        for entry in archive.infolist():
            assert ".." not in entry.filename.split("/")
            assert (entry.external_attr >> 16) & 0o170000 == 0o100000, "a file, no link"
        return folder, {
            name.partition("/")[2]: archive.read(name).decode() for name in names
        }  # fmt: skip


def test_hostile_texts_in_a_library(workshop: Workshop) -> None:
    """A library's code is copied; its examples are values of the template, never templates."""
    files: dict[str, bytes] = {}
    for number, given in enumerate(TEXTS.values()):
        text = given.encode("utf-8", "surrogatepass")
        files[f"lib/lib/code{number}.py"] = text
        files[f"lib/examples/f{number}.py"] = (
            b"# ***[var_define]***\n" + text + b"\n# ***[runs_content]***\n" + text + b"\n"
        )
    batch = workshop.maker.upload(files)
    taken = workshop.maker.send("PUT", "library/Python/base", {"upload_batch": batch})
    assert taken.status_code == 200, taken.content
    library = taken.json()["library"]
    assert len(taken.json()["notes"]) == 2, "NUL and half a character are no text"
    stored = {row["path"]: row["uuid"] for row in library["files"]}
    for path, content in files.items():
        assert workshop.other.get(f"file/{stored[path]}").content == content
    assert len(library["library_functions"]) == len(TEXTS) - 2
    for function in library["library_functions"]:
        begun = workshop.maker.get(
            "function/new/Python/base", dftype="idf", dfparam="int",
            library_function=function["id"],
        )  # fmt: skip
        assert begun.status_code == 200, begun.content
        assert begun.json()["var_setup"] == function["fields"]["var_define"].split("\n")


def test_hostile_paths_are_refused_by_name(workshop: Workshop) -> None:
    before = counts()
    for label, path in PATHS.items():
        answer = workshop.maker.send("PUT", "file", {"paths": ["lib/lib/good.py", path]})
        assert answer.status_code == 400, label
        error = answer.json()["error"].replace("\\\\", "\\")
        assert not path.isprintable() or path[:40] in error, (label, error)
    assert counts() == before


@pytest.mark.parametrize("where", ["languages", "devicemodels", "basicfiles"])
def test_hostile_names_in_the_catalogue(workshop: Workshop, where: str) -> None:
    taken = 0
    for label, name in TEXTS.items():
        body: dict[str, Any] = {"name": name}
        if where == "devicemodels":
            body["features"] = [{"name": name[:100], "type": "idf", "params": ["int"]}]
        if where == "basicfiles":
            body |= {"language": "Python", "upload_batch": workshop.admin.upload(BASIC_FILE)}
        answer = workshop.admin.send("PUT", where, body)
        if answer.status_code == 200:
            taken += 1
            assert answer.json()["name"] == name.strip(), label
            listed = workshop.viewer.get(where).json()
            assert name.strip() in [row["name"] for row in listed], label
        else:
            assert answer.status_code == 400, (label, answer.content)
            assert answer.json()["error"], label
    assert taken > 5


def test_a_query_with_a_nul(workshop: Workshop) -> None:
    for path in ("device?search=%00", "devicemodels?search=%00", "library/%00/base",
                 "library/Python/%00", "function/new/Python/%00?dftype=idf",
                 "function/new/Python/base?dftype=idf&dfparam=%00"):  # fmt: skip
        answer = workshop.maker.client.get(f"/api/{path}")
        assert answer.status_code == 400, path
        assert "Traceback" not in json.dumps(answer.json())


def test_a_hundred_thousand_faults_make_a_short_answer(workshop: Workshop) -> None:
    for body in ({"paths": ["../a"] * 90_000}, {"paths": [7] * 90_000}):
        answer = workshop.maker.send("PUT", "file", body)
        assert answer.status_code == 400
        assert len(answer.content) < 10_000
        assert "more" in answer.json()["error"]
