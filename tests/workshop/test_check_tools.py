"""Devices checked by the real compilers, shut in; what is hostile among them."""

import socket
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest

from gridtalk.devicetalk.check import sandbox, tools
from gridtalk.devicetalk.check.messages import Message
from gridtalk.devicetalk.check.testing import (
    FUNCTIONS,
    TIGHT,
    avr_check,
    basic_file_of,
    code_check,
    cxx_check,
    python_check,
)
from gridtalk.devicetalk.device_file import catalogue_folder, project_read

needs_cxx = pytest.mark.skipif(
    tools.compiler("g++") is None or bool(sandbox.bubblewrap_fault()),
    reason="g++ and bubblewrap (bwrap) are needed",
)
needs_avr = pytest.mark.skipif(
    tools.compiler("avr-g++") is None or not tools.ARDUINO.exists()
    or bool(sandbox.bubblewrap_fault()),
    reason="gcc-avr, arduino-core-avr and bubblewrap (bwrap) are needed",
)  # fmt: skip


def said(messages: tuple[Message, ...]) -> list[tuple[str, str, int]]:
    return [(one.severity, one.part, one.function_line) for one in messages]


@pytest.mark.parametrize(
    ("label", "code", "state", "awaited"),
    [
        ("good", "def A():\n    return 1", "passed", []),
        ("syntax", "def A():\n    return (1", "failed", [("error", "code", 2)]),
        ("undefined", "def A():\n    x = 1\n    return y", "failed",
         [("warning", "code", 2), ("error", "code", 3)]),
        ("indentation", "def A():\nreturn 1", "failed", [("error", "code", 2)]),
        ("escape", "def A():\n    return '\\d'", "passed", [("warning", "code", 2)]),
        ("import twice", "import os\nimport os\nprint(os)", "passed", []),
        ("function twice", "def A(): pass\ndef A(): pass", "passed", [("warning", "code", 2)]),
        ("late NUL", "def A():\n    return '\x00'", "failed", [("error", "", 0)]),
        ("a return alone", "# x\r    # y\ndef A():\n    return undefined", "failed",
         [("error", "code", 3)]),
        ("coding", "# coding: nonsense", "failed", [("error", "", 0)]),
        ("never run", "import os\nos.kill(os.getppid(), 9)", "passed", []),
        ("exits", "raise SystemExit(9)", "passed", []),
    ],
)  # fmt: skip
def test_python(label: str, code: str, state: str, awaited: list[tuple[str, str, int]]) -> None:
    outcome = python_check(code)
    assert (outcome.state, said(outcome.messages)) == (state, awaited), (label, outcome)
    assert outcome.tool.startswith("Python 3.")


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("brackets", "x = " + "(" * 100_000),
        ("balanced", "x = " + "(" * 5_000 + ")" * 5_000),
        ("minus", "x = " + "-" * 200_000 + "1"),
        ("attributes", "x = a" + ".b" * 200_000),
        ("calls", "x = a" + "()" * 100_000),
        ("sum", "x = " + "1+" * 200_000 + "1"),
        ("power", "x = 9**9**9"),
        ("repeat", "x = 'a' * 10**12"),
        ("indents", "\n".join(" " * n + "if 1:" for n in range(300))),
        ("a line of 1 MB", "x = '" + "y" * 2**20 + "'"),
    ],
)
def test_python_that_would_break_a_compiler(label: str, code: str) -> None:
    began = time.monotonic()
    outcome = python_check(code)
    assert outcome.state in {"passed", "failed"}, label
    assert time.monotonic() - began < 30, label
    for message in outcome.messages:
        assert len(message.text) <= 1000, label


def test_python_needs_no_bubblewrap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "bubblewrap_fault", lambda: "it is not installed")
    assert python_check("def A():\n    return y").isolation != "bubblewrap"
    assert said(python_check("def A():\n    return y").messages) == [("error", "code", 2)]


@needs_cxx
@pytest.mark.parametrize(
    ("label", "code", "state", "awaited"),
    [
        ("good", "inline int A() { return 1; }", "passed", []),
        ("undefined", "inline int A() {\n  return y;\n}", "failed", [("error", "code", 2)]),
        ("unused", "inline void A() {\n  int y;\n}", "passed", [("warning", "code", 2)]),
        ("include", "#include <nowhere.h>", "failed", [("error", "code", 1)]),
        ("#error", "\n#error no", "failed", [("error", "code", 2)]),
        (
            "a return alone",
            "// x\r// y\ninline int A() { return y; }",
            "failed",
            [("error", "code", 2)],
        ),
    ],
)
def test_cxx(label: str, code: str, state: str, awaited: list[tuple[str, str, int]]) -> None:
    outcome = cxx_check(code)
    assert (outcome.state, said(outcome.messages)) == (state, awaited), (label, outcome)
    assert outcome.isolation == "bubblewrap"
    assert outcome.tool.startswith("g++ ")


BLOWS_UP = (
    "template<long N, long M> struct F { static constexpr long v = F<N-1, 2*M>::v"
    " + F<N-1, 2*M+1>::v; };\ntemplate<long M> struct F<0, M> { static constexpr long v = 1; };\n"
    "static_assert(F<40, 0>::v == 0);"
)
MACROS = "\n".join(
    ["#define A0 x,x,x,x,x,x,x,x,x,x"]
    + [f"#define A{n} " + ",".join([f"A{n - 1}"] * 10) for n in range(1, 12)]
    + ["int a[] = {A11};"]
)
ANY = ("",)
#: Code, and what its first error says (one of these); None where nothing is said against it.
HOSTILE = [
    ("a file", '#include "{secret}"', "{secret}"),
    ("a file by dots", '#include "../../../../../..{secret}"', "{secret}"),
    ("a file in a macro", '#define F "{secret}"\n#include F', "{secret}"),
    ("the next file", "#include_next <{secret}>", "{secret}"),
    ("an import", '#import "{secret}"', "{secret}"),
    ("a file in a string", 'static const char s[] =\n#include "{secret}"\n;', "{secret}"),
    ("the password file", '#include "/etc/passwd"', "/etc/passwd"),
    ("a device without end", '#include "/dev/zero"', ("/dev/zero", "memory")),
    ("standard input", '#include "/dev/stdin"', "/dev/"),
    ("the environment", '#include "/proc/self/environ"', "/proc/self/environ"),
    ("incbin", 'asm(".incbin \\"{secret}\\"");', None),
    ("assembler's include", 'asm(".include \\"{secret}\\"");', None),
    ("inline assembler", 'void a() {{ asm volatile("syscall"); }}', None),
    ("embed", "int s[] = {{\n#embed <{secret}>\n}};", "embed"),
    ("pragma dependency", '#pragma GCC dependency "{secret}"', ANY),
    ("pragma plugin", '#pragma GCC plugin "{secret}"', None),
    ("pragma pch", '#pragma GCC pch_preprocess "{secret}"', "pch_preprocess"),
    ("pragma poison", "#pragma GCC poison foo\nint foo;", "poison"),
    ("pragma line", '#line 1 "{secret}"\nint x = y;', "y"),
    ("itself", '#include "sa.cpp"', "nested depth"),
    ("templates", BLOWS_UP.replace("{", "{{").replace("}", "}}"), ("seconds", "memory")),
    ("macros", MACROS.replace("{", "{{").replace("}", "}}"), ("seconds", "memory")),
    ("constexpr without end", "constexpr int f() {{ while (true); }}\nconstexpr int x = f();",
     "constexpr"),
    ("a line of 1 MB", "int x = " + "1+" * 500_000 + "1;", ("seconds", "memory", "code")),
    ("brackets", "int x = " + "(" * 500_000 + ";", ("seconds", "memory", "nest", "expected")),
    ("much to say", "\n".join(f"#warning {'x' * 900} {n}" for n in range(2000)), "said more than"),
]  # fmt: skip


#: Once more without bubblewrap, what could show something of the server there.
TWICE = [
    pytest.param(*case, isolated, id=f"{case[0]}-{'bubblewrap' if isolated else 'limits'}")
    for case in HOSTILE
    for isolated in (True, False)
    if isolated or "{secret}" in case[1] or "/" in case[1]
]


@needs_cxx
@pytest.mark.parametrize(("label", "code", "awaited", "isolated"), TWICE)
def test_hostile_cxx(
    label: str, code: str, awaited: str | tuple[str, ...] | None, isolated: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if not isolated:
        monkeypatch.setattr(sandbox, "bubblewrap_fault", lambda: "it is not installed")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as secret:
        secret.write('"SECRET_ONE" : SECRET_TWO\nint SECRET_THREE;\n#error SECRET_FOUR\n')
        secret.flush()
        policy = tools.Policy(TIGHT, without_bubblewrap=True)
        began = time.monotonic()
        outcome = cxx_check(code.format(secret=secret.name), policy)
    assert time.monotonic() - began < 30
    assert "SECRET" not in repr(outcome), label
    assert "root:" not in repr(outcome), label
    errors = [one.text for one in outcome.messages if one.severity == "error"]
    if awaited is None:
        assert outcome.state == "passed", outcome
    if awaited is None or awaited is ANY:
        return
    assert outcome.state == "failed", outcome
    words = (awaited,) if isinstance(awaited, str) else awaited
    assert any(word.format(secret=secret.name) in errors[0] for word in words), errors[:3]


@needs_cxx
def test_files_that_would_take_part_in_a_build_do_not() -> None:
    with tempfile.TemporaryDirectory() as outside:
        mark = Path(outside) / "mark"
        makefile = f"$(shell touch {mark})\nall:\n\ttouch {mark}\n".encode()
        more = {
            "Makefile": makefile,
            "GNUmakefile": makefile,
            "cc1plus": f"#!/bin/sh\ntouch {mark}\n".encode(),
            "specs": f"%{{!x:touch {mark}}}".encode(),
            "-fplugin=x.cpp": b"",
            f"{FUNCTIONS}.hpp.gch": b"gpch.nonsense",
        }
        outcome = cxx_check("inline int A() { return 1; }", more=more)
        assert not mark.exists()
    assert (outcome.state, [one.path for one in outcome.messages]) == (
        "passed",
        [f"{FUNCTIONS}.hpp.gch"],
    )


@needs_cxx
def test_names_of_files_are_no_flags() -> None:
    name = "@-fplugin=x.cpp"
    basic_file = basic_file_of(
        "cpp", b"int main() { return y; }\n", f"[check]\nfiles = {name}\n", {name: b"int x = y;"}
    )
    outcome = code_check(basic_file, "// nothing")
    assert [(one.path, one.line) for one in outcome.messages] == [(name, 1)]


@needs_cxx
def test_flags_of_the_basic_file_count() -> None:
    basic_file = basic_file_of("cpp", b"int x = 08; int y(int z) {}\n", "[check]\nflags = -w\n")
    assert [one.severity for one in code_check(basic_file, "//").messages] == ["error"]
    strict = basic_file_of("cpp", b"int y(int z) {}\n", "[check]\nflags = -Wall -Werror\n")
    assert code_check(strict, "//").state == "failed"


@needs_avr
@pytest.mark.parametrize(
    ("label", "code", "awaited"),
    [
        ("good", "int A() { return digitalRead(4); }", []),
        ("undefined", "int A() {\n  return digtalRead(4);\n}", [("error", "code", 2)]),
        ("a file", '#include "/etc/passwd"', [("error", "code", 1)]),
    ],
)
def test_avr(label: str, code: str, awaited: list[tuple[str, str, int]]) -> None:
    outcome = avr_check(code)
    assert said(outcome.messages) == awaited, (label, outcome)
    assert outcome.tool.startswith("avr-g++ ")


CATALOGUE = catalogue_folder()
#: Of those for Linux boards one, for each takes seconds; all are built by the catalogue's tests.
SHIPPED = sorted(
    path for path in (CATALOGUE / "devices").glob("*.json")
    if not path.stem.endswith("-cpp") or path.stem == "plantbox-cpp"
)  # fmt: skip


@needs_cxx
@needs_avr
@pytest.mark.parametrize("path", SHIPPED, ids=lambda x: x.stem)
def test_what_we_ship_passes(path: Path) -> None:
    project = project_read(path, CATALOGUE)
    outcome = tools.rendered_check(
        basic_file=project.basic_file,
        device=project.device,
        rendered=project.render(),
        policy=tools.Policy(),
    )
    assert (outcome.state, outcome.messages) == ("passed", ())


@pytest.mark.parametrize(
    ("label", "ending", "check", "fault", "awaited"),
    [
        ("no compiler", "cpp", "", "compiler", "g++ is not installed on the server"),
        ("no AVR compiler", "ino", "", "compiler", "avr-g++ is not installed"),
        ("no bubblewrap", "cpp", "", "bubblewrap", "bubblewrap does not work here"),
        ("unknown language", "rs", "", "", "there is no check for Any yet"),
        ("not wanted", "cpp", "[check]\ncommand = none\n", "", "asks for no check"),
    ],
)
def test_what_was_not_checked_has_not_passed(
    label: str, ending: str, check: str, fault: str, awaited: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault == "compiler":
        monkeypatch.setattr(tools, "compiler", lambda name: None)
    else:
        monkeypatch.setattr(tools, "compiler", lambda name: f"/usr/bin/{name}")
    if fault == "bubblewrap":
        monkeypatch.setattr(sandbox, "bubblewrap_fault", lambda: "bubblewrap does not work here")
    outcome = code_check(basic_file_of(ending, b"//\n", check), "//")
    assert (outcome.state, outcome.messages) == ("skipped", ()), label
    assert outcome.summary.startswith("not checked: "), label
    assert awaited in outcome.summary, label


def test_nothing_is_left_behind() -> None:
    before = set(Path(tempfile.gettempdir()).glob("gridtalk-check-*"))
    python_check("def A(): pass")
    assert set(Path(tempfile.gettempdir()).glob("gridtalk-check-*")) <= before


LARGE_FILE = """if True:
    os.path.exists("/project") and os.chdir("/tmp")
    open("x", "wb").write(bytes(10**8))
    print("SECRET")
"""


def bubblewrap_or_limits() -> list[sandbox.Isolation]:
    """Limits alone leave what takes a session of its own; compilers take none."""
    found = [x for x in (sandbox.without_bubblewrap(),) if x is not sandbox.Isolation.LIMITS]
    return found if sandbox.bubblewrap_fault() else [*found, sandbox.Isolation.BUBBLEWRAP]


@pytest.mark.parametrize("isolation", bubblewrap_or_limits())
@pytest.mark.parametrize(
    ("label", "script", "stopped", "awaited"),
    [
        ("quiet", "print('good')", "", b"good"),
        ("sleeps", "time.sleep(6061)", "time", b""),
        ("forks", "[os.fork() for n in range(5)]; time.sleep(6061)", "time", b""),
        ("forks and leaves", "os.fork() or time.sleep(6061)", None, b""),
        ("a session of its own", "os.fork() or (os.setsid(), time.sleep(6061))", None, b""),
        ("closes its output", "os.close(1); os.close(2); time.sleep(6061)", None, b""),
        ("talks on", "[print('yyy' * 50) for n in range(10**7)]", "output", b"yyy"),
        ("ignores signals",
         "[signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]; time.sleep(6061)", "time", b""),
        ("environment", "print(os.environ.get('SECRET_OF_THE_SERVER'))", "", b"None"),
        ("much memory", "print('SECRET', len(bytearray(10**9)))", "", b""),
        ("a large file", LARGE_FILE, "", b""),
    ],
)  # fmt: skip
def test_programs_are_ended_with_all_that_they_started(
    label: str, script: str, stopped: str | None, awaited: bytes, isolation: sandbox.Isolation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "SECRET")
    # What ends by itself has time to, on a busy machine as well.
    seconds = 0.4 if stopped in {"time", None} else 20
    limits = sandbox.Limits(seconds=seconds, output_bytes=4096, memory_bytes=5 * 10**8)
    began = time.monotonic()
    with sandbox.sandbox(isolation, {"a": b""}, limits) as box:
        command = [sandbox.python(), "-I", "-S", "-c", f"import os, signal, time\n{script}"]
        ran = box.run(command)
        assert time.monotonic() - began < 25, label
    # None: the first process of a namespace ends the others, or holds their output.
    assert stopped is None or ran.stopped == stopped, (label, ran)
    assert ran.stdout.strip()[: len(awaited)] == awaited, (label, ran)
    assert b"SECRET" not in ran.stdout
    assert len(ran.stdout) <= 4096
    deadline = time.monotonic() + 10
    while left := processes_with("sleep(6061)"):
        assert time.monotonic() < deadline, (label, left)
        time.sleep(0.02)


def processes_with(text: str) -> list[str]:
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(place.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [command for command in found if text in command]


@needs_cxx
@pytest.mark.enable_socket
def test_inside_there_is_nothing_of_the_servers() -> None:
    script = """if True:
        import os, socket
        for path in ("/", "/usr"):
            print(*os.listdir(path))
        for path in ("/etc/passwd", "/proc/1/environ", "/dev/zero"):
            assert not os.path.exists(path)
        for path in ("/project/new", "/usr/bin/new", "/new", "/check/new"):
            try:
                open(path, "w")
            except OSError:
                print("refused")
        try:
            socket.create_connection(("127.0.0.1", PORT), 1)
        except OSError:
            print("refused")
        print(open("/project/a").read())
    """
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        script = script.replace("PORT", str(server.getsockname()[1]))
        with sandbox.sandbox(sandbox.Isolation.BUBBLEWRAP, {"a": b"mine"}, TIGHT) as box:
            ran = box.run([sandbox.python(), "-I", "-S", "-c", script])
            assert sorted(x.name for x in box.folder.iterdir()) == ["a"]
    said = ran.stdout.decode().split()
    assert (said.count("refused"), said[-1]) == (5, "mine"), ran
    assert not set(said) & {"etc", "home", "proc", "sys", "dev", "var"}, said


@needs_cxx
def test_a_sandbox_that_does_not_start_is_our_fault() -> None:
    with (
        sandbox.sandbox(sandbox.Isolation.BUBBLEWRAP, {"a": b""}, TIGHT) as box,
        pytest.raises(sandbox.SandboxFailed, match="nowhere"),
    ):
        box.run(["/bin/true"], read={"/x": Path("/nowhere")})
