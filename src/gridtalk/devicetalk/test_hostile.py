"""No text or path of a user is ever interpreted: literally in the code, or refused by name."""

import ast
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gridtalk.devicetalk.config import basic_file_read
from gridtalk.devicetalk.examples import library_read
from gridtalk.devicetalk.render import device_render, device_zip
from gridtalk.devicetalk.render_function import function_new
from gridtalk.devicetalk.testing_engine import IDF, basic_file_with, device_with, tree_with
from gridtalk.devicetalk.testing_hostile import PATHS, TEXTS
from gridtalk.devicetalk.tree import (
    Device,
    GlobalVariables,
    InvalidTree,
    LibraryFunction,
    Rendered,
)
from gridtalk.devicetalk.ziptree import folder_read, folder_write, zip_make

PLACES = ("name", "device model", "address", "server", "function", "feature", "code", "variables",
          "global variables", "parameter")  # fmt: skip
SA = """name = {{ sa.device_name | pystr }}
model = {{ da.device_model | pystr }}
address = {{ da.device_addr | pystr }}
{{ sa.global_variable_setup }}
{% for f in functions %}{{ f.content }}
{% endfor %}{% for one in idf.info + odf.info %}# {{ one.params.list | join(", ") }}
{% endfor %}"""


def device_of(place: str, text: str) -> Device:
    """A device with that text in one place."""
    device = device_with(code=("{*variable_setup*}", "    pass"), var_setup="a = 1")
    (function,), (feature,) = device.functions, device.features
    if place == "function":
        named = replace(function, name=text)
        return replace(device, functions=(named,), features=(replace(feature, function=text),))
    if place == "parameter":
        df_type = replace(function.df_type, params=(text,))
        return replace(
            device,
            functions=(replace(function, df_type=df_type),),
            features=(replace(feature, df_type=df_type),),
        )
    if place == "code":
        return replace(device, functions=(replace(function, code=(text, "    pass")),))
    if place in {"feature", "variables"}:
        change = {"name": text} if place == "feature" else {"var_setup": text}
        return replace(device, features=(replace(feature, **change),))
    if place == "global variables":
        return replace(device, global_variables=GlobalVariables(text))
    column = {"name": "name", "device model": "device_model", "address": "device_address",
              "server": "server_url"}[place]  # fmt: skip
    return replace(device, **{column: text})


def render(device: Device) -> Rendered | InvalidTree:
    """The code, or why there is none."""
    try:
        return device_render(basic_file=basic_file_with(sa=SA), device=device, libraries=[])
    except InvalidTree as error:
        return error


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("label", TEXTS)
def test_a_text(label: str, place: str) -> None:
    text = TEXTS[label]
    device = device_of(place, text)
    rendered = render(device)
    if isinstance(rendered, InvalidTree):
        assert rendered.problems[0].path, "refused, but not by name"
        assert place not in {"code", "variables", "global variables"} or "\ud800" in text
        return
    assert place != "parameter" or text.isidentifier()
    sa = rendered.files["sa.py"].decode()
    assert "1337" not in sa, "7 * 191 was computed"
    assert "root:" not in sa, "a file of the server was read"
    heads = [line.partition(" = ")[2] for line in sa.split("\n")[:3]]
    assert [ast.literal_eval(head) for head in heads] == [
        device.name, device.device_model, device.device_address
    ]  # fmt: skip
    if place in {"code", "global variables"}:
        assert text in sa
    if place == "variables":
        assert all(line.strip() in sa for line in text.split("\n"))
    packed = device_zip(device_name=device.name, rendered=rendered)
    assert packed[:4] == b"PK\x03\x04"


@pytest.mark.parametrize("label", TEXTS)
def test_a_librarys_text_is_a_value_of_the_template(label: str) -> None:
    text = TEXTS[label]
    fields = {"runs_content": text, "var_define": text}
    ref = LibraryFunction("lib", "f", fields)
    basic = basic_file_with(idf="def {*df_name*}():\n{{ lib.runs_content }}\n")
    made = function_new(basic_file=basic, df_type=IDF, name="f", library_function=ref)
    lines = [line for line in text.split("\n") if line.strip() and line != "{*new_line*}"]
    assert [line for line in made.code[1:] if line] == lines
    assert list(made.var_setup) == text.split("\n")


@pytest.mark.parametrize("label", PATHS)
def test_a_path(label: str, tmp_path: Path) -> None:
    """Zip-slip: no door lets it in, and no zip or folder would be written with it."""
    path = PATHS[label]
    doors: dict[str, Callable[[], object]] = {
        "library": lambda: library_read(
            tree={"lib/lib/a.py": b"", path: b""}, example_dir="examples"
        ),
        "basic file": lambda: basic_file_read(
            name="b", language="Python", tree={**tree_with(), path: b""}
        ),
        "zip": lambda: zip_make({"a": b"", path: b""}),
        "folder": lambda: folder_write({"a": b"", path: b""}, tmp_path / "out"),
    }
    for door, enter in doors.items():
        # A zip's own paths may be longer, as the device's folder comes before.
        if label == "long" and door in {"zip", "folder"}:
            continue
        with pytest.raises(InvalidTree) as caught:
            enter()
        assert path in {problem.path for problem in caught.value.problems}, door
    assert not (tmp_path / "out" / "a").exists() or label == "long"


LINKS: dict[str, Callable[[Path], None]] = {
    "to a file": lambda place: place.symlink_to("/etc/passwd"),
    "to a folder": lambda place: place.symlink_to("/etc"),
    "to its own folder": lambda place: place.symlink_to("."),
    "to nothing": lambda place: place.symlink_to("/nothing/there"),
    "a pipe": os.mkfifo,
}


@pytest.mark.parametrize("label", LINKS)
def test_links_and_pipes_are_refused_by_name(label: str, tmp_path: Path) -> None:
    folder = tmp_path / "lib"
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "a.py").write_bytes(b"")
    LINKS[label](folder / "lib" / "odd")
    with pytest.raises(InvalidTree, match=r"lib/odd: it is"):
        folder_read(folder)
