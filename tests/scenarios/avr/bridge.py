"""The bridge of a generated Arduino device, as its run.sh starts it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.conftest import clean_environment


class Bridge:
    """The device's own bridge.py on that port; paho-mqtt comes from the tests' environment."""

    def __init__(self, folder: Path, log: Path, *, port: str, url: str, address: str = "") -> None:
        self.log = log
        environment = clean_environment(IOTTALK_URL=url, IOTTALK_DEVICE_ADDRESS=address)
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "bridge.py", port], cwd=folder, stdout=out,
                stderr=out, env=environment, start_new_session=True,
            )  # fmt: skip

    def end(self) -> None:
        """Ctrl-C."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
            self.process.wait(20)
