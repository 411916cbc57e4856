"""Real servers for the tests: ``gridtalk up`` in a folder of its own."""

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from xdist.scheduler import LoadFileScheduling

START_SECONDS = 60


def pytest_configure() -> None:
    """Let Ctrl-C reach what the tests start, and have no ``make`` above theirs.

    A shell starts what it runs in the background with SIGINT ignored, children inherit that, and
    some tests send it. A ``make`` below another one (``make check``) says in which folder it is.
    """
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
        os.environ.pop(name, None)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """With several workers: a file stays together, and so do all that share the browser."""
    return _ByFile(config, log)


class _ByFile(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    def _split_scope(self, nodeid: str) -> str:
        folder = "tests/browser/"
        return folder if nodeid.startswith(folder) else str(super()._split_scope(nodeid))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Scenarios talk to real peers over loopback."""
    for item in items:
        if item.get_closest_marker("scenario") or item.get_closest_marker("faults"):
            item.add_marker(pytest.mark.enable_socket)


def wait_until(probe: Callable[[], Any], *, what: str, seconds: float = 15) -> Any:
    """Poll until the probe says something true, and give that back; a failure says ``what``."""
    deadline = time.monotonic() + seconds
    while not (found := probe()):
        if time.monotonic() > deadline:
            pytest.fail(f"after {seconds:g} s still not: {what}", pytrace=False)
        time.sleep(0.02)
    return found


def clean_environment(**more: str) -> dict[str, str]:
    """Our environment without what the tests' own Django uses."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRIDTALK_")}
    # pytest-django names the tests' settings there, and these switch the bells off.
    kept.pop("DJANGO_SETTINGS_MODULE", None)
    return kept | more


def port_free() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Gridtalk:
    """One data folder, and ``gridtalk up`` on it while it runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.log = folder / "log"
        self.port = port_free()
        self.mqtt_port = port_free()
        self.process: subprocess.Popen[bytes] | None = None

    def command(
        self, *arguments: str, stdin: str = "", timeout: float = 60, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run another ``gridtalk`` command on this data folder to its end."""
        return subprocess.run(
            [sys.executable, "-m", "gridtalk.cli", "--data-dir", str(self.data_dir), *arguments],
            input=stdin, capture_output=True, text=True, timeout=timeout, check=False,
            env=clean_environment(**environment), cwd=self.folder,
        )  # fmt: skip

    def up(self, *arguments: str, **environment: str) -> "Gridtalk":
        """Start it and wait until it says that it runs."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gridtalk.cli", "up", "--data-dir", str(self.data_dir),
                 "--port", str(self.port), "--mqtt-port", str(self.mqtt_port), *arguments],
                stdout=log, stderr=log, env=clean_environment(**environment), cwd=self.folder,
                start_new_session=True,
            )  # fmt: skip

        def runs() -> bool:
            assert self.process is not None
            if self.process.poll() is not None:
                pytest.fail(f"gridtalk up ended:\n{self.said()}", pytrace=False)
            return "Gridtalk runs at" in self.said()

        wait_until(runs, what="gridtalk up to run", seconds=START_SECONDS)
        return self

    def said(self) -> str:
        """All that ``up`` has printed."""
        return self.log.read_text(errors="replace")

    @property
    def database_url(self) -> str:
        """The embedded database's address."""
        return f"postgresql://gridtalk@/gridtalk?host={self.data_dir / 'postgres'}"

    def database(self) -> psycopg.Connection[Any]:
        """A connection to the embedded database, autocommit."""
        return psycopg.connect(self.database_url, autocommit=True, connect_timeout=2)

    def http_status(self, path: str = "/") -> int:
        """The status of a GET; 0 where nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with contextlib.closing(connection):
            try:
                connection.request("GET", path)
                return connection.getresponse().status
            except (OSError, http.client.HTTPException):
                return 0

    def child(self, name: str) -> psutil.Process | None:
        """The live child of ``up`` of that name: postgres, web or worker."""
        assert self.process is not None
        for process in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.Error):
                words = process.cmdline()
                if process.name() == name or name in words[2:5]:
                    return process
        return None

    def processes(self) -> list[psutil.Process]:
        """``up`` and all below it."""
        assert self.process is not None
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]

    @staticmethod
    def alive_after(processes: list[psutil.Process], *, seconds: float) -> list[psutil.Process]:
        """Those which still live after so long; a zombie has ended, collected or not."""

        def live() -> list[psutil.Process]:
            found = []
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                        found.append(process)
            return found

        deadline = time.monotonic() + seconds
        while (left := live()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return left

    def stop(self) -> int:
        """SIGTERM, and wait for the end; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def end(self) -> None:
        """Leave nothing running, whatever the test did."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def remove(self) -> None:
        """End it and remove its folder."""
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def gridtalk_new() -> Iterator[Callable[[], Gridtalk]]:
    """Makes :class:`Gridtalk` installations; all are ended and removed with the session."""
    made: list[Gridtalk] = []

    def new() -> Gridtalk:
        # Not pytest's own folder: the database's user cannot enter that one.
        folder = Path(tempfile.mkdtemp(prefix="gridtalk-up-"))
        folder.chmod(0o755)
        made.append(Gridtalk(folder))
        return made[-1]

    yield new
    for one in made:
        one.remove()


@pytest.fixture(scope="session")
def gridtalk_migrated(gridtalk_new: Callable[[], Gridtalk]) -> Gridtalk:
    """A data folder with an empty, migrated database, to be copied."""
    one = gridtalk_new()
    done = one.command("migrate")
    assert done.returncode == 0, done.stderr
    return one


@pytest.fixture
def gridtalk_fresh(gridtalk_new: Callable[[], Gridtalk]) -> Iterator[Gridtalk]:
    """An installation without a data folder; ended after the test."""
    one = gridtalk_new()
    yield one
    one.remove()


@pytest.fixture
def gridtalk(
    gridtalk_new: Callable[[], Gridtalk], gridtalk_migrated: Gridtalk
) -> Iterator[Gridtalk]:
    """An installation with a migrated database, not started yet; ended after the test."""
    one = gridtalk_new()
    subprocess.run(["cp", "-a", gridtalk_migrated.data_dir, one.data_dir], check=True)
    yield one
    one.remove()


@pytest.fixture(scope="module")
def gridtalk_running(
    gridtalk_new: Callable[[], Gridtalk], gridtalk_migrated: Gridtalk
) -> Iterator[Gridtalk]:
    """One running ``gridtalk up``, shared by a module's tests."""
    one = gridtalk_new()
    subprocess.run(["cp", "-a", gridtalk_migrated.data_dir, one.data_dir], check=True)
    yield one.up()
    one.remove()
