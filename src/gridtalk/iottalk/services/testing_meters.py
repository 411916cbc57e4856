"""A meter that is a device, for the tests of jobs and bindings."""

from dataclasses import dataclass
from typing import Any

from gridtalk.grid.models import Circuit, Meter
from gridtalk.iottalk.models import RegisteredDevice, RegisteredFeature
from gridtalk.iottalk.services.binding import meter_for_device_create
from gridtalk.iottalk.services.registration import shard_of
from gridtalk.messaging.models import IoTtalkInterface
from gridtalk.messaging.testing import kannel

IDFS = ("PrimaryLog-I", "PcuLog-I", "Alert-I", "JobDone-I", "Message-I")
ODFS = ("Job-O", "Ack-O")


def device_make(
    name: str = "box", *, idfs: tuple[str, ...] = IDFS, odfs: tuple[str, ...] = ODFS, **fields: Any
) -> RegisteredDevice:
    """A v2 device that registered with these features."""
    device = RegisteredDevice(
        protocol="v2", address=f"uuid-{name}", name=name, dm_name="PrepaidMeter", **fields
    )
    device.shard = shard_of(device.handle)
    device.save()
    RegisteredFeature.objects.bulk_create(
        RegisteredFeature(device=device, name=feature, kind=kind, number=number)
        for number, (feature, kind) in enumerate(
            [*[(idf, "idf") for idf in idfs], *[(odf, "odf") for odf in odfs]], start=1
        )
    )
    return device


@dataclass
class DeviceMeter:
    """A device that is a meter with two circuits."""

    device: RegisteredDevice
    meter: Meter
    interface: IoTtalkInterface

    @property
    def handle(self) -> str:
        return self.device.handle

    @property
    def circuit(self) -> Circuit:
        return Circuit.objects.select_related("meter__communication_interface").get(
            meter=self.meter, ip_address="192.168.1.201"
        )


def device_meter_make() -> DeviceMeter:
    """An interface to devices, a device, and the meter that it is."""
    interface = IoTtalkInterface.objects.create(name="devices", sms_interface=kannel())
    device = device_make()
    meter = meter_for_device_create(device=device, user=None, name="ml01", circuits=2)
    device.refresh_from_db()
    return DeviceMeter(device, meter, interface)
