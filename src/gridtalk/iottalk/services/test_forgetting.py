"""Which devices are forgotten."""

from datetime import timedelta
from typing import Any

import pytest

from gridtalk.core import clock
from gridtalk.core.errors import PeerError
from gridtalk.iottalk.broker import admission
from gridtalk.iottalk.models import DeviceEvent, RegisteredDevice
from gridtalk.iottalk.services.events import event_add
from gridtalk.iottalk.services.forgetting import device_forget, devices_forget
from gridtalk.testing_village import village_make

pytestmark = pytest.mark.django_db


def test_only_what_nobody_misses_is_forgotten(ended: list[str]) -> None:
    now = clock.now()
    long_ago, lately = now - timedelta(days=40), now - timedelta(days=5)
    meter = village_make().meter
    RegisteredDevice.objects.all().delete()
    for address, values in {
        "gone": {"registered_at": long_ago, "deregistered_at": long_ago},
        "silent": {"registered_at": long_ago, "last_seen_at": long_ago},
        "online": {"registered_at": long_ago, "last_seen_at": long_ago, "online": True},
        "seen": {"registered_at": long_ago, "last_seen_at": lately},
        "said something": {"registered_at": lately, "last_data_at": lately},
        "stayed a while": {"registered_at": lately, "last_seen_at": lately + timedelta(minutes=2)},
        "registered and no more": {"registered_at": lately},
        "seen by registering": {
            "registered_at": lately,
            "last_seen_at": lately + timedelta(seconds=1),
        },
        "new": {"registered_at": now - timedelta(minutes=50)},
        "a meter's": {"registered_at": long_ago, "meter": meter},
    }.items():
        device = RegisteredDevice.objects.create(
            protocol="v2", address=address, handle=address, shard=0, name=address, **values
        )
        event_add(kind=DeviceEvent.Kind.REGISTERED, device=device)
    assert devices_forget() == 4
    left = set(RegisteredDevice.objects.values_list("address", flat=True))
    assert left == {"online", "seen", "said something", "stayed a while", "new", "a meter's"}
    assert DeviceEvent.objects.count() == 6
    gone = ["gone", "registered and no more", "seen by registering", "silent"]
    assert sorted(ended) == gone, "the broker lets them in no more"
    assert devices_forget() == 0


def test_the_broker_hears_of_a_device_that_is_forgotten(
    ended: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    device = RegisteredDevice.objects.create(protocol="v2", address="a", shard=0, name="a")
    with django_capture_on_commit_callbacks(execute=True):
        device_forget(device=device, user=None)
        assert ended == []
    assert ended == [device.handle]


def test_a_broker_that_is_away_keeps_nobody_from_leaving(
    monkeypatch: pytest.MonkeyPatch, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**_: object) -> None:
        raise PeerError("the broker is away")

    monkeypatch.setattr(admission, "credentials_admit", fail)
    settings.GRIDTALK_BROKER = "none"
    admission.credentials_end(handles=["d1"])
    assert caplog.text == ""
    settings.GRIDTALK_BROKER, settings.GRIDTALK_MQTT_URL = "amqtt", ""
    admission.credentials_end(handles=["d1"])
    assert "the broker is away" in caplog.text
