"""Texts to people: in their language, through the interface on which they asked."""

from decimal import Decimal
from typing import Any

from gridtalk.grid.models import Circuit
from gridtalk.jobs.catalogue import BY_KIND
from gridtalk.jobs.models import AddCredit, Job
from gridtalk.jobs.services import job_superseded
from gridtalk.messaging.interfaces.base import Way
from gridtalk.messaging.interfaces.catalogue import provider
from gridtalk.messaging.models import CommunicationInterface, IncomingMessage, OutgoingMessage
from gridtalk.messaging.services import message_queue
from gridtalk.messaging.texts import Estimated, render
from gridtalk.prepaid.selectors import credit_estimate


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


def credit_to_say(circuit: Circuit) -> Decimal | Estimated:
    """The circuit's credit as a person may be told it: what the meter said, or our estimate."""
    if circuit.credit_estimated:
        return Estimated(credit_estimate(circuit=circuit))
    return circuit.credit


def reply_job_done(
    *, job: Job, circuit: Circuit, status_said: bool = True
) -> OutgoingMessage | None:
    """Tell who asked by SMS that the meter has done it; jobs from the page answer nobody.

    Nor does a job whose place a newer one took: that one's answer says how it stands. Where the
    acknowledgement has not said (``status_said``) whether the circuit is on, the job itself does.
    """
    if job_superseded(job=job):
        return None
    kind = BY_KIND[job.kind]
    status = None if status_said else kind.status_after
    return _reply_about(job=job, circuit=circuit, key=kind.done_text, status=status)


def reply_job_superseded(*, job: Job, by: IncomingMessage | None) -> OutgoingMessage | None:
    """Tell who asked by SMS that somebody else's newer on or off took the place of their job.

    ``by`` is the text that asked for it, if a text did. Who asked for both awaits one answer.
    """
    if job.incoming is None or (by is not None and by.number == job.incoming.number):
        return None
    return _reply_about(job=job, circuit=job.circuit, key="switch_superseded")


def reply_job_unanswered(*, job: Job, circuit: Circuit) -> OutgoingMessage | None:
    """Tell who asked by SMS that the meter has not answered."""
    return _reply_about(job=job, circuit=circuit, key=BY_KIND[job.kind].unanswered_text)


def _reply_about(
    *, job: Job, circuit: Circuit, key: str, status: int | None = None
) -> OutgoingMessage | None:
    if not key or job.incoming is None:
        return None
    return reply(
        incoming=job.incoming,
        lang=language(circuit, job.incoming.communication_interface),
        key=key,
        account=circuit.pin,
        status=circuit.status if status is None else status,
        credit=credit_to_say(circuit),
        amount=job.credit if isinstance(job, AddCredit) else None,
    )
