"""Start a program in a process group which ends when its starter does, however that ends.

Run as a script: ``python -I -S power_strip.py PARENT PROGRAM ARGUMENT…``. iottalk-py starts
processes of its own and leaves them behind when it is killed; here the group as a whole loses its
power, at once, as a device does whose plug is pulled. Imports nothing of gridtalk, so that it
starts at once.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1


def _power_off(*_signal: object) -> None:
    os.killpg(0, signal.SIGKILL)


def main(parent: int, command: list[str]) -> int:
    """Run the command until it ends; its exit code."""
    # The leader of a new session is one of a group already.
    with contextlib.suppress(PermissionError):
        os.setpgid(0, 0)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _power_off)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        return 1
    code = subprocess.call(command)  # noqa: S603  what our starter names
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)  # what the program left behind
    return code


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
