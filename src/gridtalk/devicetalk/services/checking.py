"""Checking a device's code before it is downloaded: asked for here, done by a worker.

The task is enqueued in the transaction which stores the check; its queue is its own, and no more
than ``CHECKS_AT_ONCE`` run at a time (procrastinate's locks), so that messages never wait for a
compiler.
"""

import logging
import re
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from procrastinate.contrib.django import app

from gridtalk.core import clock
from gridtalk.core.errors import NotFound, TooMany
from gridtalk.core.events import events_notify
from gridtalk.devicetalk import config, engine, render, selectors, tree
from gridtalk.devicetalk.check import sandbox, tools
from gridtalk.devicetalk.check.messages import Message, problem_messages
from gridtalk.devicetalk.models import Device, DeviceCheck
from gridtalk.users.models import User

log = logging.getLogger(__name__)

TASK = "gridtalk.devicetalk.check"
QUEUE = "checks"
#: Behind all other tasks, where a worker could take either.
PRIORITY = -10
#: Of one user, waiting or running.
MOST_WAITING = 10
#: After so many killed workers the check is given up: it may be what killed them.
MOST_ATTEMPTS = 3
#: Of one device; older ones are removed.
KEPT = 10
#: A check that has waited or run so long is begun again when it is asked for.
STALE = timedelta(minutes=15)
State = DeviceCheck.State


@dataclass(frozen=True)
class _Material:
    """All that a device's code is made from, and its version."""

    basic_file: config.BasicFile
    device: tree.Device
    libraries: tuple[tree.Library, ...]
    version: str


@dataclass(frozen=True)
class _Result:
    state: str
    summary: str
    messages: tuple[Message, ...] = field(default=())
    tool: str = ""
    isolation: str = ""


def device_check_start(*, user: User | None, device: Device, again: bool = False) -> DeviceCheck:
    """Have the device's present version checked; the same version's result is used again.

    A check that was skipped or broken is made again, and with ``again`` any that is finished.
    Raises :class:`NotFound` where the user does not see the device, :class:`TooMany` where they
    have too many checks under way, :class:`~gridtalk.devicetalk.tree.InvalidTree` where its basic
    file is no longer valid.
    """
    device = selectors.device_get(user=user, device_id=device.pk)
    version = _material(device).version
    with transaction.atomic():
        check, is_new = DeviceCheck.objects.get_or_create(
            device=device, version=version, defaults={"user": user}
        )
        check = DeviceCheck.objects.select_for_update().get(pk=check.pk)
        if not is_new and not _is_due(check, again=again):
            return check
        waiting = DeviceCheck.objects.filter(user=user, state__in=[State.QUEUED, State.RUNNING])
        if user is not None and waiting.exclude(pk=check.pk).count() >= MOST_WAITING:
            raise TooMany(f"{MOST_WAITING} of your devices are being checked; wait for one of them")
        check.user, check.state, check.attempts = user, State.QUEUED, 0
        check.created_at, check.started_at, check.finished_at = clock.now(), None, None
        check.summary, check.messages, check.tool, check.isolation = "", [], "", ""
        check.save()
        kept = device.checks.order_by("-created_at", "-pk").values("pk")[:KEPT]
        device.checks.exclude(pk__in=list(kept.values_list("pk", flat=True))).delete()
        app.configure_task(
            TASK,
            queue=QUEUE,
            priority=PRIORITY,
            lock=f"{TASK}.{check.pk % settings.CHECKS_AT_ONCE}",
        ).defer(check_id=check.pk)
    return check


def _is_due(check: DeviceCheck, *, again: bool) -> bool:
    """Whether a check that is there already is to be made once more."""
    if check.is_finished:
        return again or check.state in {State.SKIPPED, State.BROKEN}
    return (check.started_at or check.created_at) < clock.now() - STALE


def device_check_get(*, user: User | None, check_id: int) -> DeviceCheck:
    """A check of a device that the user sees; :class:`NotFound` for all others."""
    check = DeviceCheck.objects.select_related("device").filter(pk=check_id).first()
    if check is None:
        raise NotFound("there is no such check, or it is not yours")
    selectors.device_get(user=user, device_id=check.device_id)
    return check


def check_topic(check_id: int) -> str:
    """The topic of a check: told when it begins and when it ends."""
    return f"check:{check_id}"


def device_check_current(*, device: Device) -> DeviceCheck | None:
    """The check of the device's present version; None where it was not asked for.

    Raises :class:`~gridtalk.devicetalk.tree.InvalidTree` as :func:`device_check_start`.
    """
    return device.checks.filter(version=_material(device).version).first()


def device_check_run(*, check_id: int) -> None:
    """Make a check: the task's whole work. Nothing happens where it is finished or gone.

    What is wrong with the code is stored; only a fault of ours is raised, after it was stored too.
    """
    with transaction.atomic():
        rows = DeviceCheck.objects.select_for_update(of=("self",)).select_related("device")
        check = rows.filter(pk=check_id).first()
        if check is None or check.is_finished:
            return
        check.attempts += 1
        check.state, check.started_at = State.RUNNING, clock.now()
        check.save(update_fields=["attempts", "state", "started_at"])
        events_notify([check_topic(check.pk)])
    if check.attempts > MOST_ATTEMPTS:
        _finish(check, _Result(State.BROKEN, "the server was stopped each time it checked this"))
        return
    try:
        result = _result(check)
    except Exception:
        _finish(check, _Result(State.BROKEN, "the check itself failed; the server's log says why"))
        raise
    _finish(check, result)


def _result(check: DeviceCheck) -> _Result:
    try:
        material = _material(check.device)
        if material.version != check.version:
            summary = "not checked: the device was changed meanwhile; check it again"
            return _Result(State.SKIPPED, summary)
        plain = replace(material.device, device_address=_masked(material.device.device_address))
        rendered = render.device_render(
            basic_file=material.basic_file, device=plain, libraries=material.libraries
        )
    except tree.InvalidTree as error:
        messages = problem_messages(error.problems)
        return _Result(State.FAILED, f"failed: {error.title}", messages)
    try:
        outcome = tools.rendered_check(
            basic_file=material.basic_file,
            device=plain,
            rendered=rendered,
            policy=_policy(),
        )
    except sandbox.SandboxFailed as error:
        log.error("check %s: the sandbox did not start: %s", check.pk, error)
        return _Result(State.BROKEN, f"the server could not check it: {error}")
    return _Result(
        outcome.state, outcome.summary, outcome.messages, outcome.tool, outcome.isolation
    )


def _finish(check: DeviceCheck, result: _Result) -> None:
    """Store the result, unless the check was begun anew meanwhile."""
    DeviceCheck.objects.filter(
        pk=check.pk, state=State.RUNNING, attempts=check.attempts, created_at=check.created_at
    ).update(
        state=result.state,
        summary=result.summary,
        messages=[asdict(message) for message in result.messages],
        tool=result.tool,
        isolation=result.isolation,
        finished_at=clock.now(),
    )
    events_notify([check_topic(check.pk)])


def _masked(address: str) -> str:
    """An address of that shape: what a check says is shown to more people than the address is."""
    return re.sub("[0-9A-Za-z]", "0", address)


def _material(device: Device) -> _Material:
    basic_file = engine.basic_file_load(device.basic_file)
    plain, libraries = engine.device_load(device), engine.libraries_load(device)
    version = render.device_version(basic_file, plain, libraries)
    return _Material(basic_file, plain, libraries, version)


def _policy() -> tools.Policy:
    limits = sandbox.Limits(
        seconds=settings.CHECK_SECONDS,
        cpu_s=settings.CHECK_SECONDS,
        memory_bytes=settings.CHECK_MEMORY_MB * 2**20,
    )
    return tools.Policy(limits, without_bubblewrap=settings.CHECK_WITHOUT_BUBBLEWRAP)
