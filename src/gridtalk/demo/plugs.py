"""Devices as processes whose plug can be pulled and put in again."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from gridtalk.core.errors import NotFound
from gridtalk.demo import power_strip


class Plug:
    """The plug of one device: its folder, the command that runs it there, what it is told.

    What it prints goes to ``device.log`` in its folder. Pulling the plug is a power cut: the whole
    process group is killed.
    """

    def __init__(
        self, folder: Path, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self._command = list(command)
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    @property
    def is_in(self) -> bool:
        """Whether the device runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def log_path(self) -> Path:
        """Where everything is that the device printed."""
        return self.folder / "device.log"

    def put_in(self) -> None:
        """Start the device; nothing where it runs."""
        with self._lock:
            if self.is_in:
                return
            known = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
            strip = [sys.executable, "-I", "-S", power_strip.__file__, str(os.getpid())]
            with self.log_path.open("ab") as log:
                self._process = subprocess.Popen(  # noqa: S603  our own command
                    [*strip, *self._command],
                    cwd=self.folder,
                    env={**known, "PYTHONUNBUFFERED": "1", **self._environment},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )

    def pull(self) -> None:
        """Take the device's power away; nothing where it has none."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                return
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                return
            finally:
                self._process.wait(timeout=10)


class PlugBoard:
    """The plugs of a demo's devices, by the devices' addresses."""

    def __init__(self) -> None:
        self._plugs: dict[str, Plug] = {}

    def add(self, address: str, plug: Plug) -> None:
        """Have a device's plug at hand."""
        self._plugs[address] = plug

    def turn(self, address: str, *, on: bool) -> None:
        """Put a device's plug in or pull it; :class:`NotFound` where there is no such device."""
        plug = self._plugs.get(address)
        if plug is None:
            raise NotFound(f"the demo has no device {address}")
        if on:
            plug.put_in()
        else:
            plug.pull()

    def pull_all(self) -> None:
        """End all devices."""
        for plug in self._plugs.values():
            plug.pull()
