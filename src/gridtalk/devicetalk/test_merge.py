"""Several libraries together."""

import pytest

from gridtalk.devicetalk.merge import files_merge, globals_merge
from gridtalk.devicetalk.tree import GlobalVariables, InvalidTree, Library


def library(name: str, text: str = "", *readonly: int) -> Library:
    return Library(name=name, global_variables=GlobalVariables(text, readonly))


def device_library(name: str, text: str, *readonly: int, made_with: tuple[str, ...]) -> Library:
    return Library(
        name=name,
        is_device_library=True,
        global_variables=GlobalVariables(text, readonly),
        depends_on=made_with,
    )


METER = library("meter", "#include meter\nMeter m(1000);\nbool on = m.start();", 0, 2)
EDITED = "#include meter\nint price = 1200;\nMeter m(price);\nbool on = m.start();"


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


@pytest.mark.parametrize("libraries", [(0, 1), (1, 0)])
def test_of_equal_blocks_the_read_only_lines_are_kept(libraries: tuple[int, ...]) -> None:
    given = [library("a", "x\ny", 0), library("b", "x\ny")]
    merged = globals_merge(GlobalVariables(), [given[number] for number in libraries])
    assert merged == GlobalVariables("x\ny", (0,))
    assert globals_merge(GlobalVariables("z\nx\ny"), given).readonly_lines == (1,)


@pytest.mark.parametrize(
    ("label", "readonly", "repeated"),
    [
        ("by its read-only lines, in order", (0, 3), False),
        ("one of these is the user's own", (0,), True),
        ("none is read-only", (), True),
    ],
)
def test_an_edited_block_is_there(label: str, readonly: tuple[int, ...], repeated: bool) -> None:
    merged = globals_merge(GlobalVariables(EDITED, readonly), [METER, library("dht", "int dht;")])
    assert ("Meter m(1000);" in merged.text) is repeated, label
    assert merged.text.endswith(f"{EDITED}\nint dht;"), label


def test_the_read_only_lines_of_another_library_do_not_count() -> None:
    one, two = library("one", "import time\na = 1", 0), library("two", "import time\nb = 2", 0)
    merged = globals_merge(GlobalVariables(), [one, two])
    assert merged == GlobalVariables("import time\na = 1\nimport time\nb = 2", (0, 2))
    edited = GlobalVariables("import time\na = 7", (0,))
    assert globals_merge(edited, [one, two], known=[one]).text == (
        "import time\nb = 2\nimport time\na = 7"
    )


def test_what_the_device_was_saved_with_is_not_added_again() -> None:
    pins, newer = library("pins", "pin = 4"), library("dht", "import dht2", 0)
    present = GlobalVariables("import dht\npin = 5", (0,))
    assert globals_merge(present, [pins, newer], known=[pins, newer]) == present
    assert globals_merge(present, [pins, newer]).text == "import dht2\nimport dht\npin = 5\npin = 4"


def test_a_device_library_brings_blocks_as_its_maker_left_them() -> None:
    pins = library("pins", "pin = 4")
    chosen = device_library("d", f"pin = 5\n{EDITED}", 1, 4, made_with=("meter", "pins"))
    merged = globals_merge(GlobalVariables(), [chosen], brought=[METER, pins])
    assert merged == chosen.global_variables
    # Chosen by themselves too.
    merged = globals_merge(GlobalVariables(), [METER, chosen], brought=[pins])
    assert merged == chosen.global_variables
    # What it depends on, but was not made with the last time.
    older = library("older", "old = 1")
    merged = globals_merge(GlobalVariables(), [chosen], brought=[METER, older, pins])
    assert merged.text == f"pin = 5\n{EDITED}\nold = 1"


def test_device_libraries_that_hold_one_library() -> None:
    """Its block comes once; what else they hold comes too."""
    relay = library("relay", "#include relay\nRelay r(1);", 0)
    one = device_library("one", f"{EDITED}\nint one;", 0, 3, made_with=("meter",))
    two = device_library(
        "two", f"#include relay\nRelay r(2);\n{METER.global_variables.text}\nint two;", 0, 2, 4,
        made_with=("meter", "relay"),
    )  # fmt: skip
    merged = globals_merge(GlobalVariables(), [one, two], brought=[METER, relay])
    assert merged.text == f"{EDITED}\nint one;\n#include relay\nRelay r(2);\nint two;"
    assert merged.readonly_lines == (0, 3, 5)
    # Nothing but what is there.
    third = device_library("third", METER.global_variables.text, 0, 2, made_with=("meter",))
    assert globals_merge(merged, [third], brought=[METER]) == merged
    assert globals_merge(merged, [third, two], brought=[METER, relay], known=[METER]) == merged


@pytest.mark.parametrize(
    "edited",
    [
        "import meter\nmeter = Meter(1200)\nstart(meter)",
        "# Dear.\nimport meter\nPRICE = 1200\n\nmeter = Meter(PRICE)\nstart(meter)",
        "pins = {5: 7}\nimport meter\nmeter = Meter(1000)",
        "import meter",
    ],
)
def test_what_a_device_library_adds_to_an_edited_block(edited: str) -> None:
    """Lines beside the read-only one may be edited, added and taken out; its own ones come."""
    meter = library("meter", "pins = {4: 7}\nimport meter\nmeter = Meter(1000)\nstart(meter)", 1)
    number = edited.split("\n").index("import meter")
    theirs = device_library("d", f"{edited}\nown = 1", number, made_with=("meter",))
    mine = GlobalVariables("import meter\nmeter = Meter(7)", (0,))
    merged = globals_merge(mine, [meter, theirs], brought=[meter], known=[meter])
    note = "# Dear.\n" if edited.startswith("#") else ""
    assert merged.text == f"{mine.text}\n{note}own = 1"
    assert merged.readonly_lines == (0,)
    # Nothing of it is there: it comes whole.
    merged = globals_merge(GlobalVariables(), [theirs], brought=[meter])
    assert merged == theirs.global_variables


def test_files_that_differ_are_named() -> None:
    one = Library(name="one", files={"x/a.py": b"1", "x/b.py": b"2"})
    two = Library(name="two", files={"x/a.py": b"1"})
    assert files_merge([one, two]) == one.files
    with pytest.raises(InvalidTree, match=r"x/b.py: the libraries 'one' and 'three' both bring it"):
        files_merge([one, Library(name="three", files={"x/b.py": b"3"})])
