"""What is left after the kills: looked up in the database, and held against the simulated meters.

Needs Django on the server's database. A killed PostgreSQL ends our connection too, so each look is
taken again where it failed by that.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError, connection

from gridtalk.grid.models import Circuit
from gridtalk.jobs.models import AddCredit, Job
from gridtalk.jobs.services import credit_resend
from gridtalk.jobs.verify import verify
from gridtalk.messaging.models import IncomingMessage, Message
from gridtalk.prepaid.models import LedgerEntry, Token
from gridtalk.telemetry.models import PrimaryLog

Seen = TypeVar("Seen")


def patiently(look: Callable[[], Seen]) -> Seen:
    """Do it, again where the database was away."""
    for _ in range(50):
        try:
            return look()
        except (OperationalError, InterfaceError):
            connection.close()
            time.sleep(0.1)
    return look()


def unfinished(network: Any) -> bool:
    """Whether anything is still on its way: in the network, stored unhandled, unsent, or a job."""
    return not network.is_idle() or patiently(_work_waits)


def _work_waits() -> bool:
    return (
        IncomingMessage.objects.filter(handled_at=None).exists()
        or Message.objects.filter(state__in=["queued", "sending"]).exists()
        or Job.objects.filter(state__in=["queued", "sent", "unconfirmed"]).exists()
    )


def operator_resends(villages: Sequence[Any]) -> list[int]:
    """What a person does with credit that nobody confirmed: look at the meter, and send it again.

    Only where the meter has no trace of it; returns the jobs. A meter that knows job ids gets it
    again without anybody.
    """
    applied = {
        credit.job_id
        for village in villages
        for credit in village.meter.look(lambda meter: list(meter.applied))
    }
    return patiently(lambda: _resend(applied))


def _resend(applied: set[int]) -> list[int]:
    open_ = AddCredit.objects.filter(state="unconfirmed", circuit__meter__knows_job_ids=False)
    sent = []
    for job in open_.exclude(pk__in=applied):
        credit_resend(job=job, user=None, reason="the meter was looked at: it is not there")
        sent.append(job.pk)
    return sent


def books_look(network: Any, stories: Sequence[Any], value: Decimal, start: datetime) -> None:
    """Write into each iteration what became of its story."""
    report = patiently(verify)
    errors = [f"{name}: {found}" for name, found in report.errors.items()]
    for story in stories:
        story.iteration.found |= patiently(lambda story=story: _story_look(network, story, start))
        story.iteration.found["verify"] = errors
        story.iteration.found["value"] = str(value)


def _story_look(network: Any, story: Any, start: datetime) -> dict[str, Any]:
    person, village = story.person, story.village
    circuit = Circuit.objects.get(pin=person.pin)
    jobs = AddCredit.objects.filter(circuit=circuit)
    applied = village.meter.look(
        lambda meter: [str(one.amount) for one in meter.applied if one.address == person.address]
    )
    line = village.circuit_of(person)
    hour = start + timedelta(hours=story.iteration.number + 1)
    readings = PrimaryLog.objects.filter(
        circuit__meter=village.row, meter_time=hour.replace(tzinfo=UTC)
    )
    return {
        "applied_at_meter": applied,
        "jobs": [(job.pk, job.state, str(job.credit)) for job in jobs],
        "delivered_rows": LedgerEntry.objects.filter(
            job_id__in=[job.pk for job in jobs], cause="delivery"
        ).count(),
        "token": Token.objects.get(number=story.token).state,
        "status": [circuit.status, line.status],
        "credit": [str(circuit.credit), str(line.credit)],
        "readings": [readings.count(), readings.values("circuit").distinct().count()],
        "readings_awaited": len(village.people) + 1,
        "person_heard": [heard.text for heard in person.inbox],
        "neighbour_heard": [heard.text for heard in story.neighbour.inbox],
        "pin": person.pin,
        "texts": [_text_look(network, village, one) for one in story.said],
    }


def _text_look(network: Any, village: Any, message_id: str) -> dict[str, Any]:
    """Whether the server accepted a text, how often it is stored, and what became of it."""
    found = IncomingMessage.objects.filter(dedupe_key=f"{village.interface.pk}:{message_id}")
    rows = [(row.handled_at is not None, row.outcome, row.error) for row in found]
    return {"accepted": message_id in network.answered, "rows": rows}
