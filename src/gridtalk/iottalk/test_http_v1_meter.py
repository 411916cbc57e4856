"""v1 over HTTP: a device that is a meter."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import OperationalError
from django.utils.module_loading import import_string

from gridtalk.core import clock
from gridtalk.core.errors import Conflict
from gridtalk.grid.models import Circuit
from gridtalk.iottalk.models import (
    DeviceEvent,
    FeatureSend,
    RegisteredDevice,
)
from gridtalk.iottalk.services import v1_data
from gridtalk.iottalk.services.binding import (
    device_approve,
    device_refuse,
    meter_for_device_create,
)
from gridtalk.iottalk.services.sends import feature_send
from gridtalk.iottalk.testing_v1 import CID, MAC, METER, Board, device, feature
from gridtalk.jobs.credit import credit_add
from gridtalk.jobs.models import Job
from gridtalk.messaging.interfaces.iottalk.wire import Heard
from gridtalk.messaging.models import IncomingMessage, IoTtalkInterface
from gridtalk.testing_village import Village, village_make
from gridtalk.users.models import AuditEntry, User

pytestmark = pytest.mark.django_db


# --- A meter's device ---------------------------------------------------------------------------


@pytest.fixture
def village(moment: time_machine.Traveller) -> Village:
    return village_make()


@pytest.fixture
def admin(village: Village) -> User:
    return village.admin


@pytest.fixture
def meter(village: Village) -> Board:
    """A v1 board that is a meter of two circuits."""
    board = Board(*METER, dm_name="PrepaidMeter")
    board.registers()
    interface = IoTtalkInterface.objects.create(name="Devices", sms_interface=village.interface)
    meter_for_device_create(
        device=device(), user=village.admin, name="v1", circuits=2, interface=interface.interface
    )
    return board


def circuit() -> Circuit:
    return Circuit.objects.get(meter__name="v1", ip_address=CID)


def handle_waiting() -> None:
    """Let the gateway, which this app does not import, handle what was stored."""
    import_string("gridtalk.gateway.inbound.handle_waiting")()


def acks(board: Board) -> list[str]:
    found = []
    while samples := board.pulls("Ack-O"):
        found += [values[0] for _, values in samples]
    return found


def test_a_reading_is_stored_then_acknowledged_once_a_pull(meter: Board) -> None:
    for number in (1, 2):
        report = [CID, f"2026030412000{number}", 1, 10.25, 3600, 99.5, f"r{number}"]
        assert meter.pushes("PrimaryLog-I", report).status_code == 200
    assert [value for _, value in meter.pulls("Ack-O")] == [["r1"]]
    assert acks(meter) == ["r2"]
    handle_waiting()
    assert circuit().credit == Decimal("99.5")
    # Said again: known, acknowledged again, stored once.
    meter.pushes("PrimaryLog-I", [CID, "20260304120002", 1, 10.25, 3600, 99.5, "r2"])
    assert acks(meter) == ["r2"]
    assert IncomingMessage.objects.filter(number=device().handle).count() == 2


def test_a_reference_waits_once(meter: Board) -> None:
    for _ in range(3):
        meter.pushes("Alert-I", [CID, "md", "a1"])
    assert acks(meter) == ["a1"]


def test_nothing_is_acknowledged_that_is_not_stored(
    meter: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_said: Any) -> list[Heard]:
        raise OperationalError("gone")

    monkeypatch.setattr(v1_data, "devices_said", fail)
    monkeypatch.setattr("gridtalk.iottalk.http_common.connection.close", lambda: None)
    assert meter.pushes("Alert-I", [CID, "md", "a1"]).status_code == 503
    assert acks(meter) == []


def test_a_bound_device_needs_its_key_or_an_approval_to_register(meter: Board) -> None:
    key = meter.key
    assert meter.registers().status_code == 200
    assert meter.key == key
    for _ in range(3):
        answer = meter.registers(key="")
        assert (answer.status_code, b"approves" in answer.content) == (403, True)
        assert b"mac_addr not found" not in answer.content
    assert device().approval_wanted_at == clock.now()
    event = DeviceEvent.objects.get(kind="refused")
    assert "approve" in event.text
    # All goes on with the old key.
    assert meter.pushes("Alert-I", [CID, "md", "a1"]).status_code == 200
    RegisteredDevice.objects.update(approved_until=clock.now() + timedelta(hours=1))
    assert meter.registers(key="").status_code == 200
    assert meter.key != key
    assert (device().approval_wanted_at, device().approved_until) == (None, None)
    assert meter.registers(key="").status_code == 403


def test_an_approval_is_for_who_asked(meter: Board, admin: User) -> None:
    key = meter.key
    assert meter.registers(key="", source="192.0.2.9").status_code == 403
    assert device().approval_source == "192.0.2.9"
    device_approve(device=device(), user=admin)
    assert meter.registers(key="", source="192.0.2.10").status_code == 403
    assert meter.key == key
    assert device().approval_source == "192.0.2.9"
    assert meter.registers(key="", source="192.0.2.9").status_code == 200
    assert meter.key != key
    assert device().approval_source == ""


def test_with_its_key_the_device_ends_what_somebody_else_asked_for(
    meter: Board, admin: User
) -> None:
    key = meter.key
    assert meter.registers(key="", source="192.0.2.9").status_code == 403
    assert meter.registers().status_code == 200
    assert device().approval_wanted_at is None
    assert meter.registers(key="", source="192.0.2.9").status_code == 403
    device_approve(device=device(), user=admin)
    # The device itself comes first: the approval was a mistake.
    assert meter.registers().status_code == 200
    assert meter.registers(key="", source="192.0.2.9").status_code == 403
    assert meter.key == key
    assert meter.pushes("Alert-I", [CID, "md", "a1"]).status_code == 200


def test_who_asked_can_be_kept_out(meter: Board, admin: User) -> None:
    assert meter.registers(key="", source="192.0.2.9").status_code == 403
    device_refuse(device=device(), user=admin)
    found = device()
    assert (found.approval_wanted_at, found.approved_until, found.approval_source) == (
        None, None, "",
    )  # fmt: skip
    with pytest.raises(Conflict, match="does not wait"):
        device_refuse(device=found, user=admin)
    assert AuditEntry.objects.get(action="device_refuse").data == {"from": "192.0.2.9"}
    assert meter.registers().status_code == 200


def test_an_approval_ends(meter: Board, moment: time_machine.Traveller) -> None:
    RegisteredDevice.objects.update(
        approved_until=clock.now() + timedelta(hours=1), approval_source="127.0.0.1"
    )
    moment.shift(3601)
    assert meter.registers(key="").status_code == 403


def test_one_that_left_keeps_its_key(meter: Board) -> None:
    meter.asks("DELETE", MAC)
    assert meter.registers(key="").status_code == 403
    assert meter.registers().status_code == 200


def test_a_meters_device_is_nobodys_business(meter: Board) -> None:
    assert meter.asks("GET", "tree", key="").json() == {}
    assert meter.asks("GET", f"get_alias/{MAC}/Job-O", key="").status_code == 403
    assert meter.asks("GET", f"set_alias/{MAC}/Job-O/alias?name=a", key="").status_code == 403
    assert meter.asks("GET", f"get_alias/{MAC}/Job-O").json() == {"alias_name": []}


def test_jobs_are_handed_out_one_a_pull_and_confirmed(meter: Board, village: Village) -> None:
    first, second = (
        credit_add(circuit=circuit(), amount=Decimal(amount), user=village.admin, reason="a").pk
        for amount in (20, 30)
    )
    pulls = [[value for _, value in meter.pulls("Job-O")] for _ in range(3)]
    assert pulls == [
        [["cr", first, CID, 20.0]],
        [["cr", second, CID, 30.0]],
        [],
    ]
    assert feature("Job-O").last_value[1] == second
    meter.pushes("JobDone-I", [first, 1, 120.5, "j1"])
    assert acks(meter) == ["j1"]
    handle_waiting()
    assert Job.objects.get(pk=first).state == Job.State.DONE
    assert Job.objects.get(pk=second).state == Job.State.SENT


def test_what_no_job_made_is_not_handed_to_a_meter(meter: Board, village: Village) -> None:
    with pytest.raises(Conflict, match="is a meter"):
        feature_send(feature=feature("Job-O"), value=["cr", 9, CID, 500.0], user=village.admin)
    meter.pushes("Alert-I", [CID, "md", "a1"])
    for name, value in (("Job-O", ["cr", 9, CID, 500.0]), ("Ack-O", ["a2"])):
        FeatureSend.objects.create(feature=feature(name), value=value, requested_by=village.admin)
    assert meter.pulls("Job-O") == []
    assert acks(meter) == ["a1"]
    assert FeatureSend.objects.filter(state="queued").count() == 2


def test_a_meter_needs_its_key_also_where_its_model_sends_none(meter: Board, settings: Any) -> None:
    settings.DEVICE_KEYLESS_MODELS = ["PrepaidMeter"]
    assert meter.asks("GET", f"{MAC}/Job-O", key="").status_code == 403
    assert meter.pushes("Alert-I", [CID, "md", "a1"], key="").status_code == 403
    assert meter.pulls("Job-O") == []


def test_what_a_known_device_registers_wrongly_is_in_its_log(board: Board) -> None:
    assert board.asks("POST", MAC, {"profile": {"df_list": 5}}).status_code == 400
    assert DeviceEvent.objects.get(kind="refused").device == device()
