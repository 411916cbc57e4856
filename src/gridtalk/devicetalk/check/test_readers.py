"""The pure readers: options, compilers' words, what they mean for the user's lines."""

from dataclasses import astuple
from pathlib import Path

import pytest

from gridtalk.devicetalk.check import gcc, messages
from gridtalk.devicetalk.check.messages import Diagnostic, messages_map
from gridtalk.devicetalk.check.options import options_read
from gridtalk.devicetalk.render import device_render
from gridtalk.devicetalk.testing_engine import CONFIG_INI, basic_file_with, device_with
from gridtalk.devicetalk.tree import GlobalVariables, InvalidTree, Rendered

FIXTURES = Path(__file__).parent / "fixtures"
FUNCTIONS = "library/D_library/functions.hpp"


def recorded(name: str) -> str:
    return (FIXTURES / name).read_text()


def test_g_plus_plus_12() -> None:
    found = gcc.diagnostics_read(recorded("g++-12.txt"), {"sa.cpp", FUNCTIONS})
    assert [(x.severity, x.path, x.line, x.column) for x in found] == [
        ("error", FUNCTIONS, 13, 29),
        ("error", FUNCTIONS, 14, 14),
        ("error", FUNCTIONS, 15, 12),
        ("warning", FUNCTIONS, 10, 9),
        *[("error", FUNCTIONS, 12, 14)] * 3,  # in a template of the standard library
    ]
    assert found[1].text.endswith("was not declared in this scope")


def test_avr_g_plus_plus_5() -> None:
    small = "library/D_library/small.hpp"
    found = gcc.diagnostics_read(recorded("avr-g++-5.txt"), {"sa.ino", small})
    assert [(x.severity, x.path, x.line) for x in found] == [
        ("error", small, 2),
        ("warning", small, 3),
        ("error", "sa.ino", 2),
        ("warning", "sa.ino", 3),
    ]


@pytest.mark.parametrize(
    ("label", "output", "awaited"),
    [
        ("nothing", "", []),
        ("no place", "cc1plus: fatal error: x.pch: not a PCH", [("error", "x.pch: not a PCH", 0)]),
        ("no column", "a.cpp:3: error: odd", [("error", "odd", 3)]),
        ("dots", "./lib/../a.cpp:3:1: error: odd", [("error", "odd", 3)]),
        ("crash", "a.cpp:3:1: internal compiler error: Killed", [("error", "Killed", 3)]),
        ("included", "In file included from a.cpp:7:\n/usr/x.h:2:1: error: odd",
         [("error", "odd", 7)]),
        ("included, again",
         "In file included from a.cpp:7:\n/usr/x.h:2:1: error: odd\n/usr/x.h:9:1: error: too",
         [("error", "odd", 7), ("error", "too", 7)]),
        ("foreign remark", "/usr/x.h:2:1: warning: odd\n/usr/x.h:2:1: note: so", []),
        ("foreign error", "/usr/x.h:2:1: error: odd", [("error", "odd", 0)]),
        ("source line", "    3 | a.cpp:3:1: error: no", []),
    ],
)  # fmt: skip
def test_lines_of_gcc(label: str, output: str, awaited: list[tuple[str, str, int]]) -> None:
    found = gcc.diagnostics_read(output, {"a.cpp"})
    assert [(x.severity, x.text, x.line) for x in found] == awaited, label


@pytest.mark.parametrize(
    ("label", "output", "awaited"),
    [
        ("none", "a.cpp:1:1: error: no", ""),
        ("killed for time",
         "g++: fatal error: CPU time limit exceeded signal terminated program cc1plus", "time"),
        ("allocating", "cc1plus: out of memory allocating 65536 bytes after 1 byte", "memory"),
        ("virtual", "virtual memory exhausted: Cannot allocate memory", "memory"),
    ],
)  # fmt: skip
def test_limits_of_gcc(label: str, output: str, awaited: str) -> None:
    assert gcc.limit_reached(output) == awaited, label


def test_files_that_were_opened() -> None:
    output = ". ./library/x.hpp\n.. /usr/lib/gcc/12/../../include/y.h\n! z.gch\n.x\n"
    assert gcc.opened_read(output) == ("library/x.hpp", "/usr/lib/include/y.h")


def rendered_with_globals() -> tuple[Rendered, GlobalVariables]:
    """A file of which lines 2 and 3 are the global variables, 5 to 8 a function."""
    variables = GlobalVariables("limit = 4\nname = 'x'")
    text = (
        f"# made\n{variables.text}\n{{% for f in functions %}}\n{{{{ f.content }}}}\n{{% endfor %}}"
    )
    device = device_with(
        code=("def {*df_name*}():", "    {*variable_setup*}", "    return 0"),
        var_setup="pin = 4\nup = True",
    )
    basic_file = basic_file_with(safuncs=text)
    return device_render(basic_file=basic_file, device=device, libraries=()), variables


@pytest.mark.parametrize(
    ("label", "line", "awaited"),
    [
        ("the template's", 1, ("", "", "", 0)),
        ("a global variable", 2, ("", "", "globals", 1)),
        ("the last of them", 3, ("", "", "globals", 2)),
        ("between", 4, ("", "", "", 0)),
        ("a function's first line", 5, ("f", "A-B-I", "code", 1)),
        ("its variables", 6, ("f", "A-B-I", "var_setup", 1)),
        ("its second variable", 7, ("f", "A-B-I", "var_setup", 2)),
        ("behind its variables", 8, ("f", "A-B-I", "code", 3)),
        ("behind it", 9, ("", "", "", 0)),
        ("no line", 0, ("", "", "", 0)),
    ],
)
def test_whose_line_it_is(label: str, line: int, awaited: tuple[str, str, str, int]) -> None:
    rendered, variables = rendered_with_globals()
    path = "library/Dev_library/functions.py"
    found = messages_map([Diagnostic("error", "odd", path, line, 2)], rendered, variables)
    assert [astuple(x)[5:] for x in found] == [awaited], (label, rendered.files[path])
    assert (found[0].path, found[0].line, found[0].column) == (path, line, 2)
    elsewhere = messages_map([Diagnostic("error", "odd", "sa.py", line)], rendered, variables)
    assert elsewhere[0].part == ""


def test_errors_come_first_where_not_all_fit() -> None:
    rendered, variables = rendered_with_globals()
    many = [Diagnostic("warning", f"w{n}", "sa.py", 1) for n in range(200)]
    found = messages_map([*many, *many, Diagnostic("error", "e")], rendered, variables)
    assert len(found) == messages.MOST_MESSAGES
    assert (found[0].text, found[1].text, found[-1].text) == ("e", "w0", "w98")


def test_any_text_becomes_one_storable_line() -> None:
    rendered, variables = rendered_with_globals()
    text = "a\x00b\nc\ud800" + "x" * 5000
    found = messages_map([Diagnostic("error", text)], rendered, variables)[0]
    assert found.text.startswith("a�b c�xx") or found.text.startswith("a�b c?xx")
    assert len(found.text) == messages.LONGEST_TEXT
    found.text.encode()


@pytest.mark.parametrize(
    ("label", "section", "sa", "awaited"),
    [
        ("nothing, Python", {}, ["run.sh", "sa.py"], "python"),
        ("nothing, C++", {}, ["sa.cpp"], "cxx"),
        ("nothing, Arduino", {}, ["sa.ino"], "avr"),
        ("nothing, another", {}, ["sa.rs"], None),
        ("named", {"command": "none"}, ["sa.py"], "none"),
        ("flags", {"command": "cxx", "flags": "-std=c++20 -Wall -Werror=format -DA=1 -Iinc/x -I. "
         "-O2 -fno-exceptions -fpermissive -pthread"}, ["sa.cpp"], "cxx"),
    ],
)  # fmt: skip
def test_options(label: str, section: dict[str, str], sa: list[str], awaited: str | None) -> None:
    options, problems = options_read(section, sa)
    assert (options.command, problems) == (awaited, []), label
    assert options.files == tuple(path for path in sa if path.endswith((".cpp", ".ino")))


def test_files_of_other_languages_are_not_for_the_cxx_compiler() -> None:
    options, _ = options_read({}, ["settings.py", "{device_name}.ino", "more.cpp"])
    assert (options.command, options.files) == ("python", ("{device_name}.ino", "more.cpp"))


@pytest.mark.parametrize(
    ("label", "section", "awaited"),
    [
        ("command", {"command": "make"}, "command = make"),
        ("unknown", {"run": "make"}, "the option 'run'"),
        ("board", {"board": "due"}, "board = due"),
        ("nothing to compile", {"command": "cxx"}, "no SA file is C++"),
        *((flag, {"flags": f"-Wall {flag}"}, f"{flag} is not allowed") for flag in (
            "-fplugin=./x.so", "-fplugin", "-Wl,-x", "-Wp,-MD,x", "-Wa,x", "-wrapper", "@args",
            "-B.", "-specs=x", "-include", "/etc/passwd", "-I/etc", "-I../x", "-o", "x.cpp",
            "-DA=`id`", "-DA=$(id)", "-MD", "-save-temps", "-fdump-tree-all", "-x", "-E", "-H",
            "-fprofile-use", "-isystem",
        )),
    ],
)  # fmt: skip
def test_options_refused(label: str, section: dict[str, str], awaited: str) -> None:
    _, problems = options_read(section, ["sa.c"] if label == "nothing to compile" else ["sa.cpp"])
    assert any(awaited in problem for problem in problems), (label, problems)


def test_a_basic_file_with_wrong_options_is_refused_with_all_of_them() -> None:
    section = "[check]\ncommand = make\nflags = -Wl,-x\nfiles = sa.py, other.py\n"
    with pytest.raises(InvalidTree) as caught:
        basic_file_with(config=CONFIG_INI + section)
    text = str(caught.value)
    for part in ("command = make", "-Wl,-x is not allowed", "files = other.py: there is no such"):
        assert part in text
    assert "files = sa.py" not in text
