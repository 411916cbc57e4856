"""Starting a compiler on code that a stranger wrote, shut in.

With bubblewrap: namespaces of its own for processes, network, users, files; of the server's files
it sees compilers and their headers, read-only, and the project. Always: limits on CPU time, memory,
file size, processes (``launch.py``), a wall-clock limit, output cut, an empty environment, and the
end of the whole group. Which commands are run is said by ``tools.py``; none comes from a user.
"""

import functools
import json
import logging
import os
import selectors
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Literal

from gridtalk.core.errors import GridtalkError
from gridtalk.devicetalk.tree import Tree
from gridtalk.devicetalk.ziptree import folder_write

log = logging.getLogger(__name__)

_HERE = Path(__file__).parent
_PROJECT = "/project"
_PREFIX = "gridtalk-check-"
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/tmp", "TMPDIR": "/tmp"}  # noqa: S108  inside
#: What of the server's own files is seen inside, where it is there: compilers and their headers.
SYSTEM = (
    "/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/include",
    "/usr/share/arduino", "/usr/local/include", "/lib", "/lib32", "/lib64", "/bin",
)  # fmt: skip
#: A folder that a killed server left is older than this, in seconds.
_LEFT_S = 3600
_PROBE_S = 10


class Isolation(StrEnum):
    """How a program was shut in."""

    BUBBLEWRAP = "bubblewrap"
    NETWORK = "limits, no network"
    LIMITS = "limits alone"


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one program: wall-clock and CPU seconds, bytes of memory (address space), of each file
    written and of output, processes (0: not limited).
    """

    seconds: float = 30
    cpu_s: int = 20
    memory_bytes: int = 2**30
    file_bytes: int = 16 * 2**20
    processes: int = 64
    output_bytes: int = 2**20


@dataclass(frozen=True, slots=True)
class Ran:
    """What a program did. ``exit_code`` is negative for a signal (with bubblewrap: 128 + signal).

    ``stopped`` says which limit ended it, where one did.
    """

    exit_code: int
    stdout: bytes
    stderr: bytes
    stopped: Literal["", "time", "output"] = ""


class SandboxFailed(GridtalkError):  # noqa: N818  named for what happened
    """The sandbox itself could not start: the fault is this server's, not the code's."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Runs programs on one folder."""

    isolation: Isolation
    folder: Path
    limits: Limits = Limits()

    def run(self, command: Sequence[str], *, read: Mapping[str, Path] | None = None) -> Ran:
        """Run a program in the folder; ``read`` are more places that it may read: inside → ours.

        The command is a list, never a shell's. Raises :class:`SandboxFailed` where it does not
        start.
        """
        limits = self.limits
        if self.isolation is not Isolation.BUBBLEWRAP:
            # Without a user namespace the server's own processes would count as well.
            limits = Limits(**{**asdict(limits), "processes": 0})
        launch = [python(), "-I", "-S", self.inside("/check/launch.py", _HERE / "launch.py")]
        inner = [*launch, json.dumps(asdict(limits)), *command]
        return _run([*self._outer(read or {}), *inner], self.folder, limits)

    def inside(self, path: str, ours: Path) -> str:
        """How the program calls that file of ours, which ``read`` gives it as ``path``."""
        return path if self.isolation is Isolation.BUBBLEWRAP else str(ours)

    def _outer(self, read: Mapping[str, Path]) -> list[str]:
        if self.isolation is Isolation.NETWORK:
            return _unshare()
        if self.isolation is Isolation.LIMITS:
            return []
        given = {"/check/launch.py": _HERE / "launch.py", _PROJECT: self.folder, **read}
        binds = [word for path, ours in given.items() for word in ("--ro-bind", str(ours), path)]
        return [*_bubblewrap(), *binds, "--chdir", _PROJECT, "--remount-ro", "/", "--"]


@contextmanager
def sandbox(isolation: Isolation, files: Tree, limits: Limits) -> Iterator[Sandbox]:
    """A sandbox on a temporary folder with these files, which is gone afterwards."""
    _sweep()
    with TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder_write(files, folder)
        yield Sandbox(isolation, folder, limits)


@functools.cache
def bubblewrap_fault() -> str:
    """Why bubblewrap cannot be used on this machine; empty where it can. Asked once a process."""
    if shutil.which("bwrap") is None:
        return "bubblewrap (bwrap) is not installed"
    fault = _probe([*_bubblewrap(), "--remount-ro", "/", "--", python(), "-I", "-S", "-c", ""])
    return fault and f"bubblewrap does not work here ({fault})"


@functools.cache
def without_bubblewrap() -> Isolation:
    """The best that is left without it."""
    found = shutil.which("unshare") and not _probe([*_unshare(), python(), "-I", "-S", "-c", ""])
    return Isolation.NETWORK if found else Isolation.LIMITS


def _probe(command: list[str]) -> str:
    """Why that command fails; empty where it does not."""
    try:
        done = subprocess.run(  # noqa: S603  our own words
            command, env=_ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=_PROBE_S, check=False, start_new_session=True,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    said = done.stderr.decode(errors="replace").strip()
    return (said.splitlines()[-1] if said else f"code {done.returncode}") if done.returncode else ""


def _bubblewrap() -> list[str]:
    """bubblewrap with what every program sees, up to where the project's own places follow."""
    command = [
        shutil.which("bwrap") or "bwrap",
        "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL",
        "--size", str(16 * 2**20), "--tmpfs", "/tmp",  # noqa: S108  inside, in memory
    ]  # fmt: skip
    for path in (*SYSTEM, *_python_places()):
        command += ["--ro-bind-try", path, path]
    return command


def _unshare() -> list[str]:
    """A network of its own, with nothing in it, and processes of its own, which end together.

    Who is not root needs a user namespace for that.
    """
    root = [] if os.geteuid() == 0 else ["-r"]
    return [shutil.which("unshare") or "unshare", *root, "-n", "-p", "-f", "--kill-child", "--"]


def python() -> str:
    """The interpreter itself, not a virtual environment's link to it."""
    real = Path(sys.executable).resolve()
    base = Path(sys.base_prefix, "bin", real.name)
    return str(base.resolve() if base.exists() else real)


def _python_places() -> list[str]:
    """The interpreter and its library, where they are not among the system's."""
    places = {str(Path(python()).parent), sysconfig.get_path("stdlib")}
    if shared := sysconfig.get_config_var("LIBDIR"):
        places.add(str(shared))
    known = tuple(f"{path}/" for path in SYSTEM)
    return sorted(place for place in places if not f"{place}/".startswith(known))


def _run(command: list[str], folder: Path, limits: Limits) -> Ran:
    try:
        process = subprocess.Popen(  # noqa: S603  our own words; no shell
            command, cwd=folder, env=_ENVIRONMENT, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, bufsize=0,
        )  # fmt: skip
    except OSError as error:
        raise SandboxFailed(f"{command[0]} could not be started: {error.strerror}") from error
    with process:
        try:
            output, stopped = _read(process, limits)
        finally:
            # Before it is waited for: until then its number is nobody else's.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
    stdout, stderr = output
    if code == 1 and not stdout and stderr.startswith(b"bwrap: "):
        raise SandboxFailed(stderr.decode(errors="replace").strip())
    return Ran(code, stdout, stderr, stopped)


def _read(
    process: "subprocess.Popen[bytes]", limits: Limits
) -> tuple[tuple[bytes, bytes], Literal["", "time", "output"]]:
    """What it prints, until both ends are closed or a limit is reached."""
    deadline = time.monotonic() + limits.seconds
    assert process.stdout is not None
    assert process.stderr is not None
    pipes = {process.stdout: bytearray(), process.stderr: bytearray()}

    def output() -> tuple[bytes, bytes]:
        first, second = pipes.values()
        return bytes(first[: limits.output_bytes]), bytes(second[: limits.output_bytes])

    with selectors.DefaultSelector() as waiting:
        for pipe in pipes:
            waiting.register(pipe, selectors.EVENT_READ)
        while waiting.get_map():
            ready = waiting.select(max(deadline - time.monotonic(), 0))
            if not ready:
                return output(), "time"
            for key, _ in ready:
                pipe = process.stdout if key.fileobj is process.stdout else process.stderr
                piece = pipe.read(65536)
                pipes[pipe] += piece or b""
                if not piece:
                    waiting.unregister(pipe)
                if len(pipes[pipe]) > limits.output_bytes:
                    return output(), "output"
    return output(), ""


def _sweep() -> None:
    """Remove the folders of servers that were killed while they checked."""
    for left in Path(gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if left.stat().st_mtime < time.time() - _LEFT_S:
                shutil.rmtree(left, ignore_errors=True)
