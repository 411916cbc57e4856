"""Become another user, ask to be told of the parent's death, and become another program.

Run as a script (``python -I -S launch.py UID GID PARENT SIGNAL PROGRAM ARGUMENT…``) because
``subprocess`` clears nothing in between: the kernel forgets the parent-death signal when the user
changes, so it must be asked for afterwards and before exec. UID and GID -1 keep the present user.
Imports nothing of gridtalk: as another user it could perhaps not read it.
"""

import ctypes  # at once: as another user the standard library is perhaps out of reach
import os
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(*, parent: int, signal_number: int) -> None:
    """Have the kernel send us the signal when the process ``parent`` ends (Linux; else nothing).

    Leaves at once where the parent has ended already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


def become(uid: int, gid: int) -> None:
    """Give up root for that user, all of its groups included."""
    if uid >= 0:
        os.setgroups([gid])
        os.setgid(gid)
        os.setuid(uid)


def main(arguments: list[str]) -> None:
    """See the module's docstring; never returns."""
    uid, gid, parent, signal_number = (int(text) for text in arguments[:4])
    become(uid, gid)
    die_with_parent(parent=parent, signal_number=signal_number)
    os.execv(arguments[4], arguments[4:])  # noqa: S606  the supervisor's own command


if __name__ == "__main__":
    main(sys.argv[1:])
