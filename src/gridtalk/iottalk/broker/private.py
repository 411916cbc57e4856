"""The private Mosquitto of one data folder: its files, its process id, its reload. No Django.

Its files are in ``<data folder>/broker``. Mosquitto starts inside that folder and names them
without a path, so that as another user it need not walk through the folders above. As root it runs
as the user ``mosquitto``, who owns the files; the folder stays root's.
"""

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from gridtalk.core.errors import PeerError, SetupError
from gridtalk.iottalk.broker import mosquitto, proof
from gridtalk.iottalk.broker.kinds import mosquitto_binary
from gridtalk.iottalk.broker.passwords import PasswordFile, broker_user, file_write

FOLDER = "broker"
LOOPBACK = "127.0.0.1"


def folder_of(data_dir: Path) -> Path:
    """Where the private broker's files are."""
    return data_dir / FOLDER


class PrivateBroker:
    """Mosquitto with its files in ``<data_dir>/broker``.

    ``port`` on ``host`` is the devices' one; ``server_port``, on loopback, that of the server.
    """

    def __init__(
        self, data_dir: Path, *, host: str, port: int, server_port: int, largest_payload_bytes: int
    ) -> None:
        self.folder = folder_of(data_dir)
        self.server_port = server_port
        self._listeners = [
            mosquitto.Listener(port, host),
            mosquitto.Listener(server_port, LOOPBACK, for_devices=False),
        ]
        self._largest_payload_bytes = largest_payload_bytes

    def prepare(self, *, server_user: str) -> None:
        """Write its files where they are missing or old; passwords that are there stay.

        :class:`SetupError` where the folder is not ours to write.
        """
        # Others may pass, to open what is theirs; what is there, only we can list.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(mode)
            text = mosquitto.configuration(
                self._listeners, largest_payload_bytes=self._largest_payload_bytes
            )
            file_write(self.folder / mosquitto.CONFIGURATION_FILE, text)
            file_write(self.folder / mosquitto.ACL_FILE, mosquitto.acl(server_user=server_user))
            passwords = PasswordFile(self.folder)
            with passwords.held():
                # Written again, so that it belongs to whom Mosquitto runs as today.
                lines = passwords.read()
                passwords.path.unlink(missing_ok=True)
                passwords.replace(lines)
        except OSError as error:
            raise SetupError(
                f"the broker's folder {self.folder} cannot be written ({error.strerror}); start "
                "Gridtalk as its owner, or choose another folder with --data-dir"
            ) from error

    def user(self) -> tuple[int, int]:
        """Whom it runs as; see :func:`~gridtalk.iottalk.broker.passwords.broker_user`."""
        return broker_user()

    def command(self) -> Sequence[str]:
        """The program and its arguments, to be started in :attr:`folder`."""
        return [mosquitto_binary(), "-c", mosquitto.CONFIGURATION_FILE]

    def is_ready(self, pid: int) -> bool:
        """Whether it answers; then its process id is noted for those who reload it.

        Before it answers a SIGHUP would end it: it has no handler yet.
        """
        try:
            proof.broker_answer(
                host=LOOPBACK, port=self.server_port, tls=False, username="?", password="?",  # noqa: S106
                timeout_s=1,
            )  # fmt: skip
        except (OSError, PeerError):
            return False
        scratch = self.folder / f"{mosquitto.PID_FILE}.new"
        scratch.write_text(f"{pid}\n")
        scratch.replace(self.folder / mosquitto.PID_FILE)
        return True

    def forget(self) -> None:
        """Take the note of its process id away: it ended, or is about to start."""
        (self.folder / mosquitto.PID_FILE).unlink(missing_ok=True)


def reload(pid_file: Path) -> bool:
    """Have the Mosquitto of that process id file read its files again; False where none runs."""
    with suppress(OSError, ValueError, psutil.Error):
        pid = int(pid_file.read_text())
        # A number that is by now somebody else's must not be signalled.
        if psutil.Process(pid).name().startswith("mosquitto"):
            os.kill(pid, signal.SIGHUP)
            return True
    return False
