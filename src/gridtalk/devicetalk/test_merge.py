"""Several libraries together."""

from datetime import UTC, datetime

import pytest

from gridtalk.devicetalk.merge import (
    dependencies,
    files_merge,
    functions_choose,
    functions_merge,
    globals_merge,
    presets_merge,
)
from gridtalk.devicetalk.testing_engine import IDF, ODF
from gridtalk.devicetalk.tree import (
    DfType,
    Feature,
    GlobalVariables,
    InvalidTree,
    Library,
    SaFunction,
)


def library(name: str, text: str = "", *readonly: int) -> Library:
    return Library(name=name, global_variables=GlobalVariables(text, readonly))


def function(
    name: str, day: int | None = None, df_type: DfType = IDF, code: str = ""
) -> SaFunction:
    when = datetime(2026, 1, day, tzinfo=UTC) if day else None
    return SaFunction(name=name, df_type=df_type, code=(code,), updated_at=when)


def test_blocks_keep_every_line_and_read_only_ones_come_first() -> None:
    a = library("a", "struct A {\n};")
    b = library("b", "struct B {\n};", 0, 1)
    merged = globals_merge(GlobalVariables("int mine;", ()), [a, b])
    assert merged.text == "struct B {\n};\nint mine;\nstruct A {\n};"
    assert merged.readonly_lines == (0, 1)
    # Chosen again, nothing is repeated.
    assert globals_merge(merged, [a, b]) == merged


@pytest.mark.parametrize(
    ("label", "present", "block", "repeated"),
    [
        ("there", "x\nint a;\ny", "int a;", False),
        ("only within a longer line", "unsigned int a;", "int a;", True),
        ("only a part of the block", "int a;", "int a;\nint b;", True),
        ("not in one piece", "int a;\nx\nint b;", "int a;\nint b;", True),
    ],
)
def test_a_block_is_there_only_line_for_line(
    label: str, present: str, block: str, repeated: bool
) -> None:
    merged = globals_merge(GlobalVariables(present), [library("l", block)])
    assert (merged.text != present) is repeated, label


def test_two_libraries_with_one_block() -> None:
    assert globals_merge(GlobalVariables(), [library("a", "x"), library("b", "x")]).text == "x"


def test_of_two_functions_the_newer_counts() -> None:
    old, new = function("f", 1, code="old"), function("f", 2, code="new")
    assert functions_merge([new], [old]) == (new,)
    assert functions_merge([old], [new]) == (new,)
    other = function("f", 1, ODF)
    assert functions_merge([new], [other]) == (new, other)
    # As old as each other: the later given.
    twin = function("f", 2, code="twin")
    assert functions_merge([new], [twin]) == (twin,)
    unset = function("f", code="unset")
    assert functions_merge([old], [unset]) == (old,)


def test_functions_of_libraries_that_are_not_chosen_are_left_out() -> None:
    needs = SaFunction(name="g", df_type=IDF, code=(), library_ref=("dht", "read"))
    chosen = Library(name="old_library", is_device_library=True, functions=(needs,))
    merged = functions_choose([function("f")], [chosen], ["relay"])
    assert [f.name for f in merged.functions] == ["f"]
    assert merged.left_out == (needs,)
    assert functions_choose([], [chosen], ["dht"]).functions == (needs,)


def test_presets_stack_up() -> None:
    first = (Feature("A", IDF, "f"), Feature("B", ODF, "g"))
    second = (Feature("A", IDF, "h"), Feature("A", ODF, "i"), Feature("C", IDF))
    merged = presets_merge(first, second)
    assert [(f.name, f.df_type.direction, f.function) for f in merged] == [
        ("A", "idf", "h"),
        ("B", "odf", "g"),
        ("A", "odf", "i"),
        ("C", "idf", None),
    ]


def test_dependencies_of_device_libraries() -> None:
    device_library = Library(name="d_library", is_device_library=True, depends_on=("dht", "relay"))
    assert dependencies([library("relay"), device_library]) == ("relay", "dht")


def test_files_that_differ_are_named() -> None:
    one = Library(name="one", files={"x/a.py": b"1", "x/b.py": b"2"})
    two = Library(name="two", files={"x/a.py": b"1"})
    assert files_merge([one, two]) == one.files
    with pytest.raises(InvalidTree, match=r"x/b.py: the libraries 'one' and 'three' both bring it"):
        files_merge([one, Library(name="three", files={"x/b.py": b"3"})])
