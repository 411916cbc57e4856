"""A device registers, registers again, leaves."""

from typing import Any
from uuid import uuid4

import pytest

from gridtalk.core.errors import Conflict, NotFound
from gridtalk.iottalk.models import DeviceEvent, RegisteredDevice, RegisteredFeature
from gridtalk.iottalk.services import registration as service
from gridtalk.iottalk.services.registration import device_deregister, device_register
from gridtalk.iottalk.wire_registration import Feature, Registration
from gridtalk.testing_village import user_make
from gridtalk.users.models import User

pytestmark = pytest.mark.django_db
SOURCE = "192.0.2.7"
ADDRESS = str(uuid4())


def register(*features: str, **more: Any) -> RegisteredDevice:
    """Register ADDRESS with features such as ``idf A``."""
    wanted = []
    for feature in features:
        kind, name = feature.split()
        wanted.append(Feature(name, kind, ("int",)))
    registration = Registration(
        protocol="v2", address=ADDRESS, features=tuple(wanted), **{"dm_name": "Box", **more}
    )
    return device_register(registration=registration, source=SOURCE).device


def rows(device: RegisteredDevice) -> dict[str, tuple[int, bool, str]]:
    return {
        f"{row.kind} {row.name}": (row.number, row.present, row.state)
        for row in device.features.all()
    }


def test_first_registration() -> None:
    device = register("idf A", "odf A", version="v1", profile={"model": "Box"})
    assert rows(device) == {"idf A": (1, True, "new"), "odf A": (2, True, "new")}
    assert device.name == f"Box {device.handle[1:5]}"
    assert (device.dm_name, device.version, device.profile) == ("Box", "v1", {"model": "Box"})
    assert device.shard == service.shard_of(device.handle)
    event = DeviceEvent.objects.get()
    assert (event.kind, event.text, event.source) == ("registered", "2 features of Box", SOURCE)
    # What people may see names no address.
    assert ADDRESS not in event.text + device.name + device.handle


def test_again_keeps_who_it_is_and_changes_the_revision() -> None:
    first = register("idf A", "idf B", "odf C")
    RegisteredFeature.objects.update(state="ok", last_value=[1])
    RegisteredDevice.objects.update(online=True, key_hash="k")
    again = register("odf C", "idf D", "idf A", name="Shop")
    assert (again.pk, again.handle, again.shard) == (first.pk, first.handle, first.shard)
    assert again.rev != first.rev
    assert again.name == "Shop"
    # Numbers last, what is gone stays for its samples, nothing is connected any more.
    assert rows(again) == {
        "idf A": (1, True, "new"), "idf B": (2, False, "new"), "odf C": (3, True, "new"),
        "idf D": (4, True, "new"),
    }  # fmt: skip
    assert again.features.get(name="A").last_value == [1]
    stored = RegisteredDevice.objects.get()
    assert (stored.online, stored.key_hash) == (True, "k")
    assert register("idf B", "idf A").name == "Shop"
    assert rows(again)["idf B"] == (2, True, "new")
    kinds = DeviceEvent.objects.order_by("id").values_list("kind", flat=True)
    assert list(kinds) == ["registered", "reregistered", "reregistered"]


def test_changed_types_are_stored() -> None:
    register("idf A")
    registration = Registration("v2", ADDRESS, features=(Feature("A", "idf", ("float", None)),))
    device_register(registration=registration, source=SOURCE)
    assert RegisteredFeature.objects.get().params == ["float", None]


def test_features_invented_without_end_do_not_fill_the_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "MOST_GONE", 3)
    for number in range(8):
        device = register(f"idf F{number}")
    assert sorted(rows(device)) == ["idf F4", "idf F5", "idf F6", "idf F7"]
    assert max(number for number, _, _ in rows(device).values()) <= 6


def test_leaving() -> None:
    device = register("idf A")
    RegisteredDevice.objects.update(online=True)
    RegisteredFeature.objects.update(state="ok")
    with pytest.raises(Conflict, match="earlier registration"):
        device_deregister(device=device, rev=uuid4())
    device_deregister(device=device, rev=device.rev, source=SOURCE)
    device.refresh_from_db()
    assert (device.online, device.deregistered_at is None) == (False, False)
    assert device.state_at == device.deregistered_at
    assert rows(device) == {"idf A": (1, True, "new")}
    with pytest.raises(NotFound):
        device_deregister(device=device, rev=device.rev)
    assert register("idf A").deregistered_at is None
    kinds = DeviceEvent.objects.order_by("id").values_list("kind", flat=True)
    assert list(kinds) == ["registered", "deregistered", "registered"]


def test_the_holder_of_the_shard_is_told(django_assert_max_num_queries: Any) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(
        connection,
    ) as queries:
        device = register("idf A", "idf B")
    told = [query["sql"] for query in queries if "gridtalk_devices" in query["sql"]]
    assert len(told) == 1
    assert f"registered {device.shard} {device.pk}" in told[0]
    assert len(queries) <= 12


def test_whose_it_is_by_the_workshop(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked as long as nobody is known, of the one function that the settings name."""
    saved: dict[str, User] = {}

    def find(*, device_address: str) -> User | None:
        return saved.get(device_address)

    monkeypatch.setattr(service, "owner_found_by_a_test", find, raising=False)
    settings.DEVICE_OWNER = f"{service.__name__}.owner_found_by_a_test"
    assert register("idf A").owner is None
    amina, moussa = user_make("amina", "admin"), user_make("moussa", "view")
    saved[ADDRESS] = amina
    assert register("idf A").owner == amina
    saved[ADDRESS] = moussa
    assert register("idf A").owner == amina
