"""One holder of a data folder at a time, and guests who use its database meanwhile."""

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from gridtalk.core.errors import SetupError


class FileLock:
    """An advisory lock which the kernel drops when its process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = -1

    def take(self, *, shared: bool = False, wait: bool = False) -> bool:
        """Take it; False where somebody holds it and ``wait`` is not asked for."""
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SetupError(
                f"{self.path} cannot be opened ({error.strerror}); start Gridtalk as the owner of "
                "that folder, or choose another with --data-dir"
            ) from error
        try:
            mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(handle, mode if wait else mode | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._handle = handle
        return True

    def sign(self, role: str, *, public_url: str = "") -> None:
        """Write into the lock who holds it, and where it is reached, for those who come later."""
        said = {"role": role, "pid": os.getpid(), "public_url": public_url}
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, json.dumps(said).encode(), 0)

    def holder(self) -> dict[str, Any]:
        """Who signed last; empty where nobody did yet."""
        try:
            said = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}
        return said if isinstance(said, dict) else {}

    def release(self) -> None:
        """Let go."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
