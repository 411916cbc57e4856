"""Who may bring us texts: interfaces, known by their key, remembered for two seconds.

The memory keeps the way of an inbound message to one statement. It is small and short, so a key
that is changed or an interface that is switched off works everywhere within two seconds.
"""

import base64
import binascii
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpRequest

from gridtalk.core import secrets
from gridtalk.core.errors import NotAllowed
from gridtalk.core.services import system_log_create
from gridtalk.messaging.models import CommunicationInterface
from gridtalk.messaging.wire import form_fields

REMEMBERED_S = 2.0
#: At most one line about refused callers in so long, per interface and address.
LOGGED_EVERY_S = 60.0
#: What a caller with a right key said and could not be stored is noted, so many times in that span.
MOST_NOTES = 100
#: More than any installation has interfaces; a flood of invented ones empties the memory.
MOST_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Caller:
    """What the door needs to know of an interface."""

    interface_id: int
    kind: str
    name: str
    active: bool
    region: str
    key_hash: str


class _Memory:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[object, tuple[float, Caller | None]] = {}
        self._logged: dict[tuple[int, str], float] = {}
        self._notes: dict[int, tuple[float, int]] = {}

    def find(self, name: object, look: Callable[[], Caller | None]) -> Caller | None:
        now = time.monotonic()
        known = self._known.get(name)
        if known and now < known[0]:
            return known[1]
        caller = look()
        with self._lock:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[name] = (now + REMEMBERED_S, caller)
        return caller

    def may_log(self, interface_id: int, address: str) -> bool:
        now = time.monotonic()
        with self._lock:
            if now < self._logged.get((interface_id, address), 0.0):
                return False
            if len(self._logged) >= MOST_REMEMBERED:
                self._logged.clear()
            self._logged[interface_id, address] = now + LOGGED_EVERY_S
            return True

    def note_number(self, interface_id: int) -> int:
        """The how-manieth note of its interface this is, since the first of this span."""
        now = time.monotonic()
        with self._lock:
            until, number = self._notes.get(interface_id, (0.0, 0))
            if now >= until:
                until, number = now + LOGGED_EVERY_S, 0
            self._notes[interface_id] = until, number + 1
            return number + 1

    def clear(self) -> None:
        with self._lock:
            self._known.clear()
            self._logged.clear()
            self._notes.clear()


_memory = _Memory()
#: Forget everything; for tests.
forget = _memory.clear


def _row(**where: object) -> Caller | None:
    rows = CommunicationInterface.objects.filter(**where).values_list(
        "id", "kind", "name", "active", "region", "inbound_key_hash"
    )[:1]
    return next((Caller(*row) for row in rows), None)


def key_given(request: HttpRequest) -> str:
    """The key that a request carries: ``?key=``, a basic-auth password, or a bearer token."""
    query = str(request.META.get("QUERY_STRING", "")).encode("latin-1", "replace")
    if key := form_fields(query).get("key"):
        return key.decode("utf-8", "replace")
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            pair = base64.b64decode(value.strip(), validate=True).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            return ""
        return pair.partition(":")[2]
    return ""


def caller_by_id(request: HttpRequest, interface_id: int, *, address: str) -> Caller:
    """The interface with this id, whose key the request carries.

    Raises :class:`NotAllowed`, alike whatever is wrong, after a line in the system log.
    """
    caller = _memory.find(interface_id, lambda: _row(pk=interface_id))
    key = key_given(request)
    # Compared even where there is no such interface, so that the time tells nothing.
    right = secrets.key_matches(key, caller.key_hash if caller else "0" * 64)
    return _admitted(request, caller if right else None, known=caller, address=address)


def caller_by_key(request: HttpRequest, *, address: str) -> Caller:
    """The interface whose key the request carries; for addresses without an id.

    Raises :class:`NotAllowed`, alike whatever is wrong, after a line in the system log.
    """
    key_hash = secrets.key_hash(key_given(request))
    caller = _memory.find(key_hash, lambda: _row(inbound_key_hash=key_hash))
    return _admitted(request, caller, known=caller, address=address)


def _admitted(
    request: HttpRequest, caller: Caller | None, *, known: Caller | None, address: str
) -> Caller:
    if caller is not None and caller.active:
        return caller
    name = known.name if known else "an unknown interface"
    reason = f"{name} is not active" if caller else f"wrong or missing key for {name}"
    refused_note(request, known.interface_id if known else 0, address=address, reason=reason)
    raise NotAllowed("wrong key, or the interface is not active")


def refused_note(
    request: HttpRequest, interface_id: int, *, address: str, reason: str, source: str = "inbound"
) -> None:
    """A line in the system log on what the door refused, at most one a minute for each interface
    and address, so that a flood does not fill the table."""
    if _memory.may_log(interface_id, address):
        _note(request, address=address, reason=reason, source=source)


def unread_note(request: HttpRequest, caller: Caller, *, address: str, reason: str) -> None:
    """A line in the system log on what an interface with a right key brought and nobody can read.

    Each has its line, since it may be somebody's money. The same once more within a minute has
    none (Kannel tries again for a day), and a flood is cut after :data:`MOST_NOTES` a minute, which
    is said.
    """
    if not _memory.may_log(caller.interface_id, f"{address} {reason}"):
        return
    number = _memory.note_number(caller.interface_id)
    if number > MOST_NOTES + 1:
        return
    if number > MOST_NOTES:
        reason = f"more than {MOST_NOTES} in a minute: those that follow in it are not shown"
    _note(request, address=address, reason=reason, source="inbound")


def _note(request: HttpRequest, *, address: str, reason: str, source: str) -> None:
    peer = request.META.get("REMOTE_ADDR") or "an unknown peer"
    system_log_create(source=source, text=f"{address} from {peer}: {reason}")
