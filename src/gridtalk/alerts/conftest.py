"""A village for the tests of alerts."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from gridtalk.grid.models import Account, Circuit, Meter
from gridtalk.messaging.models import IncomingMessage, KannelInterface, OutgoingMessage


@dataclass
class Village:
    """One meter: a mains, and consumers with a phone each."""

    interface: KannelInterface
    meter: Meter
    mains: Circuit
    circuits: list[Circuit] = field(default_factory=list)

    def circuit_add(self, *, lang: str = "en", phone: str | None = None, **facts: Any) -> Circuit:
        number = len(self.circuits) + 1
        default = f"+2237000{self.meter.pk % 100:02d}{number:02d}"
        account = Account.objects.create(
            name=f"consumer {number}", lang=lang, phone=default if phone is None else phone
        )
        circuit = Circuit.objects.create(
            **{
                "pin": f"2345{self.meter.pk % 100:02d}{number:02d}",
                "meter": self.meter,
                "account": account,
                "ip_address": f"192.168.1.2{number:02d}",
                "credit": Decimal(100),
                **facts,
            }
        )
        self.circuits.append(circuit)
        return circuit

    def incoming(self, text: str) -> IncomingMessage:
        return IncomingMessage.objects.create(
            number=str(self.meter.phone),
            text=text,
            communication_interface=self.interface,
            state="received",
        )


def village_make(name: str = "ml01", *, phone: str = "+22370000001", **facts: Any) -> Village:
    interface = KannelInterface.objects.create(
        name=name, host="127.0.0.1", username="u", password="p"
    )
    meter = Meter.objects.create(name=name, phone=phone, communication_interface=interface, **facts)
    mains = Circuit.objects.create(
        meter=meter, pin=f"mains{name}", ip_address="192.168.1.200", is_main=True
    )
    return Village(interface, meter, mains)


@pytest.fixture
def village() -> Village:
    made = village_make()
    made.circuit_add()
    return made


def texts() -> list[tuple[str, str]]:
    """What was queued for people: (number, text), in order."""
    return list(OutgoingMessage.objects.order_by("id").values_list("number", "text"))
