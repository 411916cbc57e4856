"""Texts to people: in their language, through the interface on which they asked."""

from typing import Any

from gridtalk.grid.models import Circuit
from gridtalk.jobs.catalogue import BY_KIND
from gridtalk.jobs.models import AddCredit, Job
from gridtalk.messaging.interfaces.base import Way
from gridtalk.messaging.interfaces.catalogue import provider
from gridtalk.messaging.models import CommunicationInterface, IncomingMessage, OutgoingMessage
from gridtalk.messaging.services import message_queue
from gridtalk.messaging.texts import render


def may_be_answered(number: str) -> bool:
    """Whether a text to that number makes sense: a phone, not a company's name as sender."""
    return number.lstrip("+").isdigit()


def brought_by_device(incoming: IncomingMessage) -> bool:
    """Whether a meter's device said it, not a phone: texts do not reach a device."""
    return provider(incoming.communication_interface.kind).way is Way.DEVICES


def language(circuit: Circuit | None, interface: CommunicationInterface) -> str:
    """The account's language, the interface's where no account is known."""
    if circuit is not None and circuit.account is not None:
        return circuit.account.lang
    return interface.lang


def reply(
    *, incoming: IncomingMessage, lang: str, key: str, number: str = "", **values: Any
) -> OutgoingMessage | None:
    """Queue one text as an answer; None where the asker cannot be answered.

    Assumes the transaction of what is answered.
    """
    receiver = number or incoming.number
    if not may_be_answered(receiver) or brought_by_device(incoming):
        return None
    return message_queue(
        interface=incoming.communication_interface,
        number=receiver,
        text=render(lang, key, **values),
        incoming=incoming,
    )


def reply_job_done(*, job: Job, circuit: Circuit) -> OutgoingMessage | None:
    """Tell who asked by SMS that the meter has done it; jobs from the page answer nobody."""
    return _reply_about(job=job, circuit=circuit, key=BY_KIND[job.kind].done_text)


def reply_job_unanswered(*, job: Job, circuit: Circuit) -> OutgoingMessage | None:
    """Tell who asked by SMS that the meter has not answered."""
    return _reply_about(job=job, circuit=circuit, key=BY_KIND[job.kind].unanswered_text)


def _reply_about(*, job: Job, circuit: Circuit, key: str) -> OutgoingMessage | None:
    if not key or job.incoming is None:
        return None
    return reply(
        incoming=job.incoming,
        lang=language(circuit, job.incoming.communication_interface),
        key=key,
        account=circuit.pin,
        status=circuit.status,
        credit=circuit.credit,
        amount=job.credit if isinstance(job, AddCredit) else None,
    )
