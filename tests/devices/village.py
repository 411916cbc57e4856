"""The gateway's small village whose meter is a device: what its loop's stories are played on.

Consumers text as ever. What the stories let the meter write, its device says by the feature for it,
with a reference, and again until it is acknowledged; jobs reach it by ``Job-O``.
"""

import itertools
import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.test import Client

from gridtalk.core import clock
from gridtalk.gateway.conftest import METER_PHONE, Village
from gridtalk.gateway.inbound import handle_waiting
from gridtalk.gateway.meter import wire
from gridtalk.grid.models import Circuit, Meter
from gridtalk.iottalk.models import RegisteredDevice
from gridtalk.iottalk.services.binding import meter_for_device_create
from gridtalk.iottalk.services.jobs_out import device_jobs_sent, device_jobs_take
from gridtalk.iottalk.services.testing_meters import IDFS, ODFS, device_make
from gridtalk.iottalk.voice import devices_said
from gridtalk.iottalk.wire_json import json_text
from gridtalk.jobs.models import JobMessage
from gridtalk.messaging.interfaces.iottalk.wire import Said
from gridtalk.messaging.models import IncomingMessage, IoTtalkInterface, KannelInterface
from gridtalk.messaging.outcomes import MessageOutcome


@dataclass
class DeviceVillage(Village):
    """``interface`` is the consumers', for SMS."""

    device: RegisteredDevice
    references: Any = field(default_factory=lambda: itertools.count(1))

    def says(self, number: str, text: str) -> IncomingMessage:
        """Whoever it is; the stories know the meter by its phone."""
        if number != METER_PHONE:
            return super().says(number, text)
        feature, values = said_by_device(text)
        reference = f"r-{next(self.references)}"
        for known in (False, True):  # the acknowledgement got lost: it says it again
            assert self.speak(feature, [*values, reference], known=known) == reference
        handle_waiting()
        return IncomingMessage.objects.get(provider_id=reference)

    def speak(self, feature: str, values: list[Any], *, known: bool) -> str:
        """Say it as the device; the reference that is acknowledged."""
        (heard,) = devices_said([Said(self.device.handle, feature, tuple(values), clock.now())])
        assert heard.known == known
        return heard.reference

    def take_jobs(self) -> list[list[Any]]:
        """All that ``Job-O`` brings now."""
        taken = device_jobs_take(handles=[self.device.handle])
        device_jobs_sent(taken=taken)
        return [job.values for job in taken]

    def hand_over(self, outcome: MessageOutcome = MessageOutcome.SENT) -> list[str]:
        """As the device server does; what it cannot do to a message, as the stories' sender."""
        if outcome not in {MessageOutcome.SENT, MessageOutcome.UNKNOWN}:
            return super().hand_over(outcome)
        texts = []
        for word, job_id, cid, amount in self.take_jobs():
            text = JobMessage.objects.filter(job=job_id).latest("pk").text
            assert text.startswith(f"(job={word}&jobid={job_id}")
            assert word == "mping" or f"&cid={cid}" in text
            assert word != "cr" or f"&amt={amount.normalize():f}" in text
            texts.append(text)
        return texts


@dataclass
class V1Village(DeviceVillage):
    """Its device speaks IoTtalk v1: it pushes and pulls over HTTP, one job a pull."""

    key: str = ""
    client: Client = field(default_factory=Client)

    def asks(self, method: str, feature: str, data: Any = None) -> Any:
        answer = self.client.generic(
            method,
            f"/iottalk/v1/{self.device.address}/{feature}",
            b"" if data is None else json_text({"data": data}),
            "application/json",
            headers={"password-key": self.key},
        )
        assert answer.status_code == 200, answer.content
        return json.loads(answer.content, parse_float=Decimal) if method == "GET" else None

    def speak(self, feature: str, values: list[Any], *, known: bool) -> str:
        self.asks("PUT", feature, values)
        ((_, (reference,)),) = self.asks("GET", "Ack-O")["samples"]
        return str(reference)

    def take_jobs(self) -> list[list[Any]]:
        jobs = []
        while samples := self.asks("GET", "Job-O")["samples"]:
            jobs.append(samples[0][1])
        return jobs


def said_by_device(text: str) -> tuple[str, list[Any]]:
    """The feature and the values by which a device says what a meter writes."""
    match wire.parse(text):
        case wire.PrimaryLogs(entries=(log,), errors=()) if "job=pp" in text:
            when = f"{log.meter_time:%Y%m%d%H%M%S}"
            return "PrimaryLog-I", [
                log.cid, when, log.status, log.watthours, int(log.use_time_s), log.credit,
            ]  # fmt: skip
        case wire.JobAck(job_id=job_id, status=status, credit=credit, meter_time=None):
            return "JobDone-I", [job_id, status, credit]
        case wire.Alert(code=code, cid=cid, credit=None, watthours=None):
            return "Alert-I", [cid, code]
        case wire.PcuLog(meter_time=meter_time, values=values):
            return "PcuLog-I", [f"{meter_time:%Y%m%d%H}", *values]
    return "Message-I", [text]


def device_village() -> DeviceVillage:
    """One meter that is a device and forgets its jobs, three consumers with credit 100."""
    sms = _interfaces()
    device = device_make()
    return DeviceVillage(interface=sms, meter=_meter(device), device=device)


def v1_village() -> V1Village:
    """The same with a v1 device that registers."""
    sms = _interfaces()
    answer = Client().post(
        "/iottalk/v1/C860008BD249",
        {"profile": {"dm_name": "PrepaidMeter", "df_list": [*IDFS, *ODFS], "is_sim": False}},
        content_type="application/json",
    )
    device = RegisteredDevice.objects.get()
    key = answer.json()["password"]
    return V1Village(interface=sms, meter=_meter(device), device=device, key=key)


def _interfaces() -> KannelInterface:
    sms: KannelInterface = KannelInterface.objects.create(
        name="kannel", host="127.0.0.1", username="gw", password="pw", region="ML", phone="1234"
    )
    IoTtalkInterface.objects.create(name="devices", sms_interface=sms)
    return sms


def _meter(device: RegisteredDevice) -> Meter:
    meter = meter_for_device_create(
        device=device,
        user=None,
        name="ml01",
        circuits=3,
        knows_job_ids=False,
        time_zone="Africa/Bamako",
        lang="en",
    )
    Circuit.objects.filter(meter=meter, is_main=False).update(credit=Decimal(100))
    device.refresh_from_db()
    return meter
