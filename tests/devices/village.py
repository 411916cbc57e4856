"""The gateway's small village whose meter is a device: what its loop's stories are played on.

Consumers text as ever. What the stories let the meter write, its device says by the feature for it,
with a reference, and again until it is acknowledged; jobs reach it by ``Job-O``.
"""

import itertools
import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from gridtalk.core import clock
from gridtalk.gateway.conftest import METER_PHONE, Village
from gridtalk.gateway.inbound import handle_waiting
from gridtalk.gateway.meter import wire
from gridtalk.grid.models import Circuit, Meter
from gridtalk.iottalk import topics
from gridtalk.iottalk.models import RegisteredDevice
from gridtalk.iottalk.mqtt.notes import Notes
from gridtalk.iottalk.mqtt.storing import Arrived, Batch, Storing
from gridtalk.iottalk.services.binding import meter_for_device_create
from gridtalk.iottalk.services.jobs_out import device_jobs_sent, device_jobs_take
from gridtalk.iottalk.services.testing_meters import IDFS, ODFS, device_make
from gridtalk.iottalk.voice import devices_said
from gridtalk.iottalk.wire_json import json_text
from gridtalk.iottalk.wire_mqtt import data_write
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
class V2Village(DeviceVillage):
    """Its device speaks IoTtalk v2: what it says comes as bytes on its topics, and goes the way of
    what a broker brings; jobs and acknowledgements are the bytes that the broker would get.
    """

    storing: Storing = field(default_factory=lambda: Storing(Notes()))

    def topic(self, name: str) -> str:
        """The topic that CONNECT named for the feature."""
        feature = self.device.features.get(name=name)
        make = topics.idf if feature.kind == "idf" else topics.odf
        return make(self.device.shard, self.device.handle, feature.number)

    def speak(self, feature: str, values: list[Any], *, known: bool) -> str:
        topic = topics.read(self.topic(feature))
        assert topic is not None
        # JSON has no tuples: clients write a list of values.
        raw = json_text(values).encode()
        batch = Batch([Arrived(topic, raw, clock.now().timestamp())])
        self.storing.store(batch)
        ((where, said),) = batch.acknowledgements
        assert where == self.topic("Ack-O")
        (reference,) = json.loads(said)
        return str(reference)

    def take_jobs(self) -> list[list[Any]]:
        taken = device_jobs_take(handles=[self.device.handle])
        device_jobs_sent(taken=taken)
        return [json.loads(data_write(job.values), parse_float=Decimal) for job in taken]


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


def v2_village(monkeypatch: pytest.MonkeyPatch) -> V2Village:
    """The same with a device that registers over HTTP and takes its features' topics.

    What a broker does is not needed: it lets everybody in.
    """
    monkeypatch.setattr("gridtalk.iottalk.http_v2.credentials_admit", lambda **_: None)
    sms = _interfaces()
    answer = Client().put(
        "/iottalk/v2/6e2d5b7c-7c21-4f54-bb0e-1b4ad4c1d0f2",
        {
            "idf_list": [[name, [None]] for name in IDFS],
            "odf_list": [[name, [None]] for name in ODFS],
            "accept_protos": ["mqtt"],
            "profile": {"model": "PrepaidMeter"},
        },
        content_type="application/json",
    )
    assert answer.status_code == 200, answer.content
    device = RegisteredDevice.objects.get(handle=answer.json()["username"])
    device.features.update(state="ok")
    RegisteredDevice.objects.filter(pk=device.pk).update(online=True)
    return V2Village(interface=sms, meter=_meter(device), device=device)


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
