"""A small village in the database, and hands to text, to drain and to look."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import pytest
from django.db import transaction

from gridtalk.gateway import callers
from gridtalk.gateway.inbound import handle_waiting
from gridtalk.grid.models import Circuit, Meter
from gridtalk.grid.services import meter_create
from gridtalk.jobs.models import Job, JobMessage
from gridtalk.jobs.services import job_message_outcome
from gridtalk.messaging.models import (
    CommunicationInterface,
    IncomingMessage,
    KannelInterface,
    Message,
    OutgoingMessage,
)
from gridtalk.messaging.outcomes import MessageOutcome
from gridtalk.prepaid.services import token_batch_create


@pytest.fixture(autouse=True)
def _callers_forgotten() -> Iterator[None]:
    """What the door remembers of interfaces, and of what it noted, is another test's."""
    callers.forget()
    yield
    callers.forget()


METER_PHONE = "+22370000001"
CONSUMER = "+22370000002"
FRIEND = "+22370000003"


@dataclass
class Village:
    """One meter, three consumers' circuits with credit 100, and everything that they say."""

    interface: CommunicationInterface
    meter: Meter

    @property
    def circuit(self) -> Circuit:
        return Circuit.objects.select_related("meter", "account").get(
            meter=self.meter, ip_address="192.168.1.201"
        )

    @property
    def pin(self) -> str:
        return self.circuit.pin

    def token(self, value: int = 500) -> str:
        return token_batch_create(count=1, value=Decimal(value)).tokens.get().number

    def says(self, number: str, text: str) -> IncomingMessage:
        """Store a text, handle what waits, and give the text back as it then is."""
        incoming = IncomingMessage(
            number=number, text=text, communication_interface=self.interface, state="received"
        )
        incoming.save()
        handle_waiting()
        incoming.refresh_from_db()
        return incoming

    def consumer(self, text: str, number: str = CONSUMER) -> IncomingMessage:
        return self.says(number, text)

    def meter_says(self, text: str) -> IncomingMessage:
        return self.says(METER_PHONE, text)

    def hand_over(self, outcome: MessageOutcome = MessageOutcome.SENT) -> list[str]:
        """Do as the sender does with every waiting job message; gives their texts."""
        states = {
            MessageOutcome.FAILED: Message.State.FAILED,
            MessageOutcome.UNDELIVERED: Message.State.FAILED,
            MessageOutcome.REFUSED: Message.State.FAILED,
        }
        texts = []
        for message in JobMessage.objects.filter(state="queued").order_by("pk"):
            message.state = states.get(outcome, Message.State.SENT)
            message.save()
            with transaction.atomic():
                job_message_outcome(message=message, outcome=outcome)
            texts.append(message.text)
        return texts

    def answers(self, number: str = CONSUMER) -> list[str]:
        found = OutgoingMessage.objects.filter(number=number).order_by("pk")
        return list(found.values_list("text", flat=True))

    def job(self) -> Job:
        return Job.objects.get()


@pytest.fixture
def village(db: None) -> Village:
    interface = KannelInterface.objects.create(
        name="kannel", host="127.0.0.1", username="gw", password="pw", region="ML", phone="1234"
    )
    meter = meter_create(
        name="ml01",
        phone=METER_PHONE,
        communication_interface=interface,
        time_zone="Africa/Bamako",
        circuits=3,
        lang="en",
    )
    Circuit.objects.filter(meter=meter, is_main=False).update(credit=Decimal(100))
    return Village(interface=interface, meter=meter)
