"""Sending what waits: the drain behind the SEND bell.

A message is leased in one statement (``sending`` until ``lease_until``, ``attempts`` + 1), handed
over outside any transaction, and what came of it is written by another statement which only changes
a row that is still in the same lease: a delivery report may have been faster.

Only what is handed over at once is leased. A killed sender thus leaves at most ``SLOTS`` messages
of each interface of which nobody knows whether they left.

Each interface has a lane of its own, so that one whose provider hangs until the time-out does not
hold up the others. A lane whose provider cannot be reached rests until the next bell; as long as
the last thing seen of an interface is an error, its lane tries one message at a time.
"""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from gridtalk.core import clock, secrets
from gridtalk.core.errors import GridtalkError, UserError
from gridtalk.messaging import sending
from gridtalk.messaging.drain_results import (
    Result,
    interface_came_back,
    interface_note,
    leases_end,
    owned_write,
    texts_write,
)
from gridtalk.messaging.families import INTERFACES
from gridtalk.messaging.interfaces.base import Provider, Way
from gridtalk.messaging.interfaces.catalogue import kinds, provider
from gridtalk.messaging.models import CommunicationInterface, Message
from gridtalk.messaging.services import in_streak, interface_error_note
from gridtalk.messaging.wire import HandOver, OutboundSms, Outcome

log = logging.getLogger(__name__)

#: Messages of one interface that are handed over at a time.
SLOTS = 8
#: The most threads of one drain.
MOST_THREADS = 64
#: A lease outlasts the longest attempt, and the writing of its result.
LEASE = timedelta(seconds=sending.LONGEST_ATTEMPT_S + 15)
#: After so long a drain lets the next one go on, so that a worker can be stopped between.
LONGEST_DRAIN_S = 10.0
#: How often a drain looks for new messages while it waits for slow providers.
LOOK_S = 0.25
#: How often a success is written to its interface.
NOTED_EVERY_S = 1.0

_LEASE_SQL = """
    WITH candidates AS (
        SELECT id, number FROM messages
        WHERE state = 'queued' AND next_attempt_at <= %(now)s
          AND communication_interface_id = %(interface)s AND number <> ALL(%(busy)s)
        ORDER BY next_attempt_at, id LIMIT %(window)s
    ), firsts AS (
        SELECT DISTINCT ON (number) id FROM candidates ORDER BY number, id
    ), taken AS (
        SELECT m.id FROM messages m JOIN firsts USING (id)
        WHERE m.state = 'queued' ORDER BY m.id LIMIT %(room)s FOR UPDATE OF m SKIP LOCKED
    )
    UPDATE messages m SET state = 'sending', attempts = least(attempts + 1, 32767),
        lease_until = %(lease)s, next_attempt_at = %(lease)s
    FROM taken WHERE m.id = taken.id
    RETURNING m.id, m.kind, m.number, m.text, m.uuid, m.attempts, m.created_at
"""


@dataclass(frozen=True, slots=True)
class Leased:
    """A message in our hands."""

    id: int
    kind: str
    number: str
    text: str
    uuid: UUID
    attempts: int
    created_at: datetime


@dataclass
class Lane:
    """One interface while a drain runs."""

    interface: Any
    provider: Provider
    streak: bool
    resting: bool = False
    came_back: bool = False
    noted: float = 0.0
    flying: dict[Future[HandOver], Leased] = field(default_factory=dict)

    @property
    def room(self) -> int:
        """How many more messages may be taken now."""
        if self.resting:
            return 0
        return max(0, (1 if self.streak else SLOTS) - len(self.flying))


@dataclass(frozen=True, slots=True)
class Drained:
    """What a drain did: how many attempts, and whether it stopped before all was done."""

    attempts: int
    unfinished: bool


def messages_send(*, transport: sending.Transport = sending.send) -> Drained:
    """Hand over all messages that are due.

    Called by the drain's task, outside transactions. Returns when nothing is due, or after
    ``LONGEST_DRAIN_S`` and when those under way are done: then the caller rings again.
    """
    leases_end()
    drain = _Drain(transport)
    with ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="sending") as pool:
        drain.run(pool)
    return Drained(drain.attempts, drain.unfinished)


class _Drain:
    def __init__(self, transport: sending.Transport) -> None:
        self.transport = transport
        self.lanes: dict[int, Lane] = {}
        self.attempts = 0
        self.unfinished = False
        self.ends = time.monotonic() + LONGEST_DRAIN_S
        self.looked = 0.0

    def run(self, pool: ThreadPoolExecutor) -> None:
        """Lease, send, write, until there is nothing left."""
        while True:
            landed = [(lane, results) for lane in self.lanes.values() if (results := _land(lane))]
            self.unfinished = time.monotonic() >= self.ends
            if not self.unfinished:
                self._open_lanes()
            # One commit writes what came of the last ones and leases the next.
            with transaction.atomic():
                for _, results in landed:
                    texts_write(results)
                taken = [] if self.unfinished else self._lease()
            for lane, leased in taken:
                self.attempts += 1
                args = (lane.provider, lane.interface, leased, self.transport)
                lane.flying[pool.submit(_hand_over, *args)] = leased
            for lane, results in landed:
                owned_write(results)
                _note(lane, results)
            flying = [future for lane in self.lanes.values() for future in lane.flying]
            if not flying:
                if not landed:
                    return
                continue  # what was just written may have made others due
            wait(flying, timeout=LOOK_S, return_when=FIRST_COMPLETED)

    def _open_lanes(self) -> None:
        now = time.monotonic()
        if self.looked and now < self.looked + LOOK_S:
            return
        self.looked = now
        due = (
            Message.objects.filter(state=Message.State.QUEUED, next_attempt_at__lte=clock.now())
            .filter(
                communication_interface__active=True,
                communication_interface__kind__in=kinds(Way.PUSHED, Way.NOT_YET),
            )
            .exclude(communication_interface_id__in=self.lanes)
            .order_by()
            .values_list("communication_interface_id", flat=True)
            .distinct()
        )
        for base in CommunicationInterface.objects.filter(pk__in=list(due)):
            lane = Lane(base, provider(base.kind), streak=in_streak(base))
            self.lanes[base.pk] = lane
            try:
                lane.interface = INTERFACES.child(base)
            except GridtalkError as error:
                # For example a password stored under another key: the operator's to mend.
                lane.resting = True
                interface_error_note(interface_id=base.pk, error=str(error))

    def _lease(self) -> list[tuple[Lane, Leased]]:
        taken: list[tuple[Lane, Leased]] = []
        threads = MOST_THREADS - sum(len(lane.flying) for lane in self.lanes.values())
        for lane in self.lanes.values():
            room = min(lane.room, threads - len(taken))
            if room > 0:
                taken += [(lane, leased) for leased in _lease(lane, room)]
        return taken


def _land(lane: Lane) -> list[Result]:
    """Take what is done out of the lane, and let the lane learn from it."""
    landed = [future for future in lane.flying if future.done()]
    results = [Result.of(lane.flying.pop(future), future.result()) for future in landed]
    if any(not result.hand_over.reached for result in results):
        lane.resting = lane.streak = True
    elif lane.streak and any(result.accepted for result in results):
        lane.streak = False
        lane.came_back = True
    return results


def _note(lane: Lane, results: Sequence[Result]) -> None:
    # A busy interface's row is not written for each message: once a second says as much.
    now = time.monotonic()
    success = any(result.accepted for result in results)
    due = success and (lane.came_back or not lane.noted or now >= lane.noted + NOTED_EVERY_S)
    if due:
        lane.noted = now
    if any(result.error for result in results):
        lane.noted = 0.0  # the next success ends the streak at once
    interface_note(interface_id=lane.interface.pk, results=results, success=due)
    if lane.came_back:
        lane.came_back = False
        interface_came_back(interface_id=lane.interface.pk)


def _lease(lane: Lane, room: int) -> Sequence[Leased]:
    now = clock.now()
    values = {
        "now": now,
        "interface": lane.interface.pk,
        # Two texts to one number go one after the other, or the later might arrive first.
        "busy": [leased.number for leased in lane.flying.values()],
        "window": room * 4,
        "room": room,
        "lease": now + LEASE,
    }
    with connection.cursor() as cursor:
        cursor.execute(_LEASE_SQL, values)
        return sorted((Leased(*row) for row in cursor.fetchall()), key=lambda leased: leased.id)


def report_url(uuid: UUID) -> str:
    """Where a provider reports on that message; signed, since keys are stored as hashes only."""
    return f"{settings.PUBLIC_URL}/sms/report/{uuid}?sig={secrets.signature('report', str(uuid))}"


def _hand_over(
    member: Provider, interface: Any, leased: Leased, transport: Callable[..., HandOver]
) -> HandOver:
    """One attempt, in a thread of its own; no database here."""
    sms = OutboundSms(
        number=leased.number,
        text=leased.text,
        uuid=leased.uuid,
        report_url=report_url(leased.uuid),
        sender=interface.phone,
    )
    try:
        request = member.send_request(interface, sms)
    except UserError as error:
        return HandOver(Outcome.REFUSED_PERMANENT, str(error))
    try:
        return transport(request, member)
    except Exception as error:
        # A bug of ours, in the middle of a hand-over: nobody knows what the provider has. Only the
        # kind of error is stored, for its text may hold the URL.
        log.exception("handing over message %s failed", leased.uuid)
        return HandOver(Outcome.UNKNOWN, f"our own error while sending: {type(error).__name__}")
