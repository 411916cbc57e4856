"""What every command needs before it does anything: data folder, secrets, database, Django."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from gridtalk.cli import secretsfile
from gridtalk.cli.lock import FileLock
from gridtalk.cli.postgres import EmbeddedPostgres
from gridtalk.core.errors import SetupError

OLDEST_POSTGRES = 14
#: How long a command waits for another one which is using or starting the database.
PATIENCE_SECONDS = 30
#: Set for the children of ``up``: the data folder of their supervisor.
SUPERVISED = "GRIDTALK_SUPERVISED"
#: Set where the address in GRIDTALK_DATABASE_URL is that of the embedded PostgreSQL.
EMBEDDED = "GRIDTALK_EMBEDDED"
#: Commands which hold the data folder until they are stopped.
LASTING_ROLES = frozenset({"up", "web", "worker", "devices"})


def database_url() -> str:
    """The operator's own PostgreSQL; empty where the embedded one is to be used."""
    return os.environ.get("GRIDTALK_DATABASE_URL", "").strip()


def is_embedded() -> bool:
    """Whether this process uses the embedded PostgreSQL (asked after :func:`database`)."""
    return os.environ.get(EMBEDDED) == "1"


def folder_make(data_dir: Path) -> None:
    """Make the data folder where there is none, and set ``GRIDTALK_DATA_DIR``."""
    if not data_dir.is_dir():
        try:
            data_dir.mkdir(parents=True)
            # Root's database runs as another user, who must be able to walk through.
            data_dir.chmod(0o711 if os.geteuid() == 0 else 0o700)
        except OSError as error:
            raise SetupError(
                f"the data folder {data_dir} cannot be made ({error.strerror}); choose another "
                "with --data-dir"
            ) from error
    os.environ["GRIDTALK_DATA_DIR"] = str(data_dir)


def folder_prepare(data_dir: Path) -> None:
    """Make the data folder where there is none, and read or make the secrets.

    Sets ``GRIDTALK_DATA_DIR`` and the secrets in this process's environment. Raises
    :class:`SetupError` where a folder or file is not ours to use.
    """
    folder_make(data_dir)
    os.environ.update(secretsfile.load(data_dir / "secrets.json"))


def folder_lock(data_dir: Path, role: str) -> FileLock | None:
    """The lock of the data folder, taken and signed; None where another command holds it.

    ``up`` does not share: it waits for a short command to end, and :class:`SetupError` names a
    holder that will not.
    """
    lock = FileLock(data_dir / "lock")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not lock.take():
        if role != "up":
            return None
        holder = lock.holder()
        if holder.get("role") in LASTING_ROLES or time.monotonic() > deadline:
            raise SetupError(
                f"“gridtalk {holder.get('role', 'up')}” (process {holder.get('pid', 'unknown')}) "
                f"already runs on {data_dir}; stop it first, or choose another folder with "
                "--data-dir"
            )
        time.sleep(0.05)
    lock.sign(role)
    return lock


def embedded_set(server: EmbeddedPostgres) -> None:
    """Use this embedded PostgreSQL, here and in the children."""
    os.environ["GRIDTALK_DATABASE_URL"] = server.url
    os.environ[EMBEDDED] = "1"


@contextmanager
def database(data_dir: Path, *, role: str) -> Iterator[None]:
    """Secrets and a database that answers, for the length of the block.

    The embedded PostgreSQL is shared with a running ``up``, else started and stopped again. Sets
    ``GRIDTALK_DATABASE_URL``. Raises :class:`SetupError` where the database cannot be reached.
    """
    folder_prepare(data_dir)
    if database_url():
        if not os.environ.get(SUPERVISED):
            database_check(database_url())
        yield
        return
    server = EmbeddedPostgres(data_dir)
    guests = FileLock(data_dir / "guests.lock")
    lock = _owner_or_guest(server, guests, role)
    try:
        if lock is not None:
            server.check()
            server.initialise()
            server.start()
        embedded_set(server)
        running = FileLock(data_dir / "lock").holder().get("public_url") if lock is None else ""
        if running:
            # What this command tells of addresses is what that server answers at.
            os.environ.setdefault("GRIDTALK_PUBLIC_URL", str(running))
        yield
    finally:
        try:
            # A short command leaves the server running until its guests have done.
            if lock is not None and role not in LASTING_ROLES:
                guests.take(wait=True)
        finally:
            server.stop()
            guests.release()
            if lock is not None:
                lock.release()


def _owner_or_guest(server: EmbeddedPostgres, guests: FileLock, role: str) -> FileLock | None:
    """The data folder's lock; or None, as a guest of the command whose server is ready."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (lock := folder_lock(server.data_dir, role)) is None:
        if guests.take(shared=True):
            if server.is_ready():
                return None
            guests.release()
        if time.monotonic() > deadline:
            holder = FileLock(server.data_dir / "lock").holder()
            raise SetupError(
                f"the database of “gridtalk {holder.get('role', 'up')}” (process "
                f"{holder.get('pid', 'unknown')}) does not answer; look at what that command says"
            )
        time.sleep(0.05)
    return lock


def database_check(url: str) -> None:
    """:class:`SetupError`, one line, where that PostgreSQL cannot be reached or is too old."""
    import psycopg

    from gridtalk.settings import database_from_url

    database_from_url(url)
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            version = connection.info.server_version // 10000
    except psycopg.Error as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise SetupError(
            f"the database at {masked(url)} cannot be reached: "
            f"{lines[-1] if lines else type(error).__name__} (GRIDTALK_DATABASE_URL)"
        ) from error
    if version < OLDEST_POSTGRES:
        raise SetupError(
            f"the database at {masked(url)} is PostgreSQL {version}; Gridtalk needs "
            f"{OLDEST_POSTGRES} or newer"
        )


def masked(url: str) -> str:
    """The address without its password and options."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    return f"{parts.scheme}://{f'{name}@' if name else ''}{host}{parts.path}"


def django_start() -> None:
    """Set Django up with the operator's settings."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gridtalk.settings")
    import django

    django.setup()
