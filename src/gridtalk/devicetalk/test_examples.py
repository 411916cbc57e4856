"""Uploaded libraries: layout, sections, global variables."""

import pytest

from gridtalk.devicetalk.examples import library_read, readonly_parse, sections_parse
from gridtalk.devicetalk.tree import SECTIONS, InvalidTree

GOOD = {
    "dht/dht/dht.py": b"x = 1\r\n",
    "dht/dht/data/table.bin": b"\xff\x00",
    "dht/examples/read.v2.py": b"ignored\n# ***[var_define]***\npin = 4\n\n# ***[runs_content]***\n"
    b"if x:\n    read(pin)\n",
    "dht/examples/gvs.py": b"// ***[gvs]***\nstate = {\n}\n// ***[gvsro]***\n[1, 0]\n",
}


def test_a_good_library() -> None:
    parsed = library_read(tree=GOOD, example_dir="examples")
    library = parsed.library
    assert parsed.notes == ()
    assert library.name == "dht"
    # Kept byte for byte, binary ones too.
    assert library.files == {"dht/dht.py": b"x = 1\r\n", "dht/data/table.bin": b"\xff\x00"}
    [function] = library.library_functions
    assert function.name == "read"
    assert function.fields == {
        "var_define": "pin = 4",
        "import_string": "",
        "init_content": "",
        "runs_content": "if x:\n    read(pin)",
        "member_var_define": "",
    }
    assert library.global_variables.text == "state = {\n}"
    assert library.global_variables.readonly_lines == (0, 1)


@pytest.mark.parametrize(
    ("label", "changes", "awaited"),
    [
        ("elsewhere", {"dht/README": b""}, "dht/README: it lies neither in"),
        ("two folders", {"other/other/x": b""}, "one folder is awaited, there are 2: dht, other"),
        ("same function", {"dht/examples/read.py": b""}, "makes the same function 'read'"),
        ("two globals", {"dht/examples/gvs.h": b""}, "global variables are in"),
        ("no name", {"dht/examples/.hidden": b""}, "up to the first dot"),
        ("gvsro", {"dht/examples/gvs.py": b"# ***[gvs]***\na\n# ***[gvsro]***\n[1]"}, "line 3:"),
        ("traversal", {"dht/dht/../../x": b""}, "leads out of its folder"),
        ("backslash", {"dht/dht/..\\x": b""}, "has a backslash"),
        ("case", {"dht/dht/DHT.py": b""}, "on systems which ignore case"),
        ("file as folder", {"dht/dht/dht.py/x": b""}, "itself a file"),
        ("long", {"dht/dht/" + "x" * 100: b""}, "longer than 100"),
    ],
)
def test_refused(label: str, changes: dict[str, bytes], awaited: str) -> None:
    with pytest.raises(InvalidTree) as caught:
        library_read(tree=GOOD | changes, example_dir="examples")
    assert awaited in str(caught.value), label


def test_all_problems_at_once() -> None:
    changes = {"dht/a": b"", "dht/b": b"", "dht/examples/read.c": b""}
    with pytest.raises(InvalidTree) as caught:
        library_read(tree=GOOD | changes, example_dir="examples")
    assert [problem.path for problem in caught.value.problems] == [
        "dht/a",
        "dht/b",
        "dht/examples/read.v2.py",
    ]


def test_notes_name_what_is_not_used() -> None:
    changes = {
        "dht/examples/odd.py": b"# ***[runs_contents]***\nx\n# ***[var_define]***\ny\n"
        b"# ***[var_define]***\nz",
        "dht/examples/picture.png": b"\x89PNG\xff",
        "dht/examples/empty.py": b"",
    }
    parsed = library_read(tree=GOOD | changes, example_dir="examples")
    notes = "\n".join(map(str, parsed.notes))
    assert "odd.py, line 1: the section 'runs_contents' is not known" in notes
    assert "odd.py, line 5: the section 'var_define' is there twice (line 3)" in notes
    assert "picture.png: it is not UTF-8" in notes
    assert "empty.py: it has no section" in notes
    odd = next(x for x in parsed.library.library_functions if x.name == "odd")
    assert odd.fields["var_define"] == "y"


@pytest.mark.parametrize(
    ("label", "line", "opens"),
    [
        ("python", "# ***[gvs]***", True),
        ("c++", "// ***[gvs]***", True),
        ("more behind it", "# ***[gvs]*** the text", True),
        ("indented", " # ***[gvs]***", False),
        ("within", "x # ***[gvs]***", False),
        ("two stars", "# **[gvs]**", False),
        ("other comment", "; ***[gvs]***", False),
    ],
)
def test_markers(label: str, line: str, opens: bool) -> None:
    found, _ = sections_parse("x", f"{line}\r\nbody\r\n", ("gvs",))
    assert ({name: part.text for name, part in found.items()} == {"gvs": "body"}) is opens, label


@pytest.mark.parametrize("text", ["{}", "[true]", '["1"]', "[1.0]", "[-1]", "[3]", "[" * 9999, "x"])
def test_bad_readonly_lines(text: str) -> None:
    with pytest.raises(ValueError, match=r"awaited|no such lines"):
        readonly_parse(text, 2)


def test_readonly_lines_in_a_comment() -> None:
    assert readonly_parse("// [2,\n// 0, 2]\n", 2) == (0, 2)
    assert readonly_parse("", -1) == ()


def test_sections_are_the_fields() -> None:
    assert set(SECTIONS) == {
        "var_define",
        "import_string",
        "init_content",
        "runs_content",
        "member_var_define",
    }
