"""v2's registration over HTTP."""

import json
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError
from django.test import Client

from gridtalk.core.errors import PeerError
from gridtalk.core.models import SystemLog
from gridtalk.iottalk import credentials, http_v2, topics
from gridtalk.iottalk.models import DeviceEvent, RegisteredDevice
from gridtalk.iottalk.services.registration import unbound_forget

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("admitted", "ended")]
BASE = "/iottalk/v2"
ADDRESS = "6e2d5b7c-7c21-4f54-bb0e-1b4ad4c1d0f2"
BODY = {"idf_list": [["A-I", ["int"]]], "accept_protos": ["mqtt"], "profile": {"model": "Box"}}


def put(address: str = ADDRESS, body: Any = BODY, **more: Any) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Client(raise_request_exception=False).put(
        f"{BASE}/{address}", raw, content_type="application/json", **more
    )


def delete(rev: Any, address: str = ADDRESS) -> Any:
    return Client().delete(
        f"{BASE}/{address}", json.dumps({"rev": rev}), content_type="application/json"
    )


def test_registered(admitted: list[str], settings: Any) -> None:
    settings.GRIDTALK_MQTT_PUBLIC = "broker.example.org:1884"
    answer = put()
    device = RegisteredDevice.objects.get()
    assert answer.status_code == 200
    assert answer.json() == {
        "id": ADDRESS,
        "name": device.name,
        "url": {"scheme": "mqtt", "host": "broker.example.org", "port": 1884},
        "ctrl_chans": [
            topics.control_in(device.shard, device.handle),
            topics.control_out(device.shard, device.handle),
        ],
        "rev": str(device.rev),
        "username": device.handle,
        "password": credentials.device_password(handle=device.handle, key_epoch=0),
    }
    assert admitted == [device.handle]
    # The topics tell nothing of the uuid; no cookie, no session.
    assert ADDRESS not in str(answer.json()["ctrl_chans"])
    assert not answer.cookies


@pytest.mark.parametrize(
    ("label", "public", "asked", "url"),
    [
        ("the host by which it came", "", "box.lan:8000", ("mqtt", "box.lan", 1883)),
        ("an IPv6 address", "", "[::1]:8000", ("mqtt", "::1", 1883)),
        ("TLS", "mqtts://b.example.org", "box.lan", ("mqtts", "b.example.org", 8883)),
    ],
)
def test_where_the_broker_is(
    label: str, public: str, asked: str, url: tuple[str, str, int], settings: Any
) -> None:
    settings.GRIDTALK_MQTT_PUBLIC, settings.GRIDTALK_MQTT_PORT = public, 1883
    settings.GRIDTALK_MQTT_URL, settings.ALLOWED_HOSTS = "", ["box.lan", "[::1]"]
    answer = put(headers={"host": asked})
    assert tuple(answer.json()["url"].values()) == url


def test_the_same_uuid_is_the_same_device() -> None:
    first, again = put().json(), put(address=ADDRESS.upper()).json()
    assert first["rev"] != again["rev"]
    assert {**first, "rev": ""} == {**again, "rev": ""}


@pytest.mark.parametrize(
    ("label", "path"),
    [
        ("a base with a slash at its end", f"{BASE}//{ADDRESS}"),
        ("a slash at the end", f"{BASE}/{ADDRESS}/"),
    ],
)
def test_slashes_do_not_matter(label: str, path: str) -> None:
    answer = Client().put(path, json.dumps(BODY), content_type="application/json")
    assert answer.json()["id"] == ADDRESS


def test_leaving(ended: list[str]) -> None:
    first, again = put().json(), put().json()
    old = delete(first["rev"])
    assert (old.status_code, "earlier registration" in old.json()["reason"]) == (409, True)
    assert delete("nonsense").status_code == 400
    assert delete(again["rev"], str(uuid4())).status_code == 404
    gone = delete(again["rev"])
    assert (gone.status_code, gone.json()["id"]) == (200, ADDRESS)
    assert ended == [again["username"]], "the broker lets it in no more"
    assert delete(again["rev"]).status_code == 404


@pytest.mark.parametrize(
    ("label", "address", "body", "status", "reason"),
    [
        ("no JSON", ADDRESS, b"{]", 400, "not JSON"),
        ("no UUID", "meter-1", BODY, 400, "UUID"),
        ("another protocol", ADDRESS, {"accept_protos": ["ws"]}, 400, "mqtt"),
        ("10,000 features", ADDRESS, {"idf_list": [["f", []]] * 5000}, 400, "at most 200"),
        ("10,000 long features", ADDRESS, {"idf_list": [["f" * 90, []]] * 10_000}, 413, "bytes"),
        ("1 MB", ADDRESS, b"[" * 2**20, 413, "at most"),
        ("deep nesting", ADDRESS, b'{"profile":' + b"[" * 100_000, 400, "nested"),
        ("NaN", ADDRESS, b'{"name": NaN}', 400, "NaN"),
        ("not UTF-8", ADDRESS, b'{"name": "\xff"}', 400, "UTF-8"),
        ("empty", ADDRESS, b"", 400, "not JSON"),
    ],
)
def test_refused(label: str, address: str, body: Any, status: int, reason: str) -> None:
    answer = put(address, body)
    assert answer.status_code == status
    assert reason in answer.json()["reason"]
    assert RegisteredDevice.objects.count() == 0
    event = DeviceEvent.objects.get()
    assert (event.kind, event.device, event.source) == ("refused", None, "127.0.0.1")
    assert ADDRESS not in event.text


def test_what_is_refused_of_a_known_device_is_in_its_log() -> None:
    assert put().status_code == 200
    assert put(body={"idf_list": [["f", []]] * 500}).status_code == 400
    event = DeviceEvent.objects.get(kind="refused")
    assert event.device == RegisteredDevice.objects.get()
    assert event.text.startswith("PUT: ")


def test_a_device_that_the_broker_does_not_let_in_is_in_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(**_: object) -> None:
        raise PeerError("the MQTT broker does not let the device in")

    monkeypatch.setattr(http_v2, "credentials_admit", fail)
    assert put().status_code == 503
    assert list(DeviceEvent.objects.order_by("pk").values_list("kind", "device", "text")) == [
        ("registered", RegisteredDevice.objects.get().pk, "1 feature of Box"),
        ("refused", RegisteredDevice.objects.get().pk,
         "PUT: the MQTT broker does not let the device in"),
    ]  # fmt: skip


def test_a_flood_of_nonsense_writes_one_line() -> None:
    for _ in range(20):
        put(body=b"{")
    assert DeviceEvent.objects.count() == 1


def test_there_is_an_end_to_devices_that_are_nobodys(settings: Any) -> None:
    settings.DEVICES_UNBOUND_MOST = 2
    addresses = [str(uuid4()) for _ in range(3)]
    answers = [put(address) for address in addresses]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert "GRIDTALK_DEVICES_UNBOUND_MOST" in answers[2].json()["reason"]
    assert put(addresses[0]).status_code == 200, "who is known goes on"
    assert RegisteredDevice.objects.count() == 2
    unbound_forget()
    RegisteredDevice.objects.filter(address=addresses[1]).delete()
    assert put(addresses[2]).status_code == 200


def test_a_flood_of_registrations_waits(settings: Any) -> None:
    settings.DEVICE_REGISTRATIONS_PER_MINUTE = 3
    for _ in range(3):
        assert put(str(uuid4())).status_code == 200
    answer = put(str(uuid4()))
    assert (answer.status_code, answer["Retry-After"]) == (429, "20")
    assert "too many registrations" in answer.json()["reason"]
    assert RegisteredDevice.objects.count() == 3
    assert put(str(uuid4()), REMOTE_ADDR="192.0.2.9").status_code == 200


@pytest.mark.parametrize("error", [PeerError("the broker is away"), OperationalError("gone")])
def test_what_is_away_is_said(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(http_v2, "credentials_admit", fail)
    monkeypatch.setattr("gridtalk.iottalk.http_common.connection.close", lambda: None)
    answer = put()
    assert answer.status_code == 503
    assert answer.json()["reason"]


def test_there_is_something_to_wait_for() -> None:
    for path in (BASE, f"{BASE}/"):
        answer = Client().get(path)
        assert (answer.status_code, answer.json()["protocol"]) == (200, "IoTtalk v2")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("post", f"{BASE}/{ADDRESS}", 405),
        ("get", f"{BASE}/{ADDRESS}", 405),
        ("put", BASE, 405),
        ("get", f"{BASE}/a/b", 404),
        ("put", f"{BASE}/{ADDRESS}/A-I", 404),
    ],
)
def test_other_ways_are_refused_in_json(method: str, path: str, status: int) -> None:
    answer = getattr(Client(), method)(path)
    assert answer.status_code == status
    assert answer.json()["reason"]


def test_a_body_needs_its_length() -> None:
    answer = put(body=b"", headers={"transfer-encoding": "chunked"}, CONTENT_LENGTH="")
    assert answer.status_code == 411


@pytest.mark.parametrize(
    ("label", "path", "headers", "status", "reason"),
    [
        ("not our host", f"{BASE}/{ADDRESS}", {"host": "box.lan"}, 400, "GRIDTALK_ALLOWED_HOSTS"),
        ("no address of ours", "/iottalk/v3/a", {}, 404, "address"),
    ],
)
def test_what_is_refused_before_the_address_says_why_too(
    label: str, path: str, headers: dict[str, str], status: int, reason: str
) -> None:
    answer = Client().put(path, b"{}", content_type="application/json", headers=headers)
    assert answer.status_code == status
    assert reason in answer.json()["reason"]


def test_our_own_bug_says_so_in_json_and_names_no_uuid(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(http_v2, "device_register", fail)
    answer = put()
    assert answer.status_code == 500
    assert answer.json()["reason"]
    logged = SystemLog.objects.get().text
    assert "PUT /iottalk/v2/…: ValueError: a bug" in logged
    assert ADDRESS not in logged + caplog.text
