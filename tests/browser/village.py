"""The village of ``stage.py`` as the tests hold it: a process that is told what shall happen."""

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import clean_environment


class Village:
    """The process of ``stage.py``; ``do`` makes something happen, and returns when it has."""

    def __init__(self, folder: Path) -> None:
        self._errors = (folder / "stage.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("stage.py")), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=clean_environment(),
            text=True,
        )
        self._folder = folder
        facts = self._line()
        self.url: str = facts["url"]
        self.passwords: dict[str, str] = facts["passwords"]
        self.meter: int = facts["meter"]
        self.circuits: dict[str, int] = facts["circuits"]
        self.pins: dict[str, str] = facts["pins"]

    def do(self, what: str) -> None:
        """One of the public methods of :class:`tests.browser.stage.Stage`."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what}) + "\n")
        self._process.stdin.flush()
        self._line()

    def end(self) -> None:
        """End it and its server."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(40)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            said = (self._folder / "stage.log").read_text(errors="replace")
            pytest.fail(f"the village has ended:\n{said[-3000:]}", pytrace=False)
        found: dict[str, Any] = json.loads(line)
        return found
