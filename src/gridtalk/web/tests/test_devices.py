"""The pages of registered devices: what they show, what they keep to themselves, what they do."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils.html import escape

from gridtalk.core import clock
from gridtalk.grid.models import Meter
from gridtalk.iottalk.models import (
    DeviceEvent,
    DfSample,
    FeatureSend,
    RegisteredDevice,
    RegisteredFeature,
)
from gridtalk.iottalk.services.events import event_add
from gridtalk.iottalk.services.registration import device_register
from gridtalk.iottalk.wire_registration import Feature, Registration
from gridtalk.messaging.models import IoTtalkInterface, Message
from gridtalk.messaging.services import interface_create
from gridtalk.testing_village import Village
from gridtalk.users.models import AuditEntry
from gridtalk.web import demo_door

METER_FEATURES = (
    Feature("PrimaryLog-I", "idf", ("string",)),
    Feature("JobDone-I", "idf", ("int",)),
    Feature("Job-O", "odf", ("string",)),
    Feature("Ack-O", "odf", ("string",)),
)


def meter_device() -> RegisteredDevice:
    """A device that could be a meter."""
    registration = Registration("v2", "0aa0f2de-2f0e-4d52-8a64-5b0f1fd1f3c1", name="Box",
                                features=METER_FEATURES)  # fmt: skip
    return device_register(registration=registration, source="127.0.0.1").device


@pytest.mark.parametrize(
    ("label", "query", "is_there"),
    [
        ("all", "", True),
        ("by name", "?q=plant", True),
        ("by model", "?q=Plantbox", True),
        ("another word", "?q=Xylophone", False),
        ("never by its secret address", "?q=6d9f4c1e-0f5c-4b8e-9d52-1f1f3a8f7a10", False),
        ("online", "?state=online", True),
        ("offline", "?state=offline", False),
        ("gone", "?state=gone", False),
        ("waiting", "?state=waiting", False),
    ],
)
def test_the_list(label: str, query: str, is_there: bool, village: Village, admin: Client) -> None:
    text = admin.get(f"/devices{query}").content.decode()
    assert (f"/devices/{village.device.pk}" in text) is is_there, label
    assert ("No device is like that." in text) is not is_there, label


def test_without_devices_it_says_how_they_come(village: Village, admin: Client) -> None:
    village.device.delete()
    text = admin.get("/devices").content.decode()
    assert "No device has registered yet." in text
    assert "/iottalk/v2" in text


def test_a_device_with_its_values(village: Village, admin: Client) -> None:
    text = admin.get(f"/devices/{village.device.pk}").content.decode()
    for shown in ("Plant box 7", "online", "Temperature-I", "21.5", "Luminance-O", "Plantbox"):
        assert shown in text, shown
    # What a device says is text, whatever it looks like.
    assert "&lt;b&gt;dry&lt;/b&gt;" in text
    assert "<b>dry" not in text


def test_the_address_is_for_those_who_may_bind(
    village: Village, admin: Client, viewer: Client
) -> None:
    address = f"/devices/{village.device.pk}"
    assert village.device.address in admin.get(address).content.decode()
    seen = viewer.get(address).content.decode()
    assert village.device.address not in seen
    assert village.device.handle in seen


def test_the_charts_are_of_numbers_and_of_the_span(village: Village, admin: Client) -> None:
    feature = RegisteredFeature.objects.get(name="Temperature-I")
    DfSample.objects.create(feature=feature, at=clock.now() - timedelta(hours=3), value=[19])
    DfSample.objects.create(feature=feature, at=clock.now() - timedelta(minutes=6), value=["?"])
    for span, values in (("10m", [None, 21.5]), ("24h", [19.0, None, 21.5])):
        found = admin.get(f"/devices/{village.device.pk}/series?span={span}").json()
        assert [chart["title"] for chart in found["charts"]] == ["Temperature-I"]
        assert found["charts"][0]["series"][0]["y"] == values
    answer = admin.get(f"/devices/{village.device.pk}/series?span=1y")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("label", "value", "sent"),
    [
        ("a number", "7", [7]),
        ("no number", "seven", None),
        ("nothing", "", None),
        ("a number with a point", "7.5", None),
    ],
)
def test_sending_a_value(
    label: str, value: str, sent: list[Any] | None, village: Village, admin: Client
) -> None:
    address = f"/devices/{village.device.pk}/features/{village.output.pk}/send"
    answer = admin.post(address, {f"f{village.output.pk}-p0": value})
    assert answer.status_code == (302 if sent else 400), label
    assert [row.value for row in FeatureSend.objects.all()] == ([sent] if sent else [])


def test_an_output_without_types_takes_json_or_a_word(village: Village, admin: Client) -> None:
    RegisteredFeature.objects.filter(pk=village.output.pk).update(params=[None])
    address = f"/devices/{village.device.pk}/features/{village.output.pk}/send"
    for value, sent in (("[1, 2]", [1, 2]), ("on", ["on"]), ("NaN", ["NaN"]), ('{"a": 1}', None)):
        FeatureSend.objects.all().delete()
        answer = admin.post(address, {f"f{village.output.pk}-value": value})
        if sent is None:
            assert answer.status_code in {302, 400}
        elif answer.status_code == 302:
            assert [row.value for row in FeatureSend.objects.all()] == [sent], value
        else:
            assert sent == [1, 2]  # one parameter, two values: said so, not cut
            assert answer.status_code == 400


def test_an_input_takes_nothing(village: Village, admin: Client) -> None:
    feature = RegisteredFeature.objects.get(name="Temperature-I")
    answer = admin.post(
        f"/devices/{village.device.pk}/features/{feature.pk}/send", {f"f{feature.pk}-p0": "1"}
    )
    assert answer.status_code == 400
    assert not FeatureSend.objects.exists()


def test_nobody_sends_to_the_jobs_of_a_meter(village: Village, admin: Client) -> None:
    interface_create(kind="iottalk", name="devices", sms_interface=village.interface)
    box = meter_device()
    page = f"/devices/{box.pk}"
    (job, ack) = RegisteredFeature.objects.filter(device=box, kind="odf").order_by("number")
    for feature in (job, ack):
        assert f"{page}/features/{feature.pk}/send" in admin.get(page).content.decode()
    admin.post(f"{page}/meter", {"name": "Workshop", "circuits": 1, "time_zone": "UTC"})
    text = admin.get(page).content.decode()
    assert text.count("Only the gateway sends here.") == 2
    for feature in (job, ack):
        where = f"{page}/features/{feature.pk}/send"
        assert where not in text
        answer = admin.post(where, {f"f{feature.pk}-p0": '["cr", 9, "192.168.1.201", 500]'})
        assert answer.status_code == 409
        assert "is a meter" in answer.content.decode()
    assert not FeatureSend.objects.exists()


def test_bound_to_a_meter_and_parted(village: Village, admin: Client) -> None:
    interface_create(kind="iottalk", name="devices", sms_interface=village.interface)
    box = meter_device()
    page = f"/devices/{box.pk}"
    assert "It could be a meter" in admin.get(page).content.decode()
    made = admin.post(
        f"{page}/meter",
        {"name": "Workshop", "circuits": 2, "time_zone": "Africa/Kampala", "location": "bench"},
    )
    meter = Meter.objects.get(name="Workshop")
    assert made.status_code == 302
    assert made["Location"] == f"/meters/{meter.pk}"
    assert meter.device_address == box.handle
    assert "It is the meter Workshop" in admin.get(page).content.decode()
    assert admin.post(f"{page}/remove").status_code == 409
    assert admin.post(f"{page}/free").status_code == 302
    box.refresh_from_db()
    assert box.meter is None
    assert admin.post(f"{page}/bind", {"meter": meter.pk}).status_code == 302
    box.refresh_from_db()
    assert box.meter == meter
    actions = list(AuditEntry.objects.values_list("action", flat=True))
    assert {"device_bind", "device_unbind"} <= set(actions)


def test_the_pages_of_a_device_that_had_a_phone_listen_to_the_device(
    village: Village, admin: Client
) -> None:
    interface_create(kind="iottalk", name="devices", sms_interface=village.interface)
    box = meter_device()
    pages = (
        f"/meters/{village.meter.pk}",
        f"/circuits/{village.circuit.pk}",
        f"/jobs/{village.credit_job.pk}",
        "/phone",
    )
    phone = f"number:{village.meter.phone}"
    for path in pages:
        assert phone in admin.get(path).content.decode(), path
    assert admin.post(f"/devices/{box.pk}/bind", {"meter": village.meter.pk}).status_code == 302
    for path in pages:
        text = admin.get(path).content.decode()
        assert f"number:{box.handle}" in text, path
        assert phone not in text, path


def test_a_meter_without_a_number_has_no_messages(village: Village, admin: Client) -> None:
    interface_create(kind="iottalk", name="devices", sms_interface=village.interface)
    devices = IoTtalkInterface.objects.get(name="devices")
    Meter.objects.filter(pk=village.meter.pk).update(communication_interface=devices)
    Message.objects.update(number="")
    text = admin.get(f"/meters/{village.meter.pk}").content.decode()
    assert "number:" not in text
    assert "Credit added." not in text


def test_an_interface_for_devices_has_no_key(village: Village, admin: Client) -> None:
    assert (
        "SMS to their consumers go through" in admin.get("/interfaces/add/iottalk").content.decode()
    )
    made = admin.post(
        "/interfaces/add/iottalk", {"name": "devices", "sms_interface": village.interface.pk}
    )
    assert made.status_code == 302
    assert made["Location"] == "/interfaces"
    row = IoTtalkInterface.objects.get(name="devices")
    assert row.sms_interface_id == village.interface.pk
    # It carries no texts: nothing that texts offers it.
    for page in ("/meters/add", "/messages/send", "/interfaces/add/iottalk"):
        assert f'<option value="{row.pk}"' not in admin.get(page).content.decode(), page


def test_what_cannot_be_a_meter_says_what_it_lacks(village: Village, admin: Client) -> None:
    text = admin.get(f"/devices/{village.device.pk}").content.decode()
    assert "It cannot be a meter. It lacks:" in text
    assert "Job-O" in text
    interface_create(kind="iottalk", name="devices", sms_interface=village.interface)
    answer = admin.post(
        f"/devices/{village.device.pk}/meter", {"name": "x", "circuits": 1, "time_zone": "UTC"}
    )
    assert answer.status_code == 400
    assert "it has no" in answer.content.decode()
    assert not Meter.objects.filter(name="x").exists()


def test_an_approval(village: Village, admin: Client, viewer: Client) -> None:
    page = f"/devices/{village.device.pk}"
    assert admin.post(f"{page}/let-in").status_code == 409
    RegisteredDevice.objects.filter(pk=village.device.pk).update(approval_wanted_at=clock.now())
    assert "Let it register" in admin.get(page).content.decode()
    assert "Let it register" not in viewer.get(page).content.decode()
    assert f"{page}" in admin.get("/devices?state=waiting").content.decode()
    assert admin.post(f"{page}/let-in").status_code == 302
    village.device.refresh_from_db()
    assert village.device.approved_until is not None


def test_who_asks_in_a_meters_name_is_shown_beside_its_state_and_kept_out(
    village: Village, admin: Client, viewer: Client
) -> None:
    page = f"/devices/{village.device.pk}"
    assert admin.post(f"{page}/keep-out").status_code == 409
    RegisteredDevice.objects.filter(pk=village.device.pk).update(
        approval_wanted_at=clock.now(), approval_source="192.0.2.9", online=True
    )
    for text in (admin.get(page), admin.get("/devices")):
        shown = text.content.decode()
        assert "waits for an approval" in shown
        assert "online" in shown
    shown = admin.get(page).content.decode()
    assert "from 192.0.2.9" in shown
    assert "The device itself is online meanwhile." in shown
    assert "keep it out" not in viewer.get(page).content.decode()
    assert admin.post(f"{page}/keep-out").status_code == 302
    assert "waits for an approval" not in admin.get(page).content.decode()


def test_who_waits_for_an_approval_is_first_and_on_the_overview(
    village: Village, admin: Client
) -> None:
    names = ("Aba", "Zoe")
    for name in names:
        device_register(
            registration=Registration("v1", f"00{name}", name=name, features=()), source=""
        )

    def order() -> list[str]:
        text = admin.get("/devices").content.decode()
        return sorted([*names, "Plant box 7"], key=lambda name: text.index(f">{name}<"))

    assert order() == ["Aba", "Plant box 7", "Zoe"]
    assert "asks to register again" not in admin.get("/").content.decode()
    RegisteredDevice.objects.filter(name="Zoe").update(approval_wanted_at=clock.now())
    assert order() == ["Zoe", "Aba", "Plant box 7"]
    text = admin.get("/").content.decode()
    assert "1 meter&#x27;s device asks to register again without its key" in text
    assert 'href="/devices?state=waiting"' in text


def test_the_log_of_all_devices(village: Village, admin: Client, viewer: Client) -> None:
    def lines(query: str = "") -> list[str]:
        text = viewer.get(f"/devices/log{query}").content.decode()
        assert village.device.address not in text
        shown = ("Box", "nobody known", "<b>bold", "long ago")
        return [name for name in shown if escape(name) in text]

    assert 'href="/devices/log"' in admin.get("/devices").content.decode()
    box = meter_device()
    event_add(kind=DeviceEvent.Kind.REFUSED, text="nobody known", source="192.0.2.9")
    event_add(kind=DeviceEvent.Kind.ERROR, device=village.device, text="<b>bold")
    old = event_add(kind=DeviceEvent.Kind.REFUSED, device=box, text="long ago")
    DeviceEvent.objects.filter(pk=old.pk).update(at=clock.now() - timedelta(days=20))
    assert lines() == ["Box", "nobody known", "<b>bold"]
    assert lines("?kind=refused") == ["nobody known"]
    assert lines("?kind=refused&days=30") == ["Box", "nobody known", "long ago"]
    assert lines(f"?q={box.handle}&days=all") == ["Box", "long ago"]
    assert lines("?q=plant") == ["<b>bold"]
    assert "No line fits." in admin.get("/devices/log?q=nobody").content.decode()
    assert admin.get("/devices/log?kind=nonsense").status_code == 400
    DeviceEvent.objects.all().delete()
    assert "Nothing happened in the last 7 days." in admin.get("/devices/log").content.decode()


def test_the_log_in_pages(village: Village, admin: Client) -> None:
    DeviceEvent.objects.bulk_create(
        DeviceEvent(device=village.device, kind="online", text=f"line {n:03}") for n in range(120)
    )
    page = admin.get(f"/devices/{village.device.pk}").content.decode()
    assert "The whole log" in page
    where = f"/devices/log?q={village.device.handle}&days=all"
    assert where.replace("&", "&amp;") in page
    found = []
    while where:
        answer = admin.get(where)
        found += re.findall(r"line \d{3}", answer.content.decode())
        older = answer.context["page"].older
        where = f"/devices/log{older}" if older else ""
    assert found == [f"line {n:03}" for n in reversed(range(120))]


def test_forgetting(village: Village, admin: Client) -> None:
    assert admin.post(f"/devices/{village.device.pk}/remove").status_code == 302
    assert not RegisteredDevice.objects.exists()
    assert not DfSample.objects.exists()


class Door:
    """Stands for the demo's door."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.turned: list[tuple[str, Any]] = []

    def request(self, method: str, address: str, **more: Any) -> "Door":
        assert method == "POST"
        self.turned.append((address, json.loads(more["body"])))
        return self


@pytest.mark.parametrize(("status", "answered"), [(202, 302), (404, 400)])
def test_the_plug_of_the_demo(
    status: int,
    answered: int,
    village: Village,
    admin: Client,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> None:
    door = Door(status)
    monkeypatch.setattr(demo_door, "_http", door)
    address = f"/devices/{village.device.pk}/plug"
    assert admin.post(address, {"plug": "out"}).status_code == answered
    assert door.turned == [
        ("http://127.0.0.1:1/plugs/key", {"address": village.device.address, "on": False})
    ]
    settings.GRIDTALK_DEMO_PHONES = ""
    assert admin.post(address, {"plug": "in"}).status_code == 404
