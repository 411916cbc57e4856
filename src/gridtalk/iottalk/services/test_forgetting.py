"""Which devices are forgotten."""

from datetime import timedelta

import pytest

from gridtalk.core import clock
from gridtalk.iottalk.models import DeviceEvent, RegisteredDevice
from gridtalk.iottalk.services.events import event_add
from gridtalk.iottalk.services.forgetting import devices_forget
from gridtalk.testing_village import village_make

pytestmark = pytest.mark.django_db


def test_only_what_nobody_misses_is_forgotten() -> None:
    now = clock.now()
    long_ago, lately = now - timedelta(days=40), now - timedelta(days=5)
    meter = village_make().meter
    RegisteredDevice.objects.all().delete()
    for address, values in {
        "gone": {"registered_at": long_ago, "deregistered_at": long_ago},
        "silent": {"registered_at": long_ago, "last_seen_at": long_ago},
        "online": {"registered_at": long_ago, "last_seen_at": long_ago, "online": True},
        "seen": {"registered_at": long_ago, "last_seen_at": lately},
        "new": {"registered_at": lately},
        "a meter's": {"registered_at": long_ago, "meter": meter},
    }.items():
        device = RegisteredDevice.objects.create(
            protocol="v2", address=address, shard=0, name=address, **values
        )
        event_add(kind=DeviceEvent.Kind.REGISTERED, device=device)
    assert devices_forget() == 2
    left = set(RegisteredDevice.objects.values_list("address", flat=True))
    assert left == {"online", "seen", "new", "a meter's"}
    assert DeviceEvent.objects.count() == 4
    assert devices_forget() == 0
