"""A meter's open jobs when its box, or the way to it, changes.

A new box does not know which jobs the old one applied. So credit that was handed over to the old
one is never repeated by itself: it becomes unconfirmed, and a person decides.
"""

from django.db.models import QuerySet

from gridtalk.core import clock
from gridtalk.core.errors import Conflict
from gridtalk.grid.models import Meter
from gridtalk.grid.selectors import meter_number
from gridtalk.jobs.models import AddCredit, Job, JobMessage
from gridtalk.jobs.sending import job_messages_withdraw
from gridtalk.messaging.models import Message
from gridtalk.messaging.services import message_ring


def _messages(meter: Meter, state: str) -> QuerySet[JobMessage]:
    return JobMessage.objects.filter(job__circuit__meter=meter, state=state)


def box_change_check(*, meter: Meter) -> None:
    """Raise :class:`Conflict` while a job is being handed over to the meter's present box."""
    if _messages(meter, Message.State.SENDING).exists():
        raise Conflict(
            "a job of meter “%(meter)s” is being handed over right now; look again in a minute",
            meter=meter.name,
        )


def credits_settled_check(*, meter: Meter) -> None:
    """Raise :class:`Conflict` where the present box may still answer for credit; names the jobs."""
    waiting = AddCredit.objects.filter(circuit__meter=meter, state=Job.State.SENT)
    if ids := list(waiting.order_by("pk").values_list("pk", flat=True)):
        raise Conflict(
            "meter “%(meter)s” has not yet answered for credit (job %(jobs)s): a new box would not "
            "know of it. Wait until it is confirmed or unconfirmed",
            meter=meter.name,
            jobs=", ".join(map(str, ids)),
        )


def credits_left_behind(*, meter: Meter) -> list[int]:
    """The meter's box goes: credit that was handed over to it is not sent again; the jobs' ids.

    What waits for an answer is given up at the next look at due jobs, which tells who asked and
    raises the alert. Assumes the caller's transaction.
    """
    now = clock.now()
    jobs = Job.objects.select_for_update(no_key=True).filter(
        circuit__meter=meter,
        kind=AddCredit.KIND,
        state__in=[Job.State.SENT, Job.State.UNCONFIRMED],
    )
    ids = []
    for job in jobs.order_by("pk"):
        job_messages_withdraw(job_ids=[job.pk])
        if job.state == Job.State.SENT:
            job.expires_at = job.next_attempt_at = now
        else:
            job.next_attempt_at = None
        job.save(update_fields=["expires_at", "next_attempt_at"])
        ids.append(job.pk)
    return ids


def job_messages_redirect(*, meter: Meter) -> int:
    """Send the waiting messages of the meter's jobs by its present interface to its present
    address, at once; how many they are. Assumes the caller's transaction.
    """
    interface = meter.communication_interface
    ids = list(_messages(meter, Message.State.QUEUED).values_list("pk", flat=True))
    moved = Message.objects.filter(pk__in=ids, state=Message.State.QUEUED).update(
        communication_interface=interface,
        number=meter_number(meter=meter),
        next_attempt_at=clock.now(),
    )
    if moved:
        message_ring(message=Message.objects.filter(pk__in=ids)[0], interface=interface)
    return moved
