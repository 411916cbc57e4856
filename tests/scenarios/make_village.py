"""Rows for the scenarios of generated meters, made by the services that the pages use.

Run through ``gridtalk exec``, on the server's own database: reads what is wanted from standard
input and prints what was made, both JSON::

    {"server_url": …, "network_port": …, "zone": …, "tokens": 30, "value": "15",
     "devices": [{"address": <uuid>, "name": …, "people": [[name, phone], …]}]}
    {"inbound_url": …, "password": …, "tokens": [number, …],
     "devices": {<uuid>: {"handle": …, "id": …, "meter": …, "pins": [pin, …]}}}
"""

import json
import sys
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from gridtalk.cli import environment


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Make it; devices must have registered. The interfaces are made with the first call."""
    environment.django_start()
    from gridtalk.demo.village import interface_make, tokens_make
    from gridtalk.grid.models import Account
    from gridtalk.iottalk.models import RegisteredDevice
    from gridtalk.iottalk.services.binding import meter_for_device_create
    from gridtalk.messaging.services import interface_create

    network = SimpleNamespace(port=asked["network_port"], gateway_add=lambda _gateway: None)
    name = f"net-{asked['network_port']}"
    sms, gateway = interface_make(
        network,  # type: ignore[arg-type]
        server_url=asked["server_url"], name=name, phone="+256770000000", region="UG",
    )  # fmt: skip
    way, _key = interface_create(
        kind="iottalk", name=f"{name}-devices", provider="this server", sms_interface=sms
    )
    made = {}
    for wanted in asked["devices"]:
        device = RegisteredDevice.objects.get(address=wanted["address"])
        meter = meter_for_device_create(
            device=device,
            user=None,
            name=wanted["name"],
            circuits=len(wanted["people"]),
            interface=way,
            time_zone=asked["zone"],
        )
        pins = []
        circuits = meter.circuits.filter(is_main=False).order_by("ip_address")
        for circuit, (person, phone) in zip(circuits, wanted["people"], strict=True):
            Account.objects.filter(circuits=circuit).update(name=person, phone=phone, lang="en")
            pins.append(circuit.pin)
        made[wanted["address"]] = {
            "handle": device.handle, "id": device.pk, "meter": meter.pk, "pins": pins,
        }  # fmt: skip
    tokens = tokens_make(count=asked["tokens"], value=Decimal(asked["value"]), note="scenario")
    return {
        "inbound_url": gateway.inbound_url,
        "password": gateway.password,
        "tokens": tokens,
        "devices": made,
    }


if __name__ == "__main__":
    print(json.dumps(main(json.load(sys.stdin))))
