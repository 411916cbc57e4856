"""Checks of devices: asked for once a version, done by the task, told of the user's lines."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import transaction
from procrastinate.contrib.django.models import ProcrastinateJob

from gridtalk.core import clock
from gridtalk.core.errors import NotFound, TooMany
from gridtalk.devicetalk.check import sandbox, tools
from gridtalk.devicetalk.models import BasicFile, Device, DeviceCheck
from gridtalk.devicetalk.services import checking
from gridtalk.devicetalk.services.device_spec import spec_of
from gridtalk.devicetalk.services.devices import device_delete, device_save
from gridtalk.devicetalk.tasks import check as task
from gridtalk.devicetalk.testing import (
    basic_file_make,
    device_make,
    df_make,
    function_make,
    spec_make,
    user_make,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def basic_file() -> BasicFile:
    return basic_file_make()


def waiting() -> list[dict[str, Any]]:
    rows = ProcrastinateJob.objects.filter(queue_name=checking.QUEUE, status="todo")
    return [row.args for row in rows.order_by("pk")]


def checked(device: Device) -> DeviceCheck:
    started = checking.device_check_start(user=None, device=device)
    task(check_id=started.pk)
    return checking.device_check_get(user=None, check_id=started.pk)


def device_of(basic_file: BasicFile, *lines: str, var_setup: str = "pin = 1") -> Device:
    function = function_make(basic_file, "read", *lines)
    df = df_make("Light-I", function, var_setup)
    return device_save(user=None, spec=spec_make(basic_file, df)).device


def test_a_check_is_asked_for_in_the_transaction_and_done_by_the_task(
    basic_file: BasicFile,
) -> None:
    device = device_of(basic_file, var_setup="")
    with transaction.atomic():
        checking.device_check_start(user=None, device=device)
        transaction.set_rollback(True)
    assert (waiting(), DeviceCheck.objects.count()) == ([], 0)
    check = checking.device_check_start(user=None, device=device)
    assert (check.state, waiting()) == ("queued", [{"check_id": check.pk}])
    job = ProcrastinateJob.objects.get(queue_name=checking.QUEUE)
    assert (job.lock, job.queueing_lock, job.priority) == (f"{checking.TASK}.0", None, -10)
    task(check_id=check.pk)
    check.refresh_from_db()
    assert (check.state, check.messages, check.is_finished) == ("passed", [], True)
    assert check.summary == "passed: nothing to remark"
    assert check.started_at is not None
    assert check.finished_at is not None


def test_open_pages_are_told(basic_file: BasicFile, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, list[str]]] = []

    def notify(topics: list[str]) -> None:
        told.append((DeviceCheck.objects.get().state, topics))

    monkeypatch.setattr(checking, "events_notify", notify)
    check = checked(device_of(basic_file))
    topics = [checking.check_topic(check.pk)]
    assert told == [("running", topics), ("passed", topics)]


def test_the_address_is_not_in_what_is_checked(
    basic_file: BasicFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All who see the device see its check: what a compiler quotes is not the meter's key."""
    basic_file_make(**{"sa.py": b"address = {{ da.device_addr | pystr }}\n"})
    device = device_of(basic_file)
    seen: list[str] = []
    check_it = tools.rendered_check

    def rendered_check(**given: Any) -> tools.Outcome:
        seen.append(given["rendered"].files["sa.py"].decode() + given["device"].device_address)
        return check_it(**given)

    monkeypatch.setattr(tools, "rendered_check", rendered_check)
    check = checked(device)
    assert check.version == checking.device_check_current(device=device).version
    [text] = seen
    assert text.count("00000000-0000-0000-0000-000000000000") == 2
    assert device.device_address not in text


def test_messages_tell_of_the_users_lines(basic_file: BasicFile) -> None:
    check = checked(device_of(basic_file, "    x = undefined", var_setup="pin = nothing\ny = 1"))
    assert check.state == "failed"
    errors = [one for one in check.messages if one["severity"] == "error"]
    places = [
        (one["function"], one["df"], one["part"], one["function_line"], one["path"], one["line"])
        for one in errors
    ]
    assert places == [
        ("read", "Light-I", "var_setup", 1, "sa.py", 3),
        ("read", "Light-I", "code", 3, "sa.py", 5),
    ]
    assert [one["text"] for one in errors] == [
        "undefined name 'nothing'",
        "undefined name 'undefined'",
    ]


def test_the_same_version_is_checked_once(basic_file: BasicFile) -> None:
    device = device_of(basic_file)
    first = checking.device_check_start(user=None, device=device)
    assert checking.device_check_start(user=None, device=device) == first
    assert len(waiting()) == 1
    task(check_id=first.pk)
    # Saved again without a change: the same version.
    device = device_save(user=None, spec=spec_of(device), device=device).device
    again = checking.device_check_start(user=None, device=device)
    assert (again.pk, again.state, len(waiting())) == (first.pk, "passed", 1)
    assert checking.device_check_current(device=device) == first
    wanted = checking.device_check_start(user=None, device=device, again=True)
    assert (wanted.pk, wanted.state, len(waiting())) == (first.pk, "queued", 2)
    device = device_save(
        user=None, spec=replace(spec_of(device), global_var_setup="x = 1"), device=device
    ).device
    assert checking.device_check_current(device=device) is None
    assert checking.device_check_start(user=None, device=device).pk != first.pk


def test_a_device_that_changes_meanwhile_is_not_said_to_have_passed(basic_file: BasicFile) -> None:
    device = device_of(basic_file)
    check = checking.device_check_start(user=None, device=device)
    device_save(user=None, spec=replace(spec_of(device), global_var_setup="x"), device=device)
    task(check_id=check.pk)
    check.refresh_from_db()
    assert (check.state, check.summary.split(";")[0]) == (
        "skipped",
        "not checked: the device was changed meanwhile",
    )


def test_a_device_without_features_in_use_has_failed(basic_file: BasicFile) -> None:
    check = checked(device_save(user=None, spec=spec_make(basic_file, df_make("Light"))).device)
    assert check.state == "failed"
    assert check.messages[0]["text"] == "none is in use; choose at least one"


@pytest.mark.parametrize("state", ["skipped", "broken"])
def test_what_had_no_result_is_checked_again(basic_file: BasicFile, state: str) -> None:
    device = device_of(basic_file)
    check = checking.device_check_start(user=None, device=device)
    DeviceCheck.objects.update(state=state, summary="no", attempts=3)
    again = checking.device_check_start(user=None, device=device)
    assert (again.pk, again.state, again.summary, again.attempts) == (check.pk, "queued", "", 0)


def test_a_fault_of_ours_is_stored_and_raised(
    basic_file: BasicFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(tools, "rendered_check", fail)
    device = device_of(basic_file)
    with pytest.raises(ZeroDivisionError):
        checked(device)
    check = DeviceCheck.objects.get()
    assert (check.state, check.summary) == (
        "broken",
        "the check itself failed; the server's log says why",
    )


def test_a_sandbox_that_does_not_start_is_stored(
    basic_file: BasicFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> Any:
        raise sandbox.SandboxFailed("no room")

    monkeypatch.setattr(tools, "rendered_check", fail)
    check = checked(device_of(basic_file))
    assert (check.state, check.summary) == ("broken", "the server could not check it: no room")


def test_a_killed_worker_is_followed_by_another_but_not_for_ever(
    basic_file: BasicFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(**_: Any) -> Any:
        raise SystemExit

    device = device_of(basic_file)
    check = checking.device_check_start(user=None, device=device)
    with monkeypatch.context() as patched:
        patched.setattr(tools, "rendered_check", killed)
        for _ in range(checking.MOST_ATTEMPTS):
            with pytest.raises(SystemExit):
                task(check_id=check.pk)
            check.refresh_from_db()
            assert check.state == "running"
    task(check_id=check.pk)
    check.refresh_from_db()
    assert check.state == "broken"
    task(check_id=check.pk)  # a task that comes late changes nothing
    assert DeviceCheck.objects.get().attempts == checking.MOST_ATTEMPTS + 1


def test_a_check_whose_task_was_lost_is_begun_again(basic_file: BasicFile) -> None:
    device = device_of(basic_file)
    checking.device_check_start(user=None, device=device)
    with time_machine.travel(clock.now() + checking.STALE - timedelta(seconds=9), tick=False):
        checking.device_check_start(user=None, device=device)
        assert len(waiting()) == 1
    with time_machine.travel(clock.now() + checking.STALE + timedelta(seconds=9), tick=False):
        checking.device_check_start(user=None, device=device)
    assert len(waiting()) == 2


def test_a_late_result_does_not_overwrite_a_newer_check(
    basic_file: BasicFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = device_of(basic_file)
    check = checking.device_check_start(user=None, device=device)

    def slow(**_: Any) -> tools.Outcome:
        DeviceCheck.objects.update(started_at=clock.now() - timedelta(hours=1))
        again = checking.device_check_start(user=None, device=device)
        assert again.state == "queued"
        return tools.Outcome("failed", "late")

    monkeypatch.setattr(tools, "rendered_check", slow)
    task(check_id=check.pk)
    check.refresh_from_db()
    assert (check.state, check.summary) == ("queued", "")


def test_whose_checks_they_are(basic_file: BasicFile) -> None:
    amina, badou = user_make("amina"), user_make("badou")
    device = device_make(basic_file, user=amina)
    check = checking.device_check_start(user=amina, device=device)
    assert checking.device_check_get(user=amina, check_id=check.pk) == check
    for wrong in (lambda: checking.device_check_get(user=badou, check_id=check.pk),
                  lambda: checking.device_check_start(user=badou, device=device),
                  lambda: checking.device_check_get(user=amina, check_id=0)):  # fmt: skip
        with pytest.raises(NotFound, match="or it is not yours"):
            wrong()


def test_one_user_does_not_fill_the_queue(basic_file: BasicFile) -> None:
    amina = user_make("amina")
    devices = [device_make(basic_file, user=amina, name=f"d{n}") for n in range(11)]
    for device in devices[:10]:
        checking.device_check_start(user=amina, device=device)
    checking.device_check_start(user=amina, device=devices[0])  # the one that waits already
    with pytest.raises(TooMany, match="10 of your devices"):
        checking.device_check_start(user=amina, device=devices[10])
    assert not devices[10].checks.exists()


def test_old_checks_go_and_all_with_the_device(basic_file: BasicFile) -> None:
    device = device_of(basic_file)
    for number in range(13):
        DeviceCheck.objects.create(
            device=device, version=f"v{number}", state="passed",
            created_at=clock.now() - timedelta(days=20 - number),
        )  # fmt: skip
    check = checking.device_check_start(user=None, device=device)
    left = set(device.checks.values_list("version", flat=True))
    assert left == {check.version, *(f"v{number}" for number in range(4, 13))}
    device_delete(user=None, device=device)
    assert not DeviceCheck.objects.exists()
    task(check_id=check.pk)  # its task finds nothing to do
