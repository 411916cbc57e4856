"""Kannel's two boxes, started and stopped by their pid."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gridtalk.cli import launch
from gridtalk.demo.server import free_port

USER, PASSWORD = "gw", "gw & p w+"
#: Where Debian's package kannel puts the programs, whatever the PATH of this user is.
PATHS = f"/usr/sbin:/usr/bin:{os.environ.get('PATH', '')}"
CONF = """
group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = admin
status-password = status
admin-deny-ip = "*.*.*.*"
admin-allow-ip = "127.0.0.1"
smsbox-port = {boxes}
smsbox-interface = 127.0.0.1
box-deny-ip = "*.*.*.*"
box-allow-ip = "127.0.0.1"
dlr-storage = internal
store-type = spool
store-location = "{folder}/store"

group = smsc
smsc = fake
smsc-id = FAKE
host = 127.0.0.1
port = {air}
connect-allow-ip = "127.0.0.1"

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {boxes}
smsbox-id = smsbox1
sendsms-port = {sendsms}
sendsms-interface = 127.0.0.1
mo-recode = true
http-request-retry = 8640
http-queue-delay = 1
http-timeout = 30
max-pending-requests = 512

group = smsbox-route
smsbox-id = smsbox1
smsc-id = FAKE

group = sendsms-user
username = {user}
password = "{password}"
concatenation = true
max-messages = 10
user-deny-ip = "*.*.*.*"
user-allow-ip = "127.0.0.1"

group = sms-service
keyword = default
catch-all = true
{service}
accept-x-kannel-headers = true
max-messages = 0
concatenation = true
assume-plain-text = true
omit-empty = true
"""


def until(probe: Callable[[], Any], what: str, seconds: float = 20) -> Any:
    """Poll until the probe says something true, and give that back; a failure says ``what``."""
    deadline = time.monotonic() + seconds
    while not (found := probe()):
        if time.monotonic() > deadline:
            pytest.fail(f"after {seconds:g} s still not: {what}", pytrace=False)
        time.sleep(0.05)
    return found


def listens(port: int) -> bool:
    """Whether somebody takes connections on that loopback port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class Kannel:
    """bearerbox and smsbox on free ports, with a spool that outlives a restart."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "store").mkdir(parents=True)
        self.ports = {name: free_port() for name in ("admin", "boxes", "sendsms", "air")}
        self.get_url = ""
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *, get_url: str = "", post_url: str = "") -> None:
        """Start both boxes; another address for inbound texts, or another way, is for this once."""
        service = f'get-url = "{get_url or self.get_url}"'
        if post_url:
            service = f'post-url = "{post_url}"\nsend-sender = true'
        conf = self.folder / "kannel.conf"
        conf.write_text(
            CONF.format(
                **self.ports,
                folder=self.folder,
                user=USER,
                password=PASSWORD,
                service=service,
            )
        )
        self._start("bearerbox", conf, self.ports["boxes"])
        self._start("smsbox", conf, self.ports["sendsms"])

    def _start(self, name: str, conf: Path, port: int) -> None:
        program = shutil.which(name, path=PATHS)
        assert program is not None
        # Through launch.py, so that it ends with the tests even if these are killed.
        through = [sys.executable, "-I", "-S", launch.__file__, "-1", "-1", str(os.getpid())]
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*through, str(int(signal.SIGTERM)), program, "-v", "1", str(conf)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self._running[name] = process
        until(
            lambda: process.poll() is not None or listens(port),
            f"{name} to listen; it said {self.said(name)}",
        )
        assert process.poll() is None, f"{name} ended: {self.said(name)}"

    def said(self, name: str) -> str:
        """The last of what a box logged."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-2000:]

    def stop(self, *names: str) -> None:
        """Stop smsbox, then bearerbox, or only the one named; what is in the spool stays."""
        for name in names or ("smsbox", "bearerbox"):
            process = self._running.pop(name, None)
            if process is None:
                continue
            # With texts queued that nobody takes, bearerbox wants a second word.
            for patience in (4, 4):
                if process.poll() is None:
                    process.terminate()
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(patience)
            if process.poll() is None:
                process.kill()
                process.wait()

    def kill(self) -> None:
        """End both at once, as a power cut does."""
        for process in self._running.values():
            process.kill()
        for process in self._running.values():
            process.wait()
        self._running.clear()

    def counts(self) -> tuple[int, int]:
        """By its own count: texts taken from phones, and texts in the spool."""
        url = f"http://127.0.0.1:{self.ports['admin']}/status.txt?password=status"
        with urllib.request.urlopen(url, timeout=5) as answer:
            page = answer.read().decode()
        found = re.search(r"^SMS: received (\d+) .* store size (\d+)", page, re.MULTILINE)
        assert found, page
        return int(found[1]), int(found[2])


def is_installed() -> bool:
    """Whether both boxes are on this machine."""
    return all(shutil.which(name, path=PATHS) for name in ("bearerbox", "smsbox"))
