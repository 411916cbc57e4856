"""Start a program in a process group which ends when its starter does, however that ends.

Run as a script: ``python -I -S power_strip.py PARENT PROGRAM ARGUMENT…``. iottalk-py starts
processes of its own and leaves them behind when it is killed; here the group as a whole loses its
power, at once, as a device does whose plug is pulled. Imports nothing of gridtalk, so that it
starts at once.
"""

import contextlib
import os
import signal
import subprocess
import sys

#: So often it looks whether its starter lives. The kernel's own signal (PR_SET_PDEATHSIG) comes
#: when the *thread* that started us ends.
LOOK_S = 0.5


def _power_off(*_signal: object) -> None:
    os.killpg(0, signal.SIGKILL)


def main(parent: int, command: list[str]) -> int:
    """Run the command until it ends; its exit code."""
    # The leader of a new session is one of a group already.
    with contextlib.suppress(PermissionError):
        os.setpgid(0, 0)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _power_off)
    if os.getppid() != parent:
        return 1
    process = subprocess.Popen(command)  # noqa: S603  what our starter names
    while True:
        try:
            code = process.wait(LOOK_S)
            break
        except subprocess.TimeoutExpired:
            if os.getppid() != parent:
                _power_off()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)  # what the program left behind
    return code


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
