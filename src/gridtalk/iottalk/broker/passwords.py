"""Mosquitto's password file: its lines, and its writing as a whole, one writer at a time."""

import base64
import fcntl
import hashlib
import os
import pwd
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gridtalk.core.errors import SetupError
from gridtalk.iottalk.broker.mosquitto import PASSWORD_FILE

#: One iteration: slow hashes protect what people choose; these passwords are 128 random bits, and
#: Mosquitto checks every connected client again at each reload.
ITERATIONS = 1
_SALT_BYTES = 12
#: Users as whom Mosquitto gives up root, as Mosquitto itself would.
_SYSTEM_USERS = ("mosquitto", "nobody")


def password_line(*, user: str, password: str) -> str:
    """A line of the file, ``user:$7$iterations$salt$hash``: PBKDF2 with SHA-512, base64.

    The format of ``mosquitto_passwd`` since 2.0. The salt follows from the user, so that the same
    password gives the same line.
    """
    salt = hashlib.sha256(f"gridtalk {user}".encode()).digest()[:_SALT_BYTES]
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    coded = [base64.b64encode(part).decode() for part in (salt, digest)]
    return f"{user}:$7${ITERATIONS}${coded[0]}${coded[1]}"


def broker_user() -> tuple[int, int]:
    """Whom Mosquitto runs as: uid and gid; -1 for the present user, where that is not root."""
    if os.geteuid() != 0:
        return -1, -1
    for name in _SYSTEM_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise SetupError(
        "Mosquitto does not run as root, and there is no user mosquitto; make that user, or start "
        "Gridtalk as an ordinary user"
    )


def file_write(path: Path, text: str) -> None:
    """Replace a file of the broker at once, readable by its user alone.

    The folder must be ours, not the broker's: as root we would follow links that it could lay.
    """
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchown(handle, *broker_user())
            file.write(text)
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


class PasswordFile:
    """The password file in a broker's folder. Change it inside :meth:`held` only."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / PASSWORD_FILE
        self._lock = folder / "passwd.lock"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else changes the file during the block, in whatever process."""
        handle = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def read(self) -> dict[str, str]:
        """User → line; empty where there is no file."""
        try:
            text = self.path.read_text("utf-8")
        except FileNotFoundError:
            return {}
        return {line.partition(":")[0]: line for line in text.splitlines() if ":" in line}

    def change(self, lines: Mapping[str, str | None]) -> bool:
        """Set the lines of these users, remove those that are None; whether that changed it."""
        present = self.read()
        wanted = present | {user: line for user, line in lines.items() if line is not None}
        for user, line in lines.items():
            if line is None:
                wanted.pop(user, None)
        return self._write(present, wanted)

    def replace(self, lines: Mapping[str, str]) -> bool:
        """Make these all that it holds; whether that changed it."""
        return self._write(self.read(), dict(lines))

    def _write(self, present: dict[str, str], wanted: dict[str, str]) -> bool:
        if present == wanted and self.path.exists():
            return False
        file_write(self.path, "".join(f"{line}\n" for line in wanted.values()))
        return True
