"""Finding jobs, and the messages of a meter or of a circuit.

These stand here because a message that carries a job is this app's, and messaging knows no meters.
"""

from typing import Any

from django.db.models import Max, QuerySet, prefetch_related_objects

from gridtalk.grid.models import Circuit, Meter
from gridtalk.jobs.families import JOBS
from gridtalk.jobs.models import OPEN_STATES, Job, JobMessage
from gridtalk.messaging.families import MESSAGES
from gridtalk.messaging.models import IncomingMessage, Message, OutgoingMessage

#: Kinds and ended states have no index: by them, and nothing else, only so many of the newest jobs
#: are looked at.
NEWEST = 200_000
#: What is shown beside jobs and messages: fetched with them, one query each.
_WITH_JOBS = ("circuit__meter", "circuit__account", "requested_by_user", "incoming")
_WITH_MESSAGES = ("communication_interface",)


def job_rows(
    *,
    meter_id: int | None = None,
    circuit_id: int | None = None,
    state: str = "",
    kind: str = "",
) -> QuerySet[Job]:
    """Jobs as rows of the base table, unsorted: for pages by key, which choose what to join."""
    found = Job.objects.all()
    if meter_id is not None:
        found = found.filter(circuit__meter_id=meter_id)
    if circuit_id is not None:
        found = found.filter(circuit_id=circuit_id)
    if state:
        found = found.filter(state=state)
    if kind:
        found = found.filter(kind=kind)
    everywhere = meter_id is None and circuit_id is None
    if everywhere and (kind or (state and state not in OPEN_STATES)):
        newest = Job.objects.aggregate(newest=Max("pk"))["newest"] or 0
        found = found.filter(pk__gt=newest - NEWEST)
    return found


def job_list(
    *,
    meter: Meter | None = None,
    circuit: Circuit | None = None,
    state: str = "",
    kind: str = "",
    limit: int = 100,
    offset: int = 0,
) -> list[Any]:
    """Jobs as their children, newest first, with circuit, meter, account and asker at hand.

    Of a meter: those of all its circuits. The number of queries depends on the kinds met, never on
    the number of jobs.
    """
    found = job_rows(
        meter_id=None if meter is None else meter.pk,
        circuit_id=None if circuit is None else circuit.pk,
        state=state,
        kind=kind,
    )
    children = JOBS.children(found.order_by("-pk")[offset : offset + limit])
    prefetch_related_objects(children, *_WITH_JOBS)
    return children


def message_list(
    *,
    meter: Meter | None = None,
    circuit: Circuit | None = None,
    limit: int = 100,
    offset: int = 0,
) -> list[Any]:
    """Messages as their children, newest first, with their interface at hand.

    Of a meter: all from and to its number or its device's address, and all that carried a job to
    it, whatever its number was then. Of a circuit: those that carried its jobs, those that asked
    for them and the answers to these, and all from and to its account's phones. Without either, all
    there are. The number of queries never depends on the number of messages.
    """
    if meter is None and circuit is None:
        sources: list[QuerySet[Any]] = [Message.objects.all()]
    else:
        sources = [*(_of_meter(meter) if meter else []), *(_of_circuit(circuit) if circuit else [])]
    # Each by its own index; one question with OR would look at every message there is.
    ids: set[int] = set()
    for source in sources:
        ids.update(source.order_by("-pk").values_list("pk", flat=True)[: offset + limit])
    wanted = sorted(ids, reverse=True)[offset : offset + limit]
    children = MESSAGES.children(Message.objects.filter(pk__in=wanted).order_by("-pk"))
    prefetch_related_objects(children, *_WITH_MESSAGES)
    return children


def _of_meter(meter: Meter) -> list[QuerySet[Any]]:
    return [
        _at_numbers(meter.phone, meter.device_address),
        JobMessage.objects.filter(job__circuit__meter=meter),
    ]


def _of_circuit(circuit: Circuit) -> list[QuerySet[Any]]:
    account = circuit.account
    phones = () if account is None else (account.phone, account.secondary_phone)
    return [
        _at_numbers(*phones),
        JobMessage.objects.filter(job__circuit=circuit),
        IncomingMessage.objects.filter(jobs__circuit=circuit).distinct(),
        OutgoingMessage.objects.filter(incoming__jobs__circuit=circuit).distinct(),
    ]


def _at_numbers(*numbers: str | None) -> QuerySet[Message]:
    # Without a number there are none, not those of everybody who has none.
    return Message.objects.filter(number__in=[number for number in numbers if number])
