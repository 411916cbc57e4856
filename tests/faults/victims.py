"""The processes of a running server, and how to kill one of them."""

import signal
import time

import psutil
import urllib3

from gridtalk.demo.server import Server

VICTIMS = ("web", "worker", "postmaster", "web process", "backend")
RECOVERY_S = 30


class Victims:
    """The processes of one running server, by the part that they play."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def find(self, victim: str) -> psutil.Process | None:
        """The process to kill; None where it is just being started."""
        try:
            children = psutil.Process(self._server.pid).children()
            for child in children:
                command = " ".join(child.cmdline())
                if victim in {"web", "web process"} and "gridtalk.cli web" in command:
                    below = child.children()
                    return child if victim == "web" else (below[0] if below else None)
                if victim == "worker" and "gridtalk.cli worker" in command:
                    return child
                if victim in {"postmaster", "backend"} and "bin/postgres" in command:
                    return child if victim == "postmaster" else self._backend(child)
        except psutil.NoSuchProcess:
            return None
        return None

    @staticmethod
    def _backend(postmaster: psutil.Process) -> psutil.Process | None:
        """A process that serves a connection of ours."""
        serving = [
            child
            for child in postmaster.children()
            if " gridtalk gridtalk " in " ".join(child.cmdline())
        ]
        return serving[-1] if serving else None

    def kill(self, victim: str) -> int:
        """Kill it with SIGKILL; its process id."""
        deadline = time.monotonic() + RECOVERY_S
        while time.monotonic() < deadline:
            process = self.find(victim)
            if process is not None:
                process.send_signal(signal.SIGKILL)
                return process.pid
            time.sleep(0.01)
        raise RuntimeError(f"no {victim} was found to kill; the server said {self._server.lines}")

    def recovery_await(self, victim: str, gone: int) -> None:
        """Wait until another process plays that part, and the server answers with its database."""
        deadline = time.monotonic() + RECOVERY_S
        while time.monotonic() < deadline:
            back = self.find(victim)
            if back is not None and back.pid != gone and self._answers():
                return
            time.sleep(0.05)
        raise RuntimeError(f"the server did not come back; it said {self._server.lines[-10:]}")

    def _answers(self) -> bool:
        url = f"{self._server.url}/healthz"
        try:
            return urllib3.request("GET", url, timeout=2, retries=False).status == 200
        except urllib3.exceptions.HTTPError:
            return False
