"""Devices become meters: by whom, which, and what becomes of the meter's jobs."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine

from gridtalk.core import clock
from gridtalk.core.errors import Conflict, NotAllowed, NotFound, UserError
from gridtalk.grid.models import Meter, MeterChangeSet
from gridtalk.grid.services import meter_create, meter_retire
from gridtalk.iottalk.models import DeviceEvent, RegisteredDevice, RegisteredFeature
from gridtalk.iottalk.services import binding
from gridtalk.iottalk.services.jobs_out import device_jobs_sent, device_jobs_take
from gridtalk.iottalk.services.testing_meters import (
    IDFS,
    DeviceMeter,
    device_make,
    device_meter_make,
)
from gridtalk.jobs.credit import credit_add
from gridtalk.jobs.models import Job, JobMessage
from gridtalk.jobs.sending import jobs_due_work
from gridtalk.jobs.services import job_request
from gridtalk.messaging.models import (
    CommunicationInterface,
    IncomingMessage,
    IoTtalkInterface,
)
from gridtalk.messaging.testing import kannel
from gridtalk.testing_village import user_make
from gridtalk.users.models import AuditEntry, User

pytestmark = pytest.mark.django_db

PHONE = "+22370000001"


@pytest.fixture
def bound(db: None) -> DeviceMeter:
    return device_meter_make()


@pytest.fixture
def admin(db: None) -> User:
    return user_make("amina", "admin")


def sms_meter(**facts: Any) -> Any:
    interface = kannel("Orange")
    return meter_create(
        name="ml09", phone=PHONE, communication_interface=interface, circuits=1, **facts
    )


def message(job: Job) -> tuple[str, str, str]:
    row = JobMessage.objects.select_related("communication_interface").get(job=job)
    return row.state, row.number, row.communication_interface.name


def test_a_device_is_bound_to_a_meter_that_had_a_phone(admin: User) -> None:
    meter, device = sms_meter(), device_make(approval_wanted_at=clock.now())
    devices = IoTtalkInterface.objects.create(name="devices")
    job = job_request(kind="cping", circuit=meter.circuits.get(is_main=False))
    assert message(job) == ("queued", PHONE, "Orange")

    binding.device_bind(device=device, meter=meter, user=admin)

    meter.refresh_from_db()
    assert (meter.phone, meter.device_address) == (PHONE, device.handle)
    assert meter.communication_interface_id == devices.pk
    assert meter.knows_job_ids
    device.refresh_from_db()
    assert device.meter == meter
    assert device.approval_wanted_at is None
    assert device.owner == admin
    assert message(job) == ("queued", device.handle, "devices"), "what waits goes to the device"
    event = DeviceEvent.objects.get()
    assert (event.kind, event.text) == ("bound", "meter ml09, by amina")
    trail = AuditEntry.objects.get(action="device_bind")
    assert (trail.user, trail.target, trail.data["device"]) == (admin, "meter ml09", device.handle)
    assert device.address not in str(trail.data), "a v2 device's uuid is a secret"
    assert MeterChangeSet.objects.filter(meter=meter, key__key="device", value="box").exists()

    binding.device_bind(device=device, meter=meter, user=admin)
    assert DeviceEvent.objects.count() == 1, "the same again changes nothing"


@pytest.mark.parametrize(
    ("odfs", "given", "knows"),
    [
        (("Job-O", "Ack-O"), None, True),
        (("Job-O",), None, False),
        (("Job-O",), True, True),
        (("Job-O", "Ack-O"), False, False),
    ],
)
def test_whether_credit_may_be_sent_again(
    odfs: tuple[str, ...], given: bool | None, knows: bool
) -> None:
    IoTtalkInterface.objects.create(name="devices")
    meter = sms_meter()
    binding.device_bind(device=device_make(odfs=odfs), meter=meter, user=None, knows_job_ids=given)
    meter.refresh_from_db()
    assert meter.knows_job_ids is knows


@pytest.mark.parametrize(
    ("idfs", "odfs", "missing"),
    [
        (IDFS, ("Job-O", "Ack-O"), []),
        (("PrimaryLog-I", "JobDone-I"), ("Job-O",), []),
        (("Message-I",), ("Job-O",), []),
        (("PrimaryLog-I",), ("Job-O",), ["JobDone-I"]),
        (("Humidity-I",), (), ["PrimaryLog-I", "JobDone-I", "Job-O"]),
        (("Message-I", "Job-O"), ("PrimaryLog-I",), ["Job-O"]),
    ],
)
def test_what_a_meter_must_have(
    idfs: tuple[str, ...], odfs: tuple[str, ...], missing: list[str]
) -> None:
    IoTtalkInterface.objects.create(name="devices")
    device, meter = device_make(idfs=idfs, odfs=odfs), sms_meter()
    assert binding.device_features_missing(device=device) == missing
    if missing:
        with pytest.raises(UserError, match=f"it has no {', '.join(missing)}"):
            binding.device_bind(device=device, meter=meter, user=None)
    else:
        binding.device_bind(device=device, meter=meter, user=None)


def test_a_feature_that_it_has_no_more_counts_as_missing(bound: DeviceMeter) -> None:
    RegisteredFeature.objects.filter(name="Job-O").update(present=False)
    assert binding.device_features_missing(device=bound.device) == ["Job-O"]


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("the device is a meter", "device “box” is meter “ml01” already"),
        ("the meter is a device", "meter “ml01” is device “box” already"),
        ("retired", "is retired"),
        ("address taken", "has this device's address already"),
        ("no interface", "no interface to devices yet"),
        ("two interfaces", "several interfaces to devices"),
        ("an interface for SMS", "“Orange” does not reach devices"),
    ],
)
def test_what_cannot_be_bound(bound: DeviceMeter, case: str, reason: str) -> None:
    meter, device, interface = sms_meter(), device_make("other"), None
    match case:
        case "the device is a meter":
            device = bound.device
        case "the meter is a device":
            meter = bound.meter
        case "retired":
            meter_retire(meter=meter)
        case "address taken":
            bound.meter.device_address = device.handle
            bound.meter.save()
        case "no interface":
            IoTtalkInterface.objects.filter(pk=bound.interface.pk).update(active=False)
        case "two interfaces":
            IoTtalkInterface.objects.create(name="more")
        case "an interface for SMS":
            interface = meter.communication_interface
    with pytest.raises(UserError, match=reason):
        binding.device_bind(device=device, meter=meter, user=None, interface=interface)
    assert not DeviceEvent.objects.filter(device=device, text__contains="ml09").exists()


@pytest.mark.parametrize(
    ("key_hash", "dm_name", "fit"),
    [("k", "Box", True), ("", "Box", False), ("k", "OldBoard", False)],
)
def test_a_v1_device_needs_a_key(key_hash: str, dm_name: str, fit: bool, settings: Any) -> None:
    settings.DEVICE_KEYLESS_MODELS = ["OldBoard"]
    IoTtalkInterface.objects.create(name="devices")
    device, meter = device_make(), sms_meter()
    RegisteredDevice.objects.update(protocol="v1", key_hash=key_hash, dm_name=dm_name)
    if fit:
        binding.device_bind(device=device, meter=meter, user=None)
    else:
        with pytest.raises(UserError, match="has no password-key"):
            binding.device_bind(device=device, meter=meter, user=None)


def test_a_retired_meter_leaves_its_device_to_another(bound: DeviceMeter) -> None:
    meter_retire(meter=bound.meter)
    binding.meter_for_device_create(device=bound.device, user=None, name="ml02", circuits=1)
    bound.meter.refresh_from_db()
    assert bound.meter.device_address == f"unbound-{bound.meter.pk}"
    meter_retire(meter=Meter.objects.get(name="ml02"))
    binding.device_bind(device=bound.device, meter=sms_meter(), user=None)
    kinds = list(DeviceEvent.objects.order_by("pk").values_list("kind", flat=True))
    assert kinds == ["bound", "unbound", "bound", "unbound", "bound"]


def test_who_may_only_look_may_not_bind(bound: DeviceMeter) -> None:
    viewer = user_make("viktor", "view")
    device, meter = device_make("other"), sms_meter()
    deeds: list[Any] = [
        lambda: binding.device_bind(device=device, meter=meter, user=viewer),
        lambda: binding.device_unbind(device=bound.device, user=viewer),
        lambda: binding.device_approve(device=bound.device, user=viewer),
        lambda: binding.meter_for_device_create(device=device, user=viewer, name="x", circuits=1),
    ]
    for deed in deeds:
        with pytest.raises(NotAllowed):
            deed()


def test_a_new_meter_straight_from_a_device(admin: User) -> None:
    IoTtalkInterface.objects.create(name="devices")
    device = device_make()
    meter = binding.meter_for_device_create(
        device=device, user=admin, name="ml05", circuits=3, time_zone="Africa/Bamako"
    )
    assert (meter.device_address, meter.phone, meter.time_zone) == (
        device.handle,
        None,
        "Africa/Bamako",
    )
    assert meter.circuits.count() == 4
    device.refresh_from_db()
    assert device.meter == meter


def test_a_meter_is_not_made_of_a_device_that_cannot_be_one() -> None:
    IoTtalkInterface.objects.create(name="devices")
    with pytest.raises(UserError, match="it has no Job-O"):
        binding.meter_for_device_create(
            device=device_make(odfs=()), user=None, name="ml05", circuits=3
        )


class TestUnbinding:
    def test_jobs_wait_for_the_next_device(self, bound: DeviceMeter) -> None:
        job = credit_add(circuit=bound.circuit, amount=Decimal(5), user=None, reason="a test")
        binding.device_unbind(device=bound.device, user=None)
        bound.meter.refresh_from_db()
        assert bound.meter.device_address == f"unbound-{bound.meter.pk}"
        assert not bound.meter.knows_job_ids
        later = job_request(kind="cping", circuit=bound.circuit)
        assert device_jobs_take(handles=[bound.handle, f"unbound-{bound.meter.pk}"]) == []

        other = device_make("other")
        binding.device_bind(device=other, meter=bound.meter, user=None)
        assert device_jobs_take(handles=[bound.handle]) == []
        taken = device_jobs_take(handles=[other.handle])
        assert [one.values[1] for one in taken] == [job.pk, later.pk]
        assert list(DeviceEvent.objects.order_by("pk").values_list("kind", flat=True)) == [
            "bound",
            "unbound",
            "bound",
        ]

    def test_credit_that_was_never_confirmed_is_not_given_to_the_next(
        self, bound: DeviceMeter
    ) -> None:
        sent = credit_add(circuit=bound.circuit, amount=Decimal(5), user=None, reason="a test")
        device_jobs_sent(taken=device_jobs_take(handles=[bound.handle]))
        with time_machine.travel(clock.now() + timedelta(minutes=2)):
            jobs_due_work()
            assert sent.job_messages.filter(state="queued").count() == 1, "it would go again"
            binding.device_unbind(device=bound.device, user=None)
            assert not sent.job_messages.filter(state="queued").exists()
            other = device_make("other")
            with pytest.raises(Conflict, match=rf"not yet answered for credit \(job {sent.pk}\)"):
                binding.device_bind(device=other, meter=bound.meter, user=None)
            given_up = jobs_due_work().given_up
            assert [job.pk for job in given_up] == [sent.pk]
            binding.device_bind(device=other, meter=bound.meter, user=None)
        for hours in (2, 5, 24):
            with time_machine.travel(clock.now() + timedelta(hours=hours)):
                jobs_due_work()
        sent.refresh_from_db()
        assert sent.state == "unconfirmed"
        assert device_jobs_take(handles=[other.handle]) == []

    def test_not_while_a_job_is_being_handed_over(self, bound: DeviceMeter) -> None:
        credit_add(circuit=bound.circuit, amount=Decimal(5), user=None, reason="a test")
        taken = device_jobs_take(handles=[bound.handle])
        with pytest.raises(Conflict, match="being handed over right now"):
            binding.device_unbind(device=bound.device, user=None)
        device_jobs_sent(taken=taken)
        binding.device_unbind(device=bound.device, user=None)

    def test_not_while_something_that_it_said_waits(self, bound: DeviceMeter) -> None:
        said = IncomingMessage.objects.create(
            number=bound.handle, text="x", communication_interface=bound.interface, state="received"
        )
        with pytest.raises(Conflict, match="is being handled"):
            binding.device_unbind(device=bound.device, user=None)
        said.handled_at = clock.now()
        said.save()
        binding.device_unbind(device=bound.device, user=None)

    def test_back_to_a_phone(self) -> None:
        meter, device = sms_meter(), device_make()
        sms = CommunicationInterface.objects.get(name="Orange")
        IoTtalkInterface.objects.create(name="devices")
        binding.device_bind(device=device, meter=meter, user=None)
        job = credit_add(
            circuit=meter.circuits.get(is_main=False), amount=Decimal(5), user=None, reason="a test"
        )
        binding.device_unbind(device=device, user=None, interface=sms)
        meter.refresh_from_db()
        assert (meter.device_address, meter.communication_interface_id) == (None, sms.pk)
        assert message(job) == ("queued", PHONE, "Orange")

    def test_not_to_a_phone_that_the_meter_has_not(self, bound: DeviceMeter) -> None:
        for interface in (kannel("Orange"), bound.interface):
            with pytest.raises(UserError, match="has no phone"):
                binding.device_unbind(device=bound.device, user=None, interface=interface)

    def test_of_a_device_that_is_no_meters(self) -> None:
        with pytest.raises(Conflict, match="is no meter's"):
            binding.device_unbind(device=device_make(), user=None)


def test_unconfirmed_credit_of_a_phone_that_knows_jobs_does_not_follow_to_a_device() -> None:
    meter = sms_meter(knows_job_ids=True)
    job = credit_add(
        circuit=meter.circuits.get(is_main=False), amount=Decimal(5), user=None, reason="a test"
    )
    JobMessage.objects.update(state="sent")
    Job.objects.update(
        state="unconfirmed",
        sent_at=clock.now(),
        next_attempt_at=clock.now(),
        expires_at=clock.now(),
    )
    jobs_due_work()
    assert job.job_messages.filter(state="queued").count() == 1
    IoTtalkInterface.objects.create(name="devices")
    device = device_make()
    binding.device_bind(device=device, meter=meter, user=None)
    with time_machine.travel(clock.now() + timedelta(hours=2)):
        jobs_due_work()
        assert device_jobs_take(handles=[device.handle]) == []


def test_an_approval_lasts_an_hour(bound: DeviceMeter, admin: User) -> None:
    with pytest.raises(Conflict, match="does not wait"):
        binding.device_approve(device=bound.device, user=admin)
    RegisteredDevice.objects.update(approval_wanted_at=clock.now())
    device = binding.device_approve(device=bound.device, user=admin)
    assert device.approval_wanted_at is None
    assert device.approved_until is not None
    left = device.approved_until - clock.now()
    assert timedelta(minutes=59) < left <= timedelta(hours=1)
    assert DeviceEvent.objects.filter(kind="approved", text="by amina").exists()
    assert AuditEntry.objects.filter(action="device_approve", user=admin).exists()


@pytest.mark.parametrize(
    ("name", "error"), [("box", None), ("", NotFound), ("nobody", NotFound), ("twins", Conflict)]
)
def test_finding_a_device(name: str, error: type[Exception] | None) -> None:
    device = device_make()
    device_make("a twin")
    device_make("b twin")
    RegisteredDevice.objects.filter(name__endswith="twin").update(name="twins")
    if error is None:
        assert binding.device_find(name=name) == device
        assert binding.device_find(name=device.handle) == device
    else:
        with pytest.raises(error):
            binding.device_find(name=name)
