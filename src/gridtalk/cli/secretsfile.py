"""The installation's secrets: made on first start, kept in one file only its owner can read."""

import json
import os
import secrets
import stat
from pathlib import Path

from gridtalk.core.errors import SetupError

#: What is kept, and under which name of the environment Django's settings read it.
NAMES = {"secret_key": "GRIDTALK_SECRET_KEY", "encryption_key": "GRIDTALK_ENCRYPTION_KEY"}


def load(path: Path) -> dict[str, str]:
    """The secrets as names of the environment; the file is made where there is none.

    A name that the environment sets already wins, so that an operator may keep the secrets
    elsewhere. Raises :class:`SetupError` where the file cannot be read, is damaged, or is not ours.
    """
    given = {name: os.environ[name] for name in NAMES.values() if os.environ.get(name)}
    if len(given) == len(NAMES):
        return given
    stored = _read(path)
    if stored is None:
        _create(path)
        stored = _read(path)
    if stored is None:
        raise SetupError(f"the secrets file {path} vanished while it was read; try again")
    return {name: stored[key] for key, name in NAMES.items()} | given


def _create(path: Path) -> None:
    content = json.dumps({key: secrets.token_urlsafe(48) for key in NAMES}, indent=1) + "\n"
    scratch = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(handle, content.encode())
            os.fsync(handle)
        finally:
            os.close(handle)
        # A link fails where another start was quicker; then theirs is the one to read.
        try:
            os.link(scratch, path)
        except FileExistsError:
            return
        finally:
            scratch.unlink()
    except OSError as error:
        raise SetupError(f"the secrets file {path} cannot be written: {error.strerror}") from error


def _read(path: Path) -> dict[str, str] | None:
    try:
        text = path.read_text("utf-8")
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            path.chmod(0o600)
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        text = ""
    except OSError as error:
        raise SetupError(
            f"the secrets file {path} cannot be read ({error.strerror}); start Gridtalk as the "
            "user who owns it, or give it to this user with chown"
        ) from error
    try:
        stored = json.loads(text)
        return {key: _checked(stored[key]) for key in NAMES}
    except (ValueError, KeyError, TypeError) as error:
        raise SetupError(
            f"the secrets file {path} is damaged; put back a copy of it (a new one would leave the "
            "providers' stored passwords unreadable)"
        ) from error


def _checked(value: object) -> str:
    if not isinstance(value, str) or len(value) < 32:
        raise ValueError("too short")
    return value
