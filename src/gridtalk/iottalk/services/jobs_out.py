"""Jobs on their way to meters that are devices: a job's message is the work, ``Job-O`` the way.

Whoever speaks with devices takes what waits for those that are there (a lease, as the senders of
SMS take one), hands it over, and says what came of it; then all goes as with SMS: the pauses, the
end after an hour, and that credit is sent again only to a meter that knows the jobs it applied.
One that is killed between leaves a lease that ends, and the job counts as handed over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection

from gridtalk.core import clock
from gridtalk.iottalk.models import RegisteredDevice
from gridtalk.iottalk.notices import Notice, notice_send
from gridtalk.jobs.catalogue import BY_KIND
from gridtalk.jobs.models import JobMessage
from gridtalk.jobs.sending import jobs_send_again
from gridtalk.messaging.drain_results import Result, interface_note, owned_write
from gridtalk.messaging.interfaces.iottalk.wire import JOB_FEATURE, job_values
from gridtalk.messaging.models import Message
from gridtalk.messaging.wire import HandOver, Outcome

#: A lease outlasts handing over a batch and writing what came of it.
LEASE = timedelta(seconds=30)
#: At an online, jobs that were handed over within this time are not sent again yet.
FRESH = timedelta(seconds=5)

# A device that was given to another meter does not get the jobs of its last one.
_TAKE = """
    WITH due AS (
        SELECT m.id, d.handle, j.id AS job_id, j.kind, c.ip_address, a.credit
        FROM messages m
        JOIN job_messages jm ON jm.id = m.id
        JOIN jobs j ON j.id = jm.job_id
        JOIN circuits c ON c.id = j.circuit_id
        JOIN registered_devices d ON d.handle = m.number AND d.meter_id = c.meter_id
        LEFT JOIN add_credit_jobs a ON a.id = j.id
        WHERE m.state = 'queued' AND m.next_attempt_at <= %(now)s
          AND m.communication_interface_id IN (
              SELECT i.id FROM iottalk_interfaces i
              JOIN communication_interfaces ci ON ci.id = i.id WHERE ci.active)
          AND m.number = ANY(%(handles)s)
          AND EXISTS (SELECT 1 FROM registered_features f WHERE f.device_id = d.id
                      AND f.kind = 'odf' AND f.name = %(feature)s AND f.present)
        ORDER BY m.id LIMIT %(most)s FOR UPDATE OF m SKIP LOCKED
    )
    UPDATE messages m SET state = 'sending', attempts = least(attempts + 1, 32767),
        lease_until = %(lease)s, next_attempt_at = %(lease)s
    FROM due WHERE m.id = due.id
    RETURNING m.id, m.attempts, due.handle, m.communication_interface_id,
              due.job_id, due.kind, due.ip_address, due.credit
"""


@dataclass(frozen=True, slots=True)
class DeviceJob:
    """A sending of a job in our hands; ``values`` go to the ``Job-O`` of the device ``handle``."""

    message_id: int
    attempts: int
    handle: str
    values: list[Any]
    interface_id: int

    @property
    def id(self) -> int:
        """The message's id, as what writes results calls it."""
        return self.message_id

    @property
    def kind(self) -> str:
        """The message's kind, likewise."""
        return JobMessage.KIND


def device_jobs_take(*, handles: Sequence[str], most: int = 200) -> list[DeviceJob]:
    """Lease the waiting job messages of these devices, the oldest first.

    Called outside transactions, for devices that are there: connected, their ``Job-O`` too (v2), or
    asking at this very moment (v1). Each is to be handed over at once and told to
    :func:`device_jobs_sent`. None are given of a device that is no longer the job's meter's, has no
    ``Job-O``, or whose interface is switched off; these wait.
    """
    if not handles:
        return []
    now = clock.now()
    values: dict[str, Any] = {
        "now": now,
        "lease": now + LEASE,
        "handles": list(handles),
        "feature": JOB_FEATURE,
        "most": most,
    }
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, values)
        rows = sorted(cursor.fetchall())
    return [
        DeviceJob(
            message_id=message_id,
            attempts=attempts,
            handle=handle,
            values=job_values(word=BY_KIND[kind].word, job_id=job_id, cid=cid, amount=amount),
            interface_id=interface_id,
        )
        for message_id, attempts, handle, interface_id, job_id, kind, cid, amount in rows
    ]


def device_jobs_sent(*, taken: Sequence[DeviceJob], error: str = "") -> None:
    """Write what came of handing these over, each in a transaction with its job's changes.

    Without ``error`` they left, or nobody knows whether they did: they count as sent, and the jobs'
    own rules send them again. With ``error`` they provably did not leave (the broker could not be
    reached): they wait again, and the operator sees the error on the interface. Called outside
    transactions, once for what :func:`device_jobs_take` gave; one whose lease ended meanwhile
    changes nothing.
    """
    outcome = Outcome.REFUSED_TEMPORARY if error else Outcome.ACCEPTED
    hand_over = HandOver(outcome, error, reached=not error)
    results = [(job.interface_id, Result.of(job, hand_over)) for job in taken]
    owned_write([result for _, result in results])
    for interface_id in sorted({interface_id for interface_id, _ in results}):
        mine = [result for owner, result in results if owner == interface_id]
        interface_note(interface_id=interface_id, results=mine, success=not error)


def device_jobs_again(*, handle: str) -> int:
    """A device is online again: what it may not have heard is due now; how many jobs that are.

    Sendings that wait out a pause are due at once. Open jobs that were handed over and not
    confirmed are sent again where that can do no harm: on, off and pings to any meter, credit to
    one that knows job ids. Called outside transactions.
    """
    now = clock.now()
    Message.objects.filter(
        number=handle,
        kind=JobMessage.KIND,
        state=Message.State.QUEUED,
        next_attempt_at__gt=now,
    ).update(next_attempt_at=now)
    meter_id = RegisteredDevice.objects.filter(handle=handle).values_list("meter_id", flat=True)
    if (found := meter_id.first()) is None:
        return 0
    return jobs_send_again(meter_id=found, handed_over_before=now - FRESH)


def device_job_ring(*, number: str) -> None:
    """Tell the device server that a job waits for the device of this handle, on commit.

    Named by ``settings.DEVICE_BELL``, called in the transaction that queues the message. Nobody is
    told where no device has the handle: the message waits until one is bound.
    """
    found = RegisteredDevice.objects.filter(handle=number).values_list("shard", "pk").first()
    if found is not None:
        notice_send(notice=Notice.SEND, shard=found[0], device_id=found[1])
