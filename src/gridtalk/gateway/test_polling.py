"""A meter that polls by HTTP: its open jobs, its key, credit once."""

import pytest
from django.test import Client

from gridtalk.core.models import SystemLog
from gridtalk.gateway.conftest import Village
from gridtalk.grid.models import Meter
from gridtalk.grid.services import meter_key_set
from gridtalk.jobs.models import Job, JobMessage
from gridtalk.jobs.verify import verify

pytestmark = pytest.mark.django_db


@pytest.fixture
def key(village: Village) -> str:
    return meter_key_set(meter=village.meter)


def poll(client: Client, village: Village, key: str) -> str:
    answer = client.get(f"/jobs/meter/{village.meter.pk}/", {"key": key})
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    return answer.content.decode()


def test_jobs_are_given_one_after_the_other_and_closed(
    client: Client, village: Village, key: str
) -> None:
    village.consumer(f"add.{village.pin}.{village.token()}")
    village.consumer(f"off.{village.pin}")
    first, second = Job.objects.order_by("pk").values_list("pk", flat=True)
    assert poll(client, village, key) == (
        f"(job=cr&jobid={first}&cid=192.168.1.201&amt=500.0)"
        f"(job=coff&jobid={second}&cid=192.168.1.201)"
    )
    assert not JobMessage.objects.filter(state="queued").exists(), "the poll took their place"
    for _ in range(2):
        done = client.delete(f"/jobs/job/{first}/", headers={"Authorization": f"Bearer {key}"})
        assert done.status_code == 200
    assert Job.objects.get(pk=first).state == "done"
    assert len(village.answers()) == 1, "told once"
    assert verify().errors == {}


@pytest.mark.parametrize(("knows", "again"), [(True, 1), (False, 0)])
def test_credit_is_given_again_only_to_a_meter_that_knows_job_ids(
    client: Client, village: Village, key: str, knows: bool, again: int
) -> None:
    Meter.objects.update(knows_job_ids=knows)
    village.consumer(f"add.{village.pin}.{village.token()}")
    assert poll(client, village, key).count("job=cr") == 1
    assert poll(client, village, key).count("job=cr") == again


@pytest.mark.parametrize("wrong", ["", "guess"])
def test_a_wrong_key_is_refused_and_noted(
    client: Client, village: Village, key: str, wrong: str
) -> None:
    village.consumer(f"off.{village.pin}")
    assert client.get(f"/jobs/meter/{village.meter.pk}/", {"key": wrong}).status_code == 403
    assert client.delete(f"/jobs/job/{village.job().pk}/?key={wrong}").status_code == 403
    assert village.job().state == "queued"
    assert "ml01" in SystemLog.objects.first().text


@pytest.mark.parametrize("path", ["/jobs/meter/999999/", "/jobs/meter/{meter}/"])
def test_a_meter_that_has_no_key_cannot_be_polled(
    client: Client, village: Village, path: str
) -> None:
    address = path.format(meter=village.meter.pk)
    assert client.get(address, {"key": ""}).status_code == 403


def test_another_meters_key_closes_nothing(client: Client, village: Village, key: str) -> None:
    other = Meter.objects.create(
        name="ml02", phone="+22370000009", communication_interface=village.interface
    )
    other_key = meter_key_set(meter=other)
    village.consumer(f"off.{village.pin}")
    answer = client.delete(f"/jobs/job/{village.job().pk}/?key={other_key}")
    assert answer.status_code == 403
    assert village.job().state == "queued"


def test_a_change_by_get_is_refused(client: Client, village: Village, key: str) -> None:
    assert client.get(f"/jobs/job/1/?key={key}").status_code == 405
