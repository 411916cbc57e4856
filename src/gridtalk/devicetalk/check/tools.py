"""Which programs check a device's code, and what their answers mean.

Nothing that a user or a basic file wrote becomes a command: the programs are named here, flags pass
``options.py``, files are given by paths of the project. A Makefile is not run.
"""

import functools
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from gridtalk.devicetalk.check import gcc, sandbox
from gridtalk.devicetalk.check.messages import (
    Diagnostic,
    Message,
    is_failed,
    messages_map,
)
from gridtalk.devicetalk.check.options import CXX_FLAGS
from gridtalk.devicetalk.config import BasicFile
from gridtalk.devicetalk.tree import Device, Rendered

_HERE = Path(__file__).parent
_PATH = "/usr/bin:/bin"
#: Headers that everybody may read; what else a compiler opened was not meant for it.
_HEADERS = ("/usr/include", "/usr/lib", "/usr/local/include", "/usr/share/arduino")
_QUIET = (
    "-fsyntax-only", "-H", "-fno-diagnostics-show-caret", "-fdiagnostics-color=never",
    "-fmax-errors=50",
)  # fmt: skip
ARDUINO = Path("/usr/share/arduino/hardware/arduino/avr")
#: Board → microcontroller, variant, and the name that its code asks for (PEERS.md).
_BOARDS = {
    "uno": ("atmega328p", "standard", "ARDUINO_AVR_UNO"),
    "mega": ("atmega2560", "mega", "ARDUINO_AVR_MEGA2560"),
}
_TOO_LONG = "the code takes too long to compile and was given up after {:.0f} seconds"
_TOO_LARGE = "compiling the code takes more than {} MB of memory"
_TOO_MUCH = "the compiler said more than {} kB and was stopped"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the settings allow: limits, and whether C++ may be compiled without bubblewrap."""

    limits: sandbox.Limits = field(default_factory=sandbox.Limits)
    without_bubblewrap: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check found. ``summary`` is one sentence; ``tool`` the program and its version."""

    state: Literal["passed", "failed", "skipped"]
    summary: str
    messages: tuple[Message, ...] = ()
    tool: str = ""
    isolation: str = ""


@dataclass
class _Found:
    """What a tool said: of all files, and a linter's remarks, which count for the user's alone."""

    diagnostics: list[Diagnostic] = field(default_factory=list)
    remarks: list[Diagnostic] = field(default_factory=list)


def compiler(name: str) -> str | None:
    """Where that compiler is, or None where it is not installed."""
    return shutil.which(name, path=_PATH)


def rendered_check(
    *, basic_file: BasicFile, device: Device, rendered: Rendered, policy: Policy
) -> Outcome:
    """Check a device's finished files as its basic file asks for.

    Raises :class:`~gridtalk.devicetalk.check.sandbox.SandboxFailed`.
    """
    options = basic_file.config.check
    if options.command == "python":
        return _python(device, rendered, policy)
    if options.command in {"cxx", "avr"}:
        return _cxx(basic_file, device, rendered, policy, is_avr=options.command == "avr")
    if options.command == "none":
        return _skipped(f"the basic file {basic_file.name} asks for no check")
    return _skipped(
        f"there is no check for {basic_file.language} yet; config.ini can name one: [check] command"
    )


def _skipped(why: str) -> Outcome:
    return Outcome("skipped", f"not checked: {why}")


def _outcome(
    device: Device, rendered: Rendered, found: _Found, tool: str, isolation: str
) -> Outcome:
    messages = messages_map(found.diagnostics, rendered, device.global_variables)
    messages += messages_map(found.remarks, rendered, device.global_variables, own_only=True)
    counts = {kind: sum(message.severity == kind for message in messages)
              for kind in ("error", "warning")}  # fmt: skip
    said = [f"{n} {kind}{'s' if n > 1 else ''}" for kind, n in counts.items() if n]
    state: Literal["passed", "failed"] = "failed" if is_failed(messages) else "passed"
    return Outcome(state, f"{state}: {', '.join(said) or 'nothing to remark'}", messages, tool,
                   isolation)  # fmt: skip


def _python(device: Device, rendered: Rendered, policy: Policy) -> Outcome:
    fault = sandbox.bubblewrap_fault()
    # The child only reads what it is given, and runs none of it: limits alone will do.
    isolation = sandbox.without_bubblewrap() if fault else sandbox.Isolation.BUBBLEWRAP
    files = {path: text for path, text in rendered.files.items() if path.endswith(".py")}
    own = sorted({place.path for place in rendered.places} & files.keys())
    spec = importlib.util.find_spec("pyflakes")
    assert spec is not None, "it is a dependency"
    assert spec.origin is not None
    pyflakes = Path(spec.origin).parent
    child = _HERE / "python_child.py"
    with sandbox.sandbox(isolation, files, policy.limits) as box:
        command = [
            sandbox.python(), "-I", "-S", box.inside("/check/python_child.py", child),
            box.inside("/check/linter", pyflakes.parent), *own,
        ]  # fmt: skip
        read = {"/check/python_child.py": child, "/check/linter/pyflakes": pyflakes}
        ran = box.run(command, read=read)
    version = ".".join(map(str, sys.version_info[:3]))
    return _outcome(device, rendered, _python_read(ran, policy.limits), f"Python {version}",
                    isolation)  # fmt: skip


def _python_read(ran: sandbox.Ran, limits: sandbox.Limits) -> _Found:
    found = _Found()
    path, ended = "", False
    for line in ran.stdout.splitlines():
        try:
            said: dict[str, Any] = json.loads(line)
        except ValueError:
            break  # the last line of an output that was cut
        if "begin" in said:
            path = str(said["begin"])
        elif "end" in said:
            ended = True
        else:
            one = Diagnostic(
                "error" if said["severity"] == "error" else "warning", str(said["text"]),
                str(said["path"]), int(said["line"]), int(said["column"]),
            )  # fmt: skip
            (found.remarks if said.get("lint") else found.diagnostics).append(one)
    if ended:
        return found
    if not path and not ran.stopped:
        said_last = ran.stderr.decode(errors="replace").strip().splitlines()
        raise sandbox.SandboxFailed(
            f"Python did not start ({ran.exit_code}): {said_last[-1] if said_last else 'no word'}"
        )
    text = {
        "time": _TOO_LONG.format(limits.seconds),
        "output": _TOO_MUCH.format(limits.output_bytes // 1024),
        "": "Python broke off while it compiled this; is it nested too deeply, or huge?",
    }[ran.stopped]
    found.diagnostics.append(Diagnostic("error", text, path))
    return found


def _cxx(
    basic_file: BasicFile, device: Device, rendered: Rendered, policy: Policy, *, is_avr: bool
) -> Outcome:
    name, package = ("avr-g++", "gcc-avr") if is_avr else ("g++", "g++")
    program = compiler(name)
    if program is None:
        return _skipped(f"{name} is not installed on the server (Debian: {package})")
    if is_avr and not (ARDUINO / "cores").is_dir():
        return _skipped("Arduino's core is not installed on the server (Debian: arduino-core-avr)")
    isolation = sandbox.Isolation.BUBBLEWRAP
    if fault := sandbox.bubblewrap_fault():
        if not policy.without_bubblewrap:
            return _skipped(f"{fault}; without it a device's code could read the server's files")
        isolation = sandbox.without_bubblewrap()
    # A compiler believes whatever a precompiled header holds.
    skipped = [path for path in rendered.files if ".gch" in path]
    files = {path: text for path, text in rendered.files.items() if path not in skipped}
    found = _Found([Diagnostic("warning", "a precompiled header is not used", p) for p in skipped])
    flags = _flags(basic_file, is_avr=is_avr)
    ends_at = time.monotonic() + policy.limits.seconds
    with sandbox.sandbox(isolation, files, policy.limits) as box:
        for path in basic_file.config.check.files:
            out = basic_file.config.out_path(path, device.name)
            # The seconds are those of the whole check.
            left = max(ends_at - time.monotonic(), 1)
            box = replace(box, limits=replace(policy.limits, seconds=left))  # noqa: PLW2901
            # "./", for a name may begin with "-" or "@".
            ran = box.run([program, *_QUIET, *flags, *_language(out), f"./{out}"])
            found.diagnostics += _cxx_read(ran, out, files, policy.limits)
            if ran.stopped:
                break
    return _outcome(device, rendered, found, _version(program), isolation)


def _flags(basic_file: BasicFile, *, is_avr: bool) -> list[str]:
    config = basic_file.config
    flags = [*config.check.flags, "-I."]
    if config.lib_root:
        flags.append(f"-I{config.lib_root.rstrip('/')}")
    if not is_avr:
        return flags if config.check.flags else [*CXX_FLAGS, *flags]
    mcu, variant, board = _BOARDS[config.check.board]
    return [
        f"-mmcu={mcu}", "-DF_CPU=16000000L", "-DARDUINO=10819", f"-D{board}",
        "-DARDUINO_ARCH_AVR",
        "-Os", "-DDECIMAL_DIG=__DECIMAL_DIG__", "-std=gnu++11", "-fpermissive",
        "-fno-exceptions", "-fno-threadsafe-statics", *([] if config.check.flags else ["-Wall"]),
        *flags, f"-I{ARDUINO}/cores/arduino", f"-I{ARDUINO}/variants/{variant}",
    ]  # fmt: skip


def _language(path: str) -> list[str]:
    """What Arduino's own build does with a sketch."""
    return ["-x", "c++", "-include", "Arduino.h"] if path.endswith(".ino") else []


def _cxx_read(
    ran: sandbox.Ran, path: str, files: Iterable[str], limits: sandbox.Limits
) -> list[Diagnostic]:
    output = ran.stderr.decode(errors="replace")
    if outside := _outside(gcc.opened_read(output)):
        # Not a word of what it says about those: it would quote them.
        return [
            Diagnostic("error", f"it includes {place}, which is not part of the project", path)
            for place in outside
        ]
    found = gcc.diagnostics_read(output, frozenset(files))
    reached = ran.stopped or gcc.limit_reached(output)
    if reached == "time":
        seconds = limits.seconds if ran.stopped else limits.cpu_s
        found = [Diagnostic("error", _TOO_LONG.format(seconds), path)]
    elif reached == "memory":
        found = [Diagnostic("error", _TOO_LARGE.format(limits.memory_bytes // 2**20), path)]
    elif reached == "output":
        text = _TOO_MUCH.format(limits.output_bytes // 1024)
        found.append(Diagnostic("error", text, path))
    elif ran.exit_code and not any(one.severity == "error" for one in found):
        found.append(Diagnostic("error", f"the compiler failed with code {ran.exit_code}", path))
    return found


def _outside(opened: Sequence[str]) -> list[str]:
    """The opened files that are neither the project's nor headers for everybody."""
    leading = (path for path in opened if path.startswith("/") or path.split("/")[0] == "..")
    return [
        path
        for path in dict.fromkeys(leading)
        # By where links lead: a folder of the system's can hold one to a secret.
        if not os.path.realpath(path).startswith(tuple(f"{root}/" for root in _HEADERS))
    ][:5]


@functools.cache
def _version(program: str) -> str:
    """``g++ 12.2.0``."""
    done = subprocess.run(  # noqa: S603  the path that we found
        [program, "-dumpfullversion", "-dumpversion"], capture_output=True, timeout=10, check=False
    )  # fmt: skip
    said = done.stdout.decode(errors="replace").split()
    return f"{Path(program).name} {said[0] if said else ''}".strip()
