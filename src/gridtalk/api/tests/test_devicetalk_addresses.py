"""A bound device's uuid, which is its meter's only key: told to those who may change the device.

Every reading call of the workshop is asked, so that a new one is tested as soon as it is there.
"""

import io
import re
import uuid
import zipfile
from copy import deepcopy
from typing import Any

import pytest

from gridtalk.api.devicetalk import ROUTERS
from gridtalk.api.tests.workshop import BASIC_FILE, DOCUMENT, Caller, Workshop
from gridtalk.devicetalk import models
from gridtalk.devicetalk.services.checking import device_check_start
from gridtalk.devicetalk.testing import basic_file_make, library_of
from gridtalk.iottalk.models import RegisteredDevice
from gridtalk.telemetry.testing import meter_make

pytestmark = pytest.mark.django_db

SA = BASIC_FILE["sa.py"] + b"address = {{ da.device_addr | pystr }}\n"
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: What these calls need in their query.
QUERIES: dict[str, dict[str, Any]] = {
    "device/{device_id}/tree/file": {"path": "sa.py"},
    "device/{device_id}/diff": {"old": 1, "new": 2},
    "function/S/{function_id}/diff": {"old": 1, "new": 1},
    "function/new/{language}/{basic_file}": {"dftype": "idf", "dfparam": "int"},
}


@pytest.fixture
def workshop() -> Workshop:
    made = Workshop()
    made.basic_file = basic_file_make("base", **{"sa.py": SA})
    return made


def bound(address: str) -> RegisteredDevice:
    """A device of that address, which is a meter."""
    return RegisteredDevice.objects.create(
        protocol="v2", address=address, shard=0, name="box", meter=meter_make()
    )


def saved(workshop: Workshop) -> dict[str, Any]:
    """A maker's device, saved twice, that is a meter."""
    made = workshop.maker.send("POST", "device", DOCUMENT).json()
    document = made["document"] | {"device_model": "Other"}
    again = workshop.maker.send("PUT", f"device/{made['id']}?revision=1", document)
    assert again.status_code == 200, again.content
    bound(made["device_address"])
    return dict(again.json())


def answers(caller: Caller, workshop: Workshop, device_id: int) -> dict[str, str]:
    """What each reading call of the workshop tells the caller, by its path."""
    device = models.Device.objects.get(pk=device_id)
    device_check_start(user=None, device=device)
    found = {}
    for path in sorted(
        path.strip("/")
        for router in ROUTERS
        for path, view in router.path_operations.items()
        if any("GET" in operation.methods for operation in view.operations)
    ):
        parts = {
            "device_id": device_id,
            "number": 1,
            "language": "Python",
            "basic_file": "base",
            "key": f"D{library_of(device).pk}",
            "function_id": (
                workshop.library.functions if "/L/" in path else device.functions
            ).order_by("pk")[0].pk,
            "basic_file_id": workshop.basic_file.pk,
            "device_model_id": models.DeviceModel.objects.get().pk,
            "uuid": workshop.library.file_set.order_by("pk")[0].uuid,
        }  # fmt: skip
        query = QUERIES.get(path, {})
        if path == "function":
            query = {"device": device_id, "libs": [f"D{library_of(device).pk}"]}
        answer = caller.get(path.format(**parts), **query)
        assert answer.status_code == 200, (path, answer.content)
        found[path] = _text(answer)
    return found


def _text(answer: Any) -> str:
    headers = "\n".join(f"{name}: {value}" for name, value in answer.items())
    content = b"".join(answer) if answer.streaming else answer.content
    if answer["Content-Type"] != "application/zip":
        return f"{headers}\n{content.decode(errors='replace')}"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        texts = [archive.read(name).decode(errors="replace") for name in archive.namelist()]
    return "\n".join([headers, *texts])


@pytest.mark.parametrize("who", ["viewer", "other"])
def test_no_answer_tells_who_may_not_change_it(workshop: Workshop, who: str) -> None:
    """Neither of a shared device, nor of one of everybody's that an operator bound as it is."""
    first = saved(workshop)
    address = f"device/{first['id']}"
    caller = getattr(workshop, who)
    assert caller.get(address).status_code == 404
    assert workshop.admin.send("POST", f"{address}/share").status_code == 200
    device = models.Device.objects.get(pk=first["id"])
    secret = [first["device_address"], device.device_address]
    bound(device.device_address)
    told = answers(caller, workshop, device.pk)
    assert {"device", "device/{device_id}", "device/{device_id}/zip"} <= {*told}
    for path, text in told.items():
        assert not [one for one in secret if one in text], path
    # The same calls tell it to those who may change the device: the texts are searched rightly.
    told = answers(workshop.admin, workshop, device.pk)
    assert {path.removeprefix("device").strip("/") for path, text in told.items()
            if any(one in text for one in secret)} == {
        "", "{device_id}", "{device_id}/history/{number}", "{device_id}/tree/file",
        "{device_id}/zip",
    }  # fmt: skip
    diff = "device/{device_id}/diff"
    lines = [caller.get(diff.format(device_id=device.pk), old=1, new=n).json()["lines"]
             for n in (2, 3)]  # fmt: skip
    assert lines[0][-1:] == lines[1][-1:]
    assert not [line for line in lines[1] if line[:1] in "+-" and "device_address" in line]


def test_an_owner_who_may_build_no_more_is_not_told(workshop: Workshop) -> None:
    first = saved(workshop)
    workshop.maker.user.group = workshop.viewer.user.group
    workshop.maker.user.save()
    for path, text in answers(workshop.maker, workshop, first["id"]).items():
        assert first["device_address"] not in text, path


def test_an_owner_is_told(workshop: Workshop) -> None:
    first = saved(workshop)
    address = first["device_address"]
    told = answers(workshop.maker, workshop, first["id"])
    assert address in told["device"]
    assert address in told["device/{device_id}/zip"]
    assert first["document"]["da"]["device_address"] == address
    # And the same code each time.
    assert told["device/{device_id}/zip"] == _text(workshop.maker.get(f"device/{first['id']}/zip"))


def test_two_who_take_a_device_have_two(workshop: Workshop) -> None:
    device = workshop.device()
    taken = []
    for caller in (workshop.viewer, workshop.other, workshop.other):
        document = caller.get(f"device/{device.pk}").json()["document"]
        taken.append(document["da"]["device_address"])
        packed = _text(caller.get(f"device/{device.pk}/zip"))
        taken += UUID.findall(packed)
    assert len({uuid.UUID(one) for one in taken} - {uuid.UUID(device.device_address)}) == 6
    # A document that was taken is saved as a device of its own.
    mine = workshop.other.send("POST", "device", document).json()
    assert mine["device_address"] == document["da"]["device_address"] != device.device_address


def test_sharing_leaves_the_address_to_the_device_that_runs(workshop: Workshop) -> None:
    first = saved(workshop)
    address, old = f"device/{first['id']}", first["device_address"]
    shared = workshop.admin.send("POST", f"{address}/share").json()
    assert (shared["owner"], shared["revision"]) == (None, 3)
    assert shared["device_address"] != old
    assert RegisteredDevice.objects.get(address=old).meter is not None
    # Who began before it was shared is told; an earlier version does not bring the address back.
    late = workshop.admin.send("PUT", f"{address}?revision=2", first["document"])
    assert late.status_code == 409
    restored = workshop.admin.send("POST", f"{address}/restore", {"number": 1}).json()
    assert restored["device_address"] == shared["device_address"]
    assert restored["device_model"] == "Plantbox"
    again = workshop.admin.send("POST", f"{address}/share").json()
    assert (again["device_address"], again["revision"]) == (shared["device_address"], 4)
    # Its owner goes on with a copy that has the address which the meter runs under.
    document = deepcopy(workshop.maker.get(address).json()["document"])
    document["da"]["device_address"] = old
    mine = workshop.maker.send("POST", "device", document)
    assert (mine.status_code, mine.json()["device_address"]) == (201, old)
