"""Run inside the sandbox, before the compiler: takes limits upon itself, then becomes the command.

``python -I -S launch.py '{"seconds": 30, …}' command…``. A script for any Python, importing nothing
of ours. Limits as :class:`gridtalk.devicetalk.check.sandbox.Limits`; a zero sets none.
"""

import json
import os
import resource
import signal
import sys

#: Below everything else that the server does.
NICENESS = 10


def limits_set(limits: dict[str, float]) -> None:
    """Set them for this process and its children; never above what was set before."""
    for kind, limit in (
        (resource.RLIMIT_CPU, limits["cpu_s"]),
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_NPROC, limits["processes"]),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_STACK, 64 * 2**20),
    ):
        hard, value = resource.getrlimit(kind)[1], int(limit)
        if value and (hard == resource.RLIM_INFINITY or value + 2 < hard):
            # CPU time: the soft limit is told of, the hard one is a plain kill.
            resource.setrlimit(kind, (value, value + 2 * (kind == resource.RLIMIT_CPU)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Should whoever started us be killed, nobody else ends us: an alarm outlives exec.
    signal.alarm(int(limits["seconds"]) + 5)
    os.nice(NICENESS)


if __name__ == "__main__":
    limits_set(json.loads(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606  what the parent says; no shell
