"""A village: its rows in the server's database, and its meter and people in the simulated network.

Rows are made through the services that the pages use. From then on everything happens from outside,
over the network. Needs Django set up.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any

from gridtalk.demo.curves import HOUSEHOLD, Curve
from gridtalk.demo.meter import Meter, MeterCircuit
from gridtalk.demo.network import Gateway, Network
from gridtalk.demo.people import MeterPhone, Person
from gridtalk.demo.power_unit import BATTERY_V, PowerUnit
from gridtalk.grid import models as grid
from gridtalk.grid.services import meter_create
from gridtalk.messaging.models import CommunicationInterface, IncomingMessage, Message
from gridtalk.messaging.services import interface_create
from gridtalk.prepaid.services import token_batch_create

SENDSMS_USER = "gridtalk"


@dataclass(frozen=True)
class Plan:
    """A consumer to be: who they are, what they draw, what is on their meter to begin with."""

    name: str
    phone: str
    lang: str = "en"
    curve: Curve = HOUSEHOLD
    credit: Decimal = Decimal(500)
    tariff: int = 100_00


@dataclass
class Village:
    """A meter with its people, in the database (``row``) and in the network (``meter``)."""

    row: grid.Meter
    meter: MeterPhone
    people: list[Person]
    interface: CommunicationInterface
    gateway: Gateway

    def circuit_of(self, person: Person) -> MeterCircuit:
        """The person's line at the meter; look at it, or change it, while nothing happens."""
        return self.meter.look(lambda meter: meter.circuits[person.address])


def interface_make(
    network: Network, *, server_url: str, name: str, phone: str, region: str
) -> tuple[CommunicationInterface, Gateway]:
    """A Kannel interface of the server whose other side is this network."""
    password = f"demo-{name}"
    interface, key = interface_create(
        kind="kannel",
        name=name,
        provider="the simulated network",
        phone=phone,
        region=region,
        host="127.0.0.1",
        port=network.port,
        username=SENDSMS_USER,
        password=password,
    )
    inbound = f"{server_url}/sms/kannel/{interface.pk}/in?key={key}"
    gateway = Gateway(phone, inbound, SENDSMS_USER, password)
    network.gateway_add(gateway)
    return interface, gateway


def village_make(
    network: Network,
    *,
    interface: CommunicationInterface,
    gateway: Gateway,
    name: str,
    phone: str,
    plans: Sequence[Plan],
    start: datetime,
    time_zone: str = "UTC",
    knows_job_ids: bool = True,
    low_credit: Decimal = Decimal(0),
    seed: int = 0,
    pcu_hours: int = 3,
    battery_capacity: int = 100,
    panel_capacity: int = 500,
    person: type[Person] = Person,
    **facts: Any,
) -> Village:
    """A meter with a circuit, an account and a phone for each plan; ``start`` is its local time.

    ``pcu_hours``: how often its power unit reports; ``battery_capacity`` (Ah) and
    ``panel_capacity`` (W) are its size. ``facts``: more of :func:`meter_create`.
    """
    row = meter_create(
        name=name,
        phone=phone,
        communication_interface=interface,
        time_zone=time_zone,
        circuits=len(plans),
        knows_job_ids=knows_job_ids,
        low_credit_threshold=low_credit,
        battery_capacity=battery_capacity,
        panel_capacity=panel_capacity,
        **facts,
    )
    circuits: dict[str, MeterCircuit] = {}
    people: list[Person] = []
    rows = row.circuits.filter(is_main=False).order_by("ip_address")
    for plan, circuit in zip(plans, rows, strict=True):
        grid.Account.objects.filter(circuits=circuit).update(
            name=plan.name, phone=plan.phone, lang=plan.lang
        )
        line = MeterCircuit(circuit.ip_address, curve=plan.curve, tariff=plan.tariff)
        line.credit_set(plan.credit)
        circuits[line.address] = line
        people.append(
            person(
                network,
                name=plan.name,
                number=plan.phone,
                gateway=gateway.number,
                lang=plan.lang,
                pin=circuit.pin,
                address=circuit.ip_address,
            )
        )
    meter = Meter(
        name,
        start,
        circuits,
        low_credit=low_credit,
        knows_job_ids=knows_job_ids,
        seed=seed,
        pcu_hours=pcu_hours,
        power_unit=PowerUnit(
            panel_w=panel_capacity,
            capacity_wh=battery_capacity * BATTERY_V,
            stored_wh=battery_capacity * BATTERY_V * 6 // 10,
        ),
    )
    phone_of_meter = MeterPhone(network, meter, number=phone, gateway=gateway.number)
    return Village(row, phone_of_meter, people, interface, gateway)


def tokens_make(*, count: int, value: Decimal, note: str) -> list[str]:
    """Scratch cards: the numbers of a new token batch."""
    batch = token_batch_create(count=count, value=value, note=note)
    return list(batch.tokens.order_by("pk").values_list("number", flat=True))


def name_free(name: str) -> str:
    """The name, with a number behind it where a meter of an earlier demo has it."""
    taken = set(grid.Meter.objects.values_list("name", flat=True))
    taken |= set(CommunicationInterface.objects.values_list("name", flat=True))
    return next(
        wanted for n in count(1) if (wanted := name if n == 1 else f"{name}-{n}") not in taken
    )


def settle(network: Network, *, timeout_s: float = 20.0) -> bool:
    """Wait until nothing is under way: no text in the network, none stored unhandled or unsent."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if network.is_idle() and not _work_waits() and network.is_idle():
            return True
        time.sleep(0.02)
    return False


def _work_waits() -> bool:
    waiting = Message.objects.filter(state__in=[Message.State.QUEUED, Message.State.SENDING])
    return IncomingMessage.objects.filter(handled_at=None).exists() or waiting.exists()
