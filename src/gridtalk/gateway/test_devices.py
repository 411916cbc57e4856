"""The door for meters that are devices: what they say is stored once, before it is acknowledged."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gridtalk.alerts.models import Alert
from gridtalk.core import clock
from gridtalk.gateway.conftest import CONSUMER, METER_PHONE
from gridtalk.gateway.devices import devices_said
from gridtalk.gateway.inbound import handle_waiting
from gridtalk.grid.models import Circuit, Meter
from gridtalk.grid.services import meter_create, meter_retire
from gridtalk.messaging.interfaces.iottalk.wire import Heard, Said
from gridtalk.messaging.models import IncomingMessage, IoTtalkInterface, OutgoingMessage
from gridtalk.messaging.testing import kannel
from gridtalk.telemetry.models import PCULog, PrimaryLog
from gridtalk.testing_together import at_once, failures

pytestmark = pytest.mark.django_db

HANDLE = "d0123456789abcdef0123"
OTHER = "dfedcba98765432100000"
CID = "192.168.1.201"


@dataclass
class Device:
    """A meter with three circuits that is a device, and its voice."""

    meter: Meter
    interface: IoTtalkInterface

    def says(self, feature: str, *values: Any, handle: str = HANDLE) -> Heard:
        return self.say_all([(feature, values)], handle=handle)[0]

    def say_all(
        self, messages: Sequence[tuple[str, Sequence[Any]]], *, handle: str = HANDLE
    ) -> list[Heard]:
        now = clock.now()
        return devices_said([Said(handle, name, tuple(values), now) for name, values in messages])

    def circuit(self) -> Circuit:
        return Circuit.objects.get(meter=self.meter, ip_address=CID)


@pytest.fixture
def device(db: None) -> Device:
    interface = IoTtalkInterface.objects.create(name="devices", sms_interface=kannel())
    meter = meter_create(
        name="ml01",
        device_address=HANDLE,
        communication_interface=interface,
        time_zone="Africa/Nairobi",
        circuits=3,
        lang="en",
    )
    return Device(meter, interface)


def stored() -> list[tuple[str, str, str]]:
    rows = IncomingMessage.objects.order_by("pk").values_list("text", "outcome", "error")
    return list(rows)


def hour(hours_ago: int = 0) -> str:
    """The meter's local time, some hours ago (Nairobi is three hours ahead)."""
    return f"{clock.now() + timedelta(hours=3 - hours_ago):%Y%m%d%H0000}"


def test_a_report_is_stored_acknowledged_and_handled_as_an_sms(device: Device) -> None:
    when = hour(1)
    heard = device.says(
        "PrimaryLog-I", CID, when, 1, Decimal("61.3"), 3600, Decimal("438.70"), "r-1"
    )
    assert heard == Heard("r-1")
    message = IncomingMessage.objects.get()
    assert (message.number, message.provider_id, message.state) == (HANDLE, "r-1", "received")
    assert message.communication_interface_id == device.interface.pk
    assert message.handled_at is None
    assert handle_waiting() == 1
    assert stored()[0][1:] == ("reports", "")
    log = PrimaryLog.objects.values("watthours", "use_time_s", "status", "credit", "meter_time")[0]
    local = datetime.strptime(when, "%Y%m%d%H%M%S").replace(tzinfo=clock.zone("Africa/Nairobi"))
    assert log == {
        "watthours": Decimal("61.30"),
        "use_time_s": Decimal(3600),
        "status": 1,
        "credit": Decimal("438.70"),
        "meter_time": local,
    }
    assert device.circuit().credit == Decimal("438.70")


def test_the_power_unit_keeps_its_seconds_and_all_its_digits(device: Device) -> None:
    values = [Decimal("0.30000000000000004"), *[Decimal(n) for n in range(7)], None]
    for stamp in ("20261123171000", "20261123171530", "2026112317"):
        device.says("PcuLog-I", stamp, *values)
    handle_waiting()
    assert [row[1] for row in stored()] == ["pcu log"] * 3
    logs = PCULog.objects.order_by("meter_time").values_list(
        "meter_time__minute", "meter_time__second", "cumulative_kwh_solar", "battery_temp"
    )
    assert list(logs) == [(m, s, 0.1 + 0.2, None) for m, s in ((0, 0), (10, 0), (15, 30))]


def test_an_alert_reaches_the_consumer_through_the_interface_for_sms(device: Device) -> None:
    account = device.circuit().account
    assert account is not None
    account.phone = CONSUMER
    account.save()
    device.says("Alert-I", CID, "lcw", "r-1")
    handle_waiting()
    assert stored()[0][1] == "alert"
    text = OutgoingMessage.objects.get()
    assert (text.number, text.communication_interface.name) == (CONSUMER, "Malitel")


def test_without_an_interface_for_sms_nobody_is_told(device: Device) -> None:
    IoTtalkInterface.objects.update(sms_interface=None)
    account = device.circuit().account
    assert account is not None
    account.phone = CONSUMER
    account.save()
    device.says("Alert-I", CID, "lcw", "r-1")
    handle_waiting()
    assert stored()[0][1] == "alert"
    assert Alert.objects.count() == 1
    assert not OutgoingMessage.objects.exists()


class TestReferences:
    def test_a_known_one_is_acknowledged_again_and_stored_once(self, device: Device) -> None:
        for known in (False, True, True):
            heard = device.says("Alert-I", CID, "lcw", "r-1")
            assert heard == Heard("r-1", known=known)
        assert len(stored()) == 1

    def test_twice_in_one_batch_is_stored_once(self, device: Device) -> None:
        alert = ("Alert-I", (CID, "lcw", "r-1"))
        assert device.say_all([alert, alert]) == [Heard("r-1"), Heard("r-1", known=True)]
        assert len(stored()) == 1

    def test_without_one_each_is_stored(self, device: Device) -> None:
        alert = ("Alert-I", (CID, "lcw"))
        assert device.say_all([alert, alert]) == [Heard(), Heard()]
        assert [row[0] for row in stored()] == [f"(job=alert&cid={CID}&alert=lcw)"] * 2

    def test_another_devices_same_one_is_another(self, device: Device) -> None:
        meter_create(
            name="ml02", device_address=OTHER, communication_interface=device.interface, circuits=0
        )
        for handle in (HANDLE, OTHER):
            assert device.says("Alert-I", "", "md", "1", handle=handle) == Heard("1")
        assert len(stored()) == 2

    def test_it_is_known_by_whatever_interface_it_came_before(self, device: Device) -> None:
        device.says("Alert-I", "", "md", "r-1")
        other = IoTtalkInterface.objects.create(name="more devices")
        Meter.objects.update(communication_interface=other)
        assert device.says("Alert-I", "", "md", "r-1") == Heard("r-1", known=True)

    @pytest.mark.parametrize(
        "references",
        [
            ("x" * 5000, "x" * 4999 + "y"),
            ("a\x00", "a\ufffd"),
            ("\ud800", "\ud801"),
            ("é" * 90, "è"),
        ],
    )
    def test_odd_ones_come_back_as_they_are_and_are_told_apart(
        self, device: Device, references: tuple[str, str]
    ) -> None:
        for known in (False, True):
            for reference in references:
                heard = device.says("Alert-I", "", "md", reference)
                assert heard == Heard(reference, known=known)
        assert len(stored()) == 2


@pytest.mark.parametrize(
    ("feature", "values", "reference", "error", "text"),
    [
        ("PrimaryLog-I", (CID, "x", 1, 1, 1, 1, "r"), "r", "ts is “x”", 'PrimaryLog-I ["192.168'),
        ("PrimaryLog-I", (CID, "r"), "r", "has 2 values", "PrimaryLog-I ["),
        ("PrimaryLog-I", (), "", "has 0 values", "PrimaryLog-I []"),
        ("Alert-I", (CID, "hungry", "r"), "r", "one of lcw", "Alert-I ["),
        ("JobDone-I", ("7", 1, 1, "r"), "r", "job_id is “7”", "JobDone-I ["),
        ("JobDone-I", (7, 1, Decimal("NaN"), "r"), "r", "must be a number", "JobDone-I [7, 1,"),
        ("Message-I", ("bal 234567", "r"), "r", "not a meter's message", "Message-I ["),
        ("Message-I", ("(job=pp&" + "x" * 9000, "r"), "r", "too long: 9008", "Message-I ["),
        ("Message-I", ("\x00\ud800", "r"), "r", "not a meter's message", "Message-I ["),
        ("Humidity-I", (1, "r"), "r", "says nothing", "Humidity-I ["),
    ],
)
def test_nonsense_is_stored_as_refused_and_acknowledged(
    device: Device, feature: str, values: tuple[Any, ...], reference: str, error: str, text: str
) -> None:
    heard = device.says(feature, *values)
    assert heard.reference == reference
    assert error in heard.error
    ((shown, outcome, why),) = stored()
    assert (shown[: len(text)], outcome) == (text, "refused")
    assert error in why
    assert handle_waiting() == 0
    if reference:
        assert device.says(feature, *values).known


def test_what_the_rules_refuse_is_refused_by_the_drain(device: Device) -> None:
    device.says("PrimaryLog-I", CID, hour(1), 1, Decimal(1000000), 60, 1, "r-1")
    device.says("PrimaryLog-I", "192.168.1.250", hour(1), 1, 1, 60, 1, "r-2")
    device.says("JobDone-I", 4711, 1, 1, "r-3")
    handle_waiting()
    assert [row[1] for row in stored()] == ["error", "error", "error"]
    reasons = [row[2] for row in stored()]
    assert "999999.9" in reasons[0]
    assert "no circuit 192.168.1.250" in reasons[1]
    assert "job 4711 is not one of meter" in reasons[2]


@pytest.mark.parametrize("case", ["unbound", "retired", "switched off", "by SMS now", "unknown"])
def test_a_device_without_a_meter_keeps_what_it_has_to_say(device: Device, case: str) -> None:
    reason = "no meter's now"
    match case:
        case "unbound":
            Meter.objects.update(device_address="unbound-1")
        case "retired":
            meter_retire(meter=device.meter)
        case "switched off":
            IoTtalkInterface.objects.filter(pk=device.interface.pk).update(active=False)
            reason = "is switched off"
        case "by SMS now":
            Meter.objects.update(communication_interface=device.interface.sms_interface)
            reason = "is reached by “Malitel”"
    heard = device.says("Alert-I", "", "md", "r-1", handle=OTHER if case == "unknown" else HANDLE)
    assert heard.reference == ""
    assert reason in heard.error
    assert stored() == []


def test_good_and_bad_and_strangers_in_one_batch_keep_their_places(device: Device) -> None:
    now = clock.now()
    batch = [
        Said(HANDLE, "Alert-I", ("", "md", "1"), now),
        Said(OTHER, "Alert-I", ("", "md", "2"), now),
        Said(HANDLE, "Alert-I", ("", "?", "3"), now),
        Said(HANDLE, "Message-I", ("ml01 online", "4"), now),
        Said(HANDLE, "Alert-I", ("", "md", "1"), now),
    ]
    heard = devices_said(batch)
    assert [(one.reference, one.known, bool(one.error)) for one in heard] == [
        ("1", False, False),
        ("", False, True),
        ("3", False, True),
        ("4", False, False),
        ("1", True, False),
    ]
    assert [row[0] for row in stored()] == [
        "(job=alert&alert=md)",
        'Alert-I ["", "?"]',
        "ml01 online",
    ]


def test_a_batch_takes_two_statements_however_large(device: Device) -> None:
    batch = [("Alert-I", ("", "md", str(n))) for n in range(1000)]
    with CaptureQueriesContext(connection) as queries:
        assert len(device.say_all(batch)) == 1000
    assert len(queries) == 2
    assert devices_said([]) == []


class TestWhoIsWho:
    """A device's address counts only where the device server brought the message."""

    @pytest.mark.parametrize("by_device", [True, False])
    def test_an_address_as_sender_of_an_sms_is_nobodys(
        self, device: Device, by_device: bool
    ) -> None:
        sms = device.interface.sms_interface
        assert sms is not None
        IncomingMessage.objects.create(
            number=HANDLE,
            text="ml01 online",
            communication_interface_id=device.interface.pk if by_device else sms.pk,
            state="received",
        )
        handle_waiting()
        assert stored()[0][1] == ("power on" if by_device else "refused")

    def test_a_device_whose_address_is_a_phone_is_not_that_phones_meter(
        self, device: Device
    ) -> None:
        Meter.objects.update(phone=METER_PHONE)
        IncomingMessage.objects.create(
            number=METER_PHONE,
            text="ml01 online",
            communication_interface=device.interface,
            state="received",
        )
        handle_waiting()
        assert stored()[0][1] == "refused"

    def test_a_device_is_answered_by_its_acknowledgement_alone(self, device: Device) -> None:
        ping = "(job=gateway-ping&meter-time=2011-09-07 12:34:56)"
        assert device.says("Message-I", ping, "r-1") == Heard("r-1")
        handle_waiting()
        assert stored()[0][1] == "ping"
        assert not OutgoingMessage.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_processes_that_are_brought_the_same_in_any_order_store_it_once(device: Device) -> None:
    """A device repeats itself, and each process of the device server gets a part: none may wait
    for another that waits for it.
    """
    now = clock.now()
    batch = [Said(HANDLE, "Alert-I", ("", "md", str(n)), now) for n in range(3000)]
    orders = [Random(seed).sample(batch, len(batch)) for seed in range(3)]
    results = at_once(*[partial(devices_said, order) for order in orders])
    assert failures(results) == []
    news = sum(not heard.known for answers in results for heard in answers)
    assert news == 3000
    assert IncomingMessage.objects.count() == 3000
    for order, answers in zip(orders, results, strict=True):
        assert [heard.reference for heard in answers] == [said.values[-1] for said in order]
