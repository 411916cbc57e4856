"""Letting devices into the broker, and knowing that it does, before their registration is answered.

The private Mosquitto reads its passwords from a file: it is rewritten, Mosquitto told (SIGHUP), and
then asked by a real CONNECT. Registrations that come while this goes on are done together in the
next round, so that many at once cost few rewrites. A broker of the operator's is only asked, until
it lets the device in; amqtt looks into the database itself.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.conf import settings

from gridtalk.core.errors import GridtalkError, PeerError
from gridtalk.iottalk import credentials
from gridtalk.iottalk.broker import address, private, proof
from gridtalk.iottalk.broker.kinds import Kind
from gridtalk.iottalk.broker.mosquitto import PID_FILE
from gridtalk.iottalk.broker.passwords import PasswordFile, password_line
from gridtalk.iottalk.models import RegisteredDevice

log = logging.getLogger(__name__)

PATIENCE_S = 5.0
#: A broker that does not listen is waited for only so long: a restart takes less.
DOWN_PATIENCE_S = 1.5
#: Afterwards nobody waits for it for so long: else a flood of registrations would hold every
#: thread of the web process.
DOWN_PAUSE_S = 2.0
#: After one that it did not let in, others are waited for less, for so long: a broker of the
#: operator's whose passwords nobody writes must not hold every thread of the web process.
HASTE_S = 30.0
HASTY_PATIENCE_S = 0.5
#: A SIGHUP that arrives during a reload is lost: it is sent again.
RELOAD_AGAIN_S = 0.25
_FIRST_PAUSE_S = 0.002
_LONGEST_PAUSE_S = 0.1


@dataclass
class _Round:
    """What is done together. ``proof`` is a user who must get in afterwards, with the password."""

    lines: dict[str, str | None] = field(default_factory=dict)
    proof: tuple[str, str] | None = None
    done: threading.Event = field(default_factory=threading.Event)
    error: str = ""


class _Rounds:
    """The rounds of this process, one at a time; who comes meanwhile shares the next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._next: _Round | None = None
        self._down_until = 0.0
        self._hasty_until = 0.0

    def join(
        self, lines: Mapping[str, str | None], user: tuple[str, str] | None, timeout_s: float
    ) -> None:
        """Have these lines in force; :class:`PeerError` where that fails."""
        deadline = time.monotonic() + timeout_s
        with self._lock:
            leads = self._next is None
            mine = self._next = self._next or _Round()
            mine.lines.update(lines)
            mine.proof = user or mine.proof
        if not leads:
            if not mine.done.wait(timeout_s + 1):
                raise PeerError("the MQTT broker did not take the new device in time")
        else:
            self._lead(mine, deadline)
        if mine.error:
            raise PeerError(mine.error)

    def _lead(self, mine: _Round, deadline: float) -> None:
        try:
            with self._turn:
                with self._lock:
                    self._next = None
                self._do(mine, deadline)
        except PeerError as error:
            mine.error = str(error)
        except BaseException:
            mine.error = "the passwords of the MQTT broker could not be written"
            raise
        finally:
            mine.done.set()

    def _do(self, mine: _Round, deadline: float) -> None:
        folder = private.folder_of(settings.DATA_DIR)
        passwords = PasswordFile(folder)
        try:
            with passwords.held():
                changed = passwords.change(mine.lines)
        except OSError as error:
            raise PeerError(
                f"the MQTT broker's folder {folder.name} cannot be written ({error.strerror}): "
                "“gridtalk up” makes it"
            ) from error
        if changed:
            private.reload(folder / PID_FILE)
        if mine.proof is not None:
            self.prove(mine.proof, deadline=deadline, reloads=True)

    def prove(self, user: tuple[str, str], *, deadline: float, reloads: bool) -> None:
        """Wait until the broker lets the user in."""
        url = address.broker_url()
        where = f"the MQTT broker at {url.host}:{url.port}"
        pid_file = private.folder_of(settings.DATA_DIR) / PID_FILE
        began = reloaded = time.monotonic()
        if began < self._hasty_until:
            deadline = min(deadline, began + HASTY_PATIENCE_S)
        pause = _FIRST_PAUSE_S
        while True:
            now = time.monotonic()
            try:
                if now < self._down_until:
                    raise PeerError(f"{where} does not answer")
                code = proof.broker_answer(
                    host=url.host, port=url.port, tls=url.tls, username=user[0], password=user[1]
                )
            except OSError as error:
                if now - began >= DOWN_PATIENCE_S or now >= deadline:
                    self._down_until = time.monotonic() + DOWN_PAUSE_S
                    raise PeerError(f"{where} does not answer ({error})") from error
                code = -1
            if code == proof.ACCEPTED:
                self._hasty_until = 0.0
                return
            if now >= deadline:
                self._hasty_until = time.monotonic() + HASTE_S
                raise PeerError(f"{where} does not let the device {user[0]} in (answer {code})")
            if reloads and now - reloaded >= RELOAD_AGAIN_S:
                private.reload(pid_file)
                reloaded = now
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)


_rounds = _Rounds()


def credentials_admit(*, handles: Sequence[str], timeout_s: float = PATIENCE_S) -> None:
    """Return once the broker lets these devices in, each with its present password alone.

    Call it after the commit. A device that is gone or deregistered is let in no more. Takes 2 ms
    where the broker knows them, about 10 ms where not. :class:`PeerError` where the broker does not
    answer or does not let them in within ``timeout_s`` seconds, and where there is none.
    """
    kind = address.kind()
    if kind is Kind.NONE:
        raise PeerError("this server runs without an MQTT broker: IoTtalk v1 devices alone")
    if kind is Kind.AMQTT or not handles:
        return
    passwords = _passwords(handles)
    if kind is Kind.OUTSIDE:
        deadline = time.monotonic() + timeout_s
        for user in passwords.items():
            _rounds.prove(user, deadline=deadline, reloads=False)
        return
    lines = {
        handle: password_line(user=handle, password=passwords[handle])
        if handle in passwords
        else None
        for handle in handles
    }
    _rounds.join(lines, next(iter(passwords.items()), None), timeout_s)


def credentials_end(*, handles: Sequence[str]) -> None:
    """Have the broker end the connections of these devices, which left or are forgotten.

    Call it after the commit. Nothing is raised: nobody need stay because the broker is away, and
    :func:`credentials_sync` makes it good when the device server connects to it again.
    """
    try:
        if address.kind() is not Kind.NONE:
            credentials_admit(handles=handles)
    except GridtalkError as error:
        log.warning("the MQTT broker may still let in devices that left: %s", error)


def credentials_sync() -> bool:
    """Write the private Mosquitto's password file whole from the database; whether it changed.

    Nothing for other brokers. Called when the MQTT side starts, before it connects.
    """
    if address.kind() is not Kind.MOSQUITTO:
        return False
    folder = private.folder_of(settings.DATA_DIR)
    if not folder.is_dir():
        # Nobody started it from this data folder.
        return False
    passwords = PasswordFile(folder)
    with passwords.held():
        # Read inside: who registered meanwhile waits for the file, and is in the database.
        changed = passwords.replace(password_lines())
    if changed:
        private.reload(folder / PID_FILE)
    return changed


def password_lines(*, username: str = "", password: str = "") -> dict[str, str]:
    """The lines of the whole password file: the server's, and every registered v2 device's.

    The server enters as ``username``; empty: with the name and password of our own broker.
    """
    server = username or credentials.SERVER_USER
    server_password = password if username else credentials.server_password()
    lines = {server: password_line(user=server, password=server_password)}
    for handle, device_password in _passwords(None).items():
        lines[handle] = password_line(user=handle, password=device_password)
    return lines


def _passwords(handles: Sequence[str] | None) -> dict[str, str]:
    """Handle → password of those (None: all) which are registered for v2."""
    found = RegisteredDevice.objects.filter(
        protocol=RegisteredDevice.Protocol.V2, deregistered_at=None
    )
    if handles is not None:
        found = found.filter(handle__in=handles)
    return {
        handle: credentials.device_password(handle=handle, key_epoch=epoch)
        for handle, epoch in found.values_list("handle", "key_epoch")
    }
