"""A small village for the tests of the pages and the API: a bit of everything that they show."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.db import transaction

from gridtalk.alerts.services import alert_raise
from gridtalk.core import clock
from gridtalk.core.services import system_log_create
from gridtalk.grid.models import Account, Circuit, Meter
from gridtalk.grid.services import meter_create
from gridtalk.iottalk.models import DfSample, RegisteredDevice, RegisteredFeature
from gridtalk.iottalk.services.registration import device_register
from gridtalk.iottalk.wire_registration import Feature, Registration
from gridtalk.jobs.credit import add_credit_request, credit_add
from gridtalk.jobs.models import AddCredit, Job
from gridtalk.jobs.services import job_request
from gridtalk.messaging.models import (
    CommunicationInterface,
    IncomingMessage,
    KannelInterface,
    Message,
    OutgoingMessage,
)
from gridtalk.messaging.services import message_queue
from gridtalk.prepaid.models import Token, TokenBatch
from gridtalk.prepaid.services import token_batch_create
from gridtalk.users.models import Group, User

PASSWORD = "a-long-enough-one"


@dataclass
class Village:
    """What was made."""

    admin: User
    viewer: User
    interface: CommunicationInterface
    meter: Meter
    circuit: Circuit
    mains: Circuit
    batch: TokenBatch
    token: Token
    incoming: IncomingMessage
    answer: OutgoingMessage
    credit_job: AddCredit
    unconfirmed: AddCredit
    switch_job: Job
    alert_id: int
    device: RegisteredDevice
    output: RegisteredFeature


def user_make(name: str, group: str) -> User:
    """A user in one of the groups that the migration makes."""
    return User.objects.create_user(name, PASSWORD, group=Group.objects.get(name=group))


def device_make() -> RegisteredDevice:
    """A registered device which is online and has said a temperature and a word."""
    device = device_register(
        registration=Registration(
            protocol="v2",
            address="6d9f4c1e-0f5c-4b8e-9d52-1f1f3a8f7a10",
            name="Plant box 7",
            dm_name="Plantbox",
            version="0123456789abcdef",
            features=(
                Feature("Temperature-I", "idf", ("float",)),
                Feature("Note-I", "idf", (None,)),
                Feature("Luminance-O", "odf", ("int",)),
            ),
        ),
        source="127.0.0.1",
    ).device
    now = clock.now()
    RegisteredDevice.objects.filter(pk=device.pk).update(
        online=True, state_at=now, last_seen_at=now, last_data_at=now
    )
    for name, value in (("Temperature-I", [21.5]), ("Note-I", ["<b>dry</b>"])):
        feature = device.features.get(name=name)
        device.features.filter(pk=feature.pk).update(last_value=value, last_at=now, state="ok")
        DfSample.objects.create(feature=feature, at=now, value=value)
    device.refresh_from_db()
    return device


@transaction.atomic
def village_make() -> Village:
    """Two users, an interface, a meter with three circuits, tokens, messages, jobs and an alert."""
    admin, viewer = user_make("amina", "admin"), user_make("viktor", "view")
    interface = KannelInterface.objects.create(
        name="Orange", host="127.0.0.1", username="u", password="not shown", region="ML"
    )
    meter = meter_create(
        name="ml05",
        phone="+22370008888",
        communication_interface=interface,
        time_zone="Africa/Bamako",
        circuits=3,
        location="Pelengana",
        user=admin,
    )
    now = clock.now()
    Circuit.objects.filter(meter=meter).update(
        last_reported_at=now - timedelta(minutes=20), credit_as_of=now, credit=Decimal("1234.50")
    )
    circuit = Circuit.objects.select_related("meter", "account").get(
        meter=meter, ip_address="192.168.1.201"
    )
    assert circuit.account is not None
    Account.objects.filter(pk=circuit.account.pk).update(phone="+22376000001", name="Fanta Traoré")
    batch = token_batch_create(count=5, value=Decimal(500), user=admin, note="March")
    token = Token.objects.filter(batch=batch).order_by("pk")[0]
    incoming = IncomingMessage.objects.create(
        number="+22376000001",
        text=f"add {circuit.pin} {token.number}",
        communication_interface=interface,
        state=Message.State.RECEIVED,
        outcome="add_credit",
        handled_at=now,
    )
    credit_job = add_credit_request(circuit=circuit, token_number=token.number, incoming=incoming)
    answer = message_queue(
        interface=interface, number=incoming.number, text="Credit added.", incoming=incoming
    )
    unconfirmed = credit_add(circuit=circuit, amount=Decimal(20), user=admin, reason="a gift")
    Job.objects.filter(pk=unconfirmed.pk).update(
        state=Job.State.UNCONFIRMED, sent_at=now, next_attempt_at=None
    )
    switch_job = job_request(kind="turn_off", circuit=circuit, user=admin)
    raised = alert_raise(kind="low_credit", meter=meter, circuit=circuit)
    system_log_create(source="kannel", text="the connection was refused")
    device = device_make()
    return Village(
        admin=admin,
        viewer=viewer,
        interface=interface,
        meter=meter,
        circuit=circuit,
        mains=Circuit.objects.get(meter=meter, is_main=True),
        batch=batch,
        token=token,
        incoming=incoming,
        answer=answer,
        credit_job=credit_job,
        unconfirmed=AddCredit.objects.get(pk=unconfirmed.pk),
        switch_job=switch_job,
        alert_id=raised.alert.pk,
        device=device,
        output=device.features.get(name="Luminance-O"),
    )
