"""Values and jobs on their way to devices: rows that wait, handed to the broker, then marked.

Only the process that leases a device's shard sends to it, only while its lease is certain, and only
to an ODF whose topic the device has taken. A row is the work; a notice, an “online” and the clock
ring.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from django.db import Error as DatabaseError

from gridtalk.iottalk import topics
from gridtalk.iottalk.mqtt.control import Control, Member
from gridtalk.iottalk.mqtt.database import Database, Lane
from gridtalk.iottalk.mqtt.outbox import Outbox
from gridtalk.iottalk.notices import Notice
from gridtalk.iottalk.services.jobs_out import (
    DeviceJob,
    device_jobs_again,
    device_jobs_sent,
    device_jobs_take,
)
from gridtalk.iottalk.services.sends import (
    BATCH,
    WaitingSend,
    sends_done,
    sends_take,
    sends_waiting,
)
from gridtalk.iottalk.wire_mqtt import data_write
from gridtalk.messaging.interfaces.iottalk.wire import JOB_FEATURE

log = logging.getLogger(__name__)

LOOK_EVERY_S = 3.0
MOST_JOBS = 200
_CUT_OFF = "the connection to the device was cut off"
_RINGS = frozenset({Notice.SEND, Notice.BOUND})


class Sending:
    """Sends what waits for devices that are there."""

    def __init__(
        self, *, database: Database, outbox: Outbox, control: Control, certain: Callable[[], bool]
    ) -> None:
        self._database, self._outbox = database, outbox
        self._control, self._certain = control, certain
        self._due: set[int] = set()
        self._came: set[str] = set()
        self._woken = asyncio.Event()

    def ready(self, member: Member, came: bool) -> None:
        """A device, or one of its features, may be sent to."""
        if came:
            self._came.add(member.device.handle)
        self._due.add(member.device.id)
        self._woken.set()

    def notice(self, notice: Notice, device_id: int) -> None:
        """A row waits for that device."""
        if notice in _RINGS and device_id in self._control.members:
            self._due.add(device_id)
            self._woken.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            everybody = False
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._woken.wait()
            except TimeoutError:
                everybody = True
            self._woken.clear()
            due, self._due = self._due, set()
            try:
                await self._turn(set(self._control.members) if everybody else due)
            except DatabaseError as error:
                log.warning("what waits for devices could not be read or marked: %s", error)
                await asyncio.sleep(1)

    async def _turn(self, device_ids: set[int]) -> None:
        came, self._came = self._came, set()
        for handle in came:
            await self._database.run(Lane.SEND, device_jobs_again, handle=handle)
        ready = {
            device_id: (member, numbers)
            for device_id in device_ids
            if (member := self._control.members.get(device_id)) is not None
            and (numbers := member.ready())
        }
        if ready and self._certain():
            await self._send_values(ready)
            await self._send_jobs(ready)

    async def _send_values(self, ready: dict[int, tuple[Member, list[int]]]) -> None:
        waiting = await self._database.run(Lane.SEND, sends_waiting, device_ids=list(ready))
        features = [
            (device_id, number)
            for device_id, numbers in waiting.items()
            for number in numbers
            if number in ready[device_id][1]
        ]
        while features and self._certain():
            taken = await self._database.run(Lane.SEND, sends_take, features=features)
            sent = await self._deliver_values(taken)
            if sent:
                await self._database.run(Lane.SEND, sends_done, sent=sent)
            if len(sent) < BATCH:
                return  # all of them; or the broker is away, and the clock rings

    async def _deliver_values(self, taken: Sequence[WaitingSend]) -> list[WaitingSend]:
        messages = []
        for send in taken:
            member = self._control.members.get(send.device_id)
            if member is None or send.number not in member.ready():
                continue
            topic = topics.odf(member.device.shard, member.device.handle, send.number)
            messages.append((send, (topic, send.text.encode())))
        errors = await self._outbox.deliver([message for _, message in messages])
        return [send for (send, _), error in zip(messages, errors, strict=True) if not error]

    async def _send_jobs(self, ready: dict[int, tuple[Member, list[int]]]) -> None:
        ways = {
            member.device.handle: (member, number)
            for member, numbers in ready.values()
            for number in numbers
            if member.device.features[number].name == JOB_FEATURE
        }
        while ways and self._certain():
            jobs = await self._database.run(
                Lane.SEND, device_jobs_take, handles=list(ways), most=MOST_JOBS
            )
            if jobs:
                await self._deliver_jobs(jobs, ways)
            if len(jobs) < MOST_JOBS:
                return

    async def _deliver_jobs(
        self, jobs: Sequence[DeviceJob], ways: dict[str, tuple[Member, int]]
    ) -> None:
        outcomes: dict[str, list[DeviceJob]] = {}
        going, messages = [], []
        for job in jobs:
            member, number = ways[job.handle]
            if number in member.ready():
                topic = topics.odf(member.device.shard, member.device.handle, number)
                going.append(job)
                messages.append((topic, data_write(job.values)))
            else:
                # While they were read it left, or the broker began anew: it would not hear them.
                outcomes.setdefault(_CUT_OFF, []).append(job)
        errors = await self._outbox.deliver(messages)
        for job, error in zip(going, errors, strict=True):
            outcomes.setdefault(error, []).append(job)
        for error, taken in outcomes.items():
            await self._database.run(Lane.SEND, device_jobs_sent, taken=taken, error=error)
