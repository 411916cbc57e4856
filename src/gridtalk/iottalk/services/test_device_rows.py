"""Samples, presence, shards, values for ODFs and what is kept: the rows of the device server."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.utils import timezone

from gridtalk.core.errors import Conflict, TooLarge, TooMany, UserError
from gridtalk.iottalk.models import (
    SHARDS,
    DeviceEvent,
    DeviceShard,
    DfSample,
    FeatureSend,
    RegisteredDevice,
    RegisteredFeature,
)
from gridtalk.iottalk.services import sends as sends_module
from gridtalk.iottalk.services.binding import meter_for_device_create
from gridtalk.iottalk.services.directory import (
    devices_by_handle,
    devices_by_id,
    devices_changed,
    devices_of_shards,
)
from gridtalk.iottalk.services.presence import (
    LinkChange,
    Note,
    OnlineChange,
    devices_seen,
    notes_store,
    presence_store,
)
from gridtalk.iottalk.services.registration import device_deregister, device_register
from gridtalk.iottalk.services.retention import retention_apply
from gridtalk.iottalk.services.samples import NewSample, samples_store
from gridtalk.iottalk.services.sends import (
    feature_send,
    sends_done,
    sends_take,
    sends_waiting,
)
from gridtalk.iottalk.services.shards import (
    shards_ensure,
    shards_release,
    shards_renew,
    shards_take,
)
from gridtalk.iottalk.services.testing_meters import device_make
from gridtalk.iottalk.wire_registration import Feature, Registration
from gridtalk.messaging.models import IoTtalkInterface
from gridtalk.messaging.testing import kannel

pytestmark = pytest.mark.django_db
FEATURES = (
    Feature("Sensor-I", "idf", ("float",)),
    Feature("Lamp-O", "odf", ("int", "string")),
    Feature("Any-O", "odf", (None,)),
)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def device() -> RegisteredDevice:
    return register()


def register(protocol: str = "v2") -> RegisteredDevice:
    registration = Registration(protocol=protocol, address=str(uuid4()), features=FEATURES)
    device = device_register(registration=registration, source="192.0.2.1").device
    RegisteredDevice.objects.filter(pk=device.pk).update(last_seen_at=None)
    return device


def feature(device: RegisteredDevice, name: str) -> RegisteredFeature:
    return RegisteredFeature.objects.get(device=device, name=name)


def sample(device: RegisteredDevice, text: str, at: datetime = NOW) -> NewSample:
    return NewSample(device.pk, feature(device, "Sensor-I").pk, at, text)


@pytest.fixture
def holder() -> str:
    shards_ensure()
    shards_take(holder="me", most=SHARDS)
    return "me"


# --- samples -------------------------------------------------------------------------------------


def test_samples_are_stored_with_the_last_value_and_the_times(device: RegisteredDevice) -> None:
    later = NOW + timedelta(seconds=1)
    samples_store(rows=[sample(device, "[1.50]"), sample(device, '["a\\\\b\\n\\t"]', later)])
    assert [row.value for row in DfSample.objects.order_by("id")] == [[1.5], ["a\\b\n\t"]]
    row = feature(device, "Sensor-I")
    assert (row.last_value, row.last_at) == (["a\\b\n\t"], later)
    device.refresh_from_db()
    assert device.last_data_at == device.last_seen_at == later


def test_numbers_keep_their_digits(device: RegisteredDevice) -> None:
    text = "[0.10, 12345678901234567890.123456789, 1E-7]"
    samples_store(rows=[sample(device, text)])
    with connection.cursor() as cursor:
        cursor.execute("SELECT value::text FROM df_samples")
        assert cursor.fetchone() == ("[0.10, 12345678901234567890.123456789, 0.0000001]",)


def test_an_older_value_does_not_become_the_last(device: RegisteredDevice) -> None:
    samples_store(rows=[sample(device, "[2]")])
    samples_store(rows=[sample(device, "[1]", NOW - timedelta(hours=1))])
    assert feature(device, "Sensor-I").last_value == [2]


def test_the_times_of_a_device_move_in_steps(device: RegisteredDevice) -> None:
    for second in (0, 3, 6):
        samples_store(rows=[sample(device, "[1]", NOW + timedelta(seconds=second))])
        device.refresh_from_db()
        expected = NOW + timedelta(seconds=6 if second == 6 else 0)
        assert device.last_data_at == expected, second


def test_what_was_sent_says_nothing_of_the_device(device: RegisteredDevice) -> None:
    samples_store(rows=[sample(device, "[1]")], said=False)
    device.refresh_from_db()
    assert device.last_data_at is None
    assert DfSample.objects.count() == 1


# --- presence ------------------------------------------------------------------------------------


def test_only_the_leaser_of_the_shard_writes_the_state(
    device: RegisteredDevice, holder: str
) -> None:
    change = OnlineChange(device.pk, True, NOW, "the device said so")
    for who, expected in (("another", False), (holder, True)):
        presence_store(holder=who, changes=[change], links=[])
        device.refresh_from_db()
        assert device.online is expected, who
    assert device.state_at == device.last_seen_at == NOW
    lines = DeviceEvent.objects.filter(kind="online").values_list("text", flat=True)
    assert list(lines) == ["the device said so"]


def test_a_state_that_is_no_news_is_no_event(device: RegisteredDevice, holder: str) -> None:
    presence_store(holder=holder, changes=[OnlineChange(device.pk, False, NOW, "x")], links=[])
    device.refresh_from_db()
    assert device.state_at is None
    assert not DeviceEvent.objects.filter(kind="offline").exists()


def test_a_device_that_left_does_not_come_online(device: RegisteredDevice, holder: str) -> None:
    device_deregister(device=device, rev=device.rev)
    links = [LinkChange(device.pk, 1, "ok", "")]
    presence_store(holder=holder, changes=[OnlineChange(device.pk, True, NOW, "x")], links=links)
    device.refresh_from_db()
    assert not device.online
    assert feature(device, "Sensor-I").state == "new"


def test_features_take_the_last_of_their_states(device: RegisteredDevice, holder: str) -> None:
    links = [
        LinkChange(device.pk, 1, "asked", ""),
        LinkChange(device.pk, 1, "ok", ""),
        LinkChange(device.pk, 2, "error", "no lamp"),
    ]
    presence_store(holder=holder, changes=[], links=links)
    assert feature(device, "Sensor-I").state == "ok"
    lamp = feature(device, "Lamp-O")
    assert (lamp.state, lamp.reason) == ("error", "no lamp")


def test_notes_are_errors_in_the_log(device: RegisteredDevice) -> None:
    notes_store(notes=[Note(device.pk, NOW, "x" * 900), Note(10**8, NOW, "of nobody")])
    event = DeviceEvent.objects.get(kind="error")
    assert (event.device, event.at, event.text) == (device, NOW, "x" * 500)


def test_seen_never_goes_back(device: RegisteredDevice) -> None:
    devices_seen(seen={device.pk: NOW})
    devices_seen(seen={device.pk: NOW - timedelta(days=1)})
    device.refresh_from_db()
    assert device.last_seen_at == NOW


# --- shards --------------------------------------------------------------------------------------


def test_shards_are_leased_once() -> None:
    shards_ensure()
    shards_ensure()
    first = shards_take(holder="a", most=10)
    second = shards_take(holder="b", most=SHARDS)
    assert len(first) == 10
    assert first | second == set(range(SHARDS))
    assert not first & second
    assert shards_renew(holder="a", held=first | second) == first


def test_a_lease_that_ran_out_is_kept_unless_taken() -> None:
    shards_ensure()
    mine = shards_take(holder="a", most=2)
    DeviceShard.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert shards_renew(holder="a", held=mine) == mine
    DeviceShard.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert shards_take(holder="b", most=SHARDS) == set(range(SHARDS))
    assert shards_renew(holder="a", held=mine) == set()


def test_released_shards_are_free_at_once() -> None:
    shards_ensure()
    shards_take(holder="a", most=SHARDS)
    shards_release(holder="b", numbers={1})
    assert shards_take(holder="c", most=SHARDS) == set()
    shards_release(holder="a", numbers={1, 2})
    assert shards_take(holder="c", most=SHARDS) == {1, 2}


# --- values for ODFs -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "error", "told"),
    [
        ("Sensor-I", [1], UserError, "input"),
        ("Lamp-O", [1], UserError, r"takes 2 value\(s\)"),
        ("Lamp-O", [1, 2], UserError, "value 2"),
        ("Lamp-O", [True, "a"], UserError, "value 1"),
        ("Lamp-O", [1.5, "a"], UserError, "value 1"),
        ("Any-O", ["x" * 20_000], TooLarge, "bytes"),
    ],
)
def test_a_value_must_fit(
    device: RegisteredDevice, name: str, value: list[Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        feature_send(feature=feature(device, name), value=value, user=None)


def test_a_value_needs_a_registered_device(device: RegisteredDevice) -> None:
    device_deregister(device=device, rev=device.rev)
    with pytest.raises(Conflict, match="not registered"):
        feature_send(feature=feature(device, "Any-O"), value=[1], user=None)


def test_values_wait_in_order_and_are_marked_when_sent(device: RegisteredDevice) -> None:
    lamp, other = feature(device, "Lamp-O"), feature(device, "Any-O")
    for number in (1, 2):
        feature_send(feature=lamp, value=[number, "a"], user=None)
    feature_send(feature=other, value=[{"deep": [1]}], user=None)
    assert sends_waiting(device_ids=[device.pk]) == {device.pk: [2, 3]}
    taken = sends_take(features=[(device.pk, 2)])
    assert [json.loads(send.text) for send in taken] == [[1, "a"], [2, "a"]]
    assert {send.number for send in taken} == {2}
    sends_done(sent=taken)
    assert sends_waiting(device_ids=[device.pk]) == {device.pk: [3]}
    lamp.refresh_from_db()
    assert lamp.last_value == [2, "a"]
    assert DfSample.objects.filter(feature=lamp).count() == 2
    assert FeatureSend.objects.filter(state="sent", sent_at__isnull=False).count() == 2


def test_only_so_many_wait(device: RegisteredDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sends_module, "MOST_WAITING", 2)
    other = feature(device, "Any-O")
    for _ in range(2):
        feature_send(feature=other, value=[1], user=None)
    with pytest.raises(TooMany, match="2 values wait"):
        feature_send(feature=other, value=[1], user=None)


@pytest.mark.parametrize(
    ("name", "value"), [("Job-O", ["cr", 7, "192.168.1.201", 500.0]), ("Ack-O", ["r1"])]
)
def test_nobody_speaks_to_a_meter_in_the_gateways_name(name: str, value: list[Any]) -> None:
    """Credit comes of the ledger alone, and only what is stored is acknowledged."""
    box = device_make("before")
    feature_send(feature=feature(box, name), value=value, user=None)
    IoTtalkInterface.objects.create(name="devices", sms_interface=kannel())
    meter_for_device_create(device=box, user=None, name="ml01", circuits=1)
    # What waited when it became a meter's is given up, and what is sent afterwards refused.
    waited = FeatureSend.objects.get()
    assert (waited.state, "meter" in waited.error) == ("failed", True)
    with pytest.raises(Conflict, match="is a meter"):
        feature_send(feature=feature(box, name), value=value, user=None)
    # Whatever is queued all the same does not go out; what a meter's other outputs get, does.
    FeatureSend.objects.update(state="queued")
    number = feature(box, name).number
    assert sends_waiting(device_ids=[box.pk]) == {}
    assert sends_take(features=[(box.pk, number)]) == []
    RegisteredFeature.objects.filter(device=box, name=name).update(name="Lamp-O")
    feature_send(feature=feature(box, "Lamp-O"), value=[1], user=None)
    assert len(sends_take(features=[(box.pk, number)])) == 2


# --- what the processes read ---------------------------------------------------------------------


def test_the_directory_knows_v2_devices_alone(device: RegisteredDevice) -> None:
    register("v1")
    known = devices_by_handle(handles=[device.handle, "nobody"])
    assert list(known) == [device.handle]
    one = known[device.handle]
    assert (one.id, one.rev, one.shard) == (device.pk, str(device.rev), device.shard)
    assert {number: f.name for number, f in one.features.items()} == {
        1: "Sensor-I", 2: "Lamp-O", 3: "Any-O",
    }  # fmt: skip
    everything = range(SHARDS)
    assert [d.id for d in devices_of_shards(shards=everything)] == [device.pk]
    assert devices_changed(shards=everything, within_s=60) == {device.pk: str(device.rev)}
    device_deregister(device=device, rev=device.rev)
    assert devices_of_shards(shards=everything) == []
    assert devices_changed(shards=everything, within_s=60) == {device.pk: ""}
    assert devices_by_id(ids=[device.pk])[device.pk].deregistered_at is not None


# --- what is kept --------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_what_is_old_is_deleted(settings: Any) -> None:
    settings.DF_SAMPLE_RETENTION = timedelta(days=30)
    settings.DEVICE_EVENT_RETENTION = timedelta(days=90)
    device = register()
    now = timezone.now()

    def old(days: int) -> datetime:
        return now - timedelta(days=days)

    samples_store(rows=[sample(device, f"[{days}]", old(days)) for days in (29, 31)])
    DeviceEvent.objects.all().delete()
    for days in (89, 91):
        DeviceEvent.objects.create(device=device, at=old(days), kind="error", text=str(days))
    other = feature(device, "Any-O")
    for days, state in ((1, "queued"), (4, "queued"), (29, "sent"), (31, "sent")):
        FeatureSend.objects.create(feature=other, value=[days], state=state, created_at=old(days))
    assert retention_apply() == {
        "given_up": 1, "df_samples": 1, "device_events": 1, "feature_sends": 1,
    }  # fmt: skip
    assert [row.value for row in DfSample.objects.all()] == [[29]]
    assert [row.text for row in DeviceEvent.objects.all()] == ["89"]
    assert sorted((s.value[0], s.state) for s in FeatureSend.objects.all()) == [
        (1, "queued"), (4, "failed"), (29, "sent"),
    ]  # fmt: skip


def test_both_orders_of_locks_are_the_same(
    device: RegisteredDevice, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    """Devices before features, as a registration locks them (a deadlock was seen)."""
    statements: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        statements.append(sql)
        return execute(sql, *rest)

    with transaction.atomic(), connection.execute_wrapper(note):
        samples_store(rows=[sample(device, "[1]")])
    order = [sql.split("UPDATE ")[-1].split()[0] for sql in statements if "UPDATE reg" in sql]
    assert order == ["registered_devices", "registered_features"]
