"""A Gridtalk server as a process of its own, started and ended from outside.

What ``gridtalk demo`` and the fault tests play against: exactly what an operator starts.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gridtalk.cli import launch
from gridtalk.core.errors import SetupError

READY = "Gridtalk runs at "
_BROKER = "devices talk to "
MQTT_PORT = 1883
#: First start on a slow machine: making the database and all its tables.
START_SECONDS = 120
STOP_SECONDS = 30
_KEPT_LINES = 400
#: The operator's own database and secrets are no place for a simulated village.
OPERATORS_OWN = frozenset(
    {
        "GRIDTALK_DATABASE_URL",
        "GRIDTALK_DATA_DIR",
        "GRIDTALK_PUBLIC_URL",
        "GRIDTALK_ALLOWED_HOSTS",
        "GRIDTALK_SECRET_KEY",
        "GRIDTALK_ENCRYPTION_KEY",
        "GRIDTALK_BELLS",
        "GRIDTALK_DEMO_PHONES",
        "GRIDTALK_MQTT_HOST",
        "GRIDTALK_MQTT_PORT",
        "GRIDTALK_MQTT_PUBLIC",
        "GRIDTALK_MQTT_SERVER_PORT",
        "GRIDTALK_MQTT_URL",
        "GRIDTALK_SUPERVISED",
        "GRIDTALK_SUPERVISOR",
        "GRIDTALK_READY_FILE",
        "DJANGO_SETTINGS_MODULE",
    }
)


def free_port(wanted: int = 0) -> int:
    """``wanted`` where it is free on the loopback address, else a port that is."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SetupError("no port is free on 127.0.0.1")


def operators_own_forget() -> None:
    """Forget, in this process, the operator's own database and secrets."""
    for name in OPERATORS_OWN:
        os.environ.pop(name, None)


@dataclass(frozen=True)
class PhonesDoor:
    """Where the network takes what the page's phone says; ``key`` opens it."""

    port: int
    key: str = field(repr=False)

    @property
    def address(self) -> str:
        """The address that the server posts to."""
        return f"http://127.0.0.1:{self.port}/phones/{self.key}"


class Server:
    """``gridtalk up`` on a data folder of its own, with the embedded PostgreSQL and broker.

    Devices reach the broker at ``mqtt_port``, any that is free where none is given. It ends when
    this process does, however that ends. What it prints goes to :attr:`log_path`, beside its data
    folder; :attr:`lines` holds the last of it.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int,
        mqtt_port: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.port = port
        self.mqtt_port = mqtt_port or free_port()
        self.lines: list[str] = []
        self._environment = dict(environment or {})
        self._ready = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The server's address, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of ``gridtalk up``."""
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def broker(self) -> str:
        """What the server said, as it started, of the broker that devices talk to."""
        said = (line.partition("| ")[2].strip() for line in self.lines if _BROKER in line)
        return next(said, "")

    @property
    def log_path(self) -> Path:
        """Where everything that the server printed is."""
        return self.data_dir.with_name(f"{self.data_dir.name}.log")

    def start(self) -> None:
        """Start it; returns at once (see :meth:`wait_ready`)."""
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        self._ready.clear()
        inherited = {name: value for name, value in os.environ.items() if name not in OPERATORS_OWN}
        up = [sys.executable, "-m", "gridtalk.cli", "--data-dir", str(self.data_dir)]
        up += ["up", "--port", str(self.port), "--mqtt-port", str(self.mqtt_port)]
        # Through launch.py, so that the server ends with us even if we are killed.
        through = [sys.executable, "-I", "-S", launch.__file__, "-1", "-1", str(os.getpid())]
        self._process = subprocess.Popen(  # noqa: S603  our own command
            [*through, str(int(signal.SIGTERM)), *up],
            env={**inherited, "PYTHONUNBUFFERED": "1", **self._environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, name="server-log", daemon=True)
        self._reader.start()

    def wait_ready(self, timeout_s: float = START_SECONDS) -> None:
        """Wait until it serves; :class:`SetupError` with its last lines where it does not."""
        deadline = time.monotonic() + timeout_s
        while not self._ready.wait(0.02):
            if self._process is None or self._process.poll() is not None:
                if self._reader is not None:
                    self._reader.join(timeout=2)
                raise SetupError(f"the server did not start: {self._last_lines()}")
            if time.monotonic() > deadline:
                raise SetupError(
                    f"the server did not start within {timeout_s:g} s: {self._last_lines()}"
                )

    def is_running(self) -> bool:
        """Whether ``gridtalk up`` still runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> int:
        """End it in order; its exit code."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        if self._reader is not None:
            self._reader.join(timeout=5)
        if self._process.stdout is not None:
            self._process.stdout.close()
        return code

    def _last_lines(self) -> str:
        return " · ".join(self.lines[-5:]) or "it said nothing"

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        with self.log_path.open("a", encoding="utf-8") as log:
            for line in self._process.stdout:
                log.write(line)
                log.flush()
                self.lines.append(line.rstrip())
                del self.lines[:-_KEPT_LINES]
                if READY in line:
                    self._ready.set()
