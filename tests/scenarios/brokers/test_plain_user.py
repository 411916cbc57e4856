"""The private Mosquitto as an ordinary user, who cannot give anything up; root's is elsewhere."""

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.conftest import port_free
from tests.scenarios.brokers import as_nobody

from gridtalk.iottalk.broker.kinds import mosquitto_binary

pytestmark = pytest.mark.scenario


def test_an_ordinary_user_runs_it_too() -> None:
    if not mosquitto_binary():
        pytest.skip("Mosquitto is not installed")
    folder = Path(tempfile.mkdtemp(prefix="gridtalk-plain-"))
    try:
        done = subprocess.run(
            [*_become_nobody(folder), as_nobody.__file__, str(folder), str(port_free()),
             str(port_free())],
            capture_output=True, text=True, timeout=60, check=False, cwd="/",
            env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )  # fmt: skip
    finally:
        shutil.rmtree(folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "user": [-1, -1], "reloaded": True, "codes": [0, 5], "log": "",
    }  # fmt: skip


def _become_nobody(folder: Path) -> list[str]:
    """The words before a script: as root, those that run it as ``nobody``, whose folder it is."""
    if os.geteuid() != 0:
        return [sys.executable]
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    become = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    for python in (sys.executable, "/usr/bin/python3"):
        # Ours may lie in root's home.
        if not subprocess.run([*become, "test", "-x", python], check=False).returncode:
            return [*become, python]
    pytest.fail("no Python that nobody may run")
