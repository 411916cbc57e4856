"""The control topics of the shards of this process: sessions, and doing what they say.

Everything here runs in the event loop, in memory; the database is read and written in batches. What
could not be written is kept and written again: only the last state of each device counts.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import Error as DatabaseError

from gridtalk.core.errors import UserError
from gridtalk.iottalk import session as wire_session
from gridtalk.iottalk import topics
from gridtalk.iottalk.mqtt.database import Database, Lane
from gridtalk.iottalk.mqtt.notes import Floods, Notes
from gridtalk.iottalk.mqtt.outbox import Outbox
from gridtalk.iottalk.notices import Notice
from gridtalk.iottalk.services.directory import (
    KnownDevice,
    devices_by_handle,
    devices_by_id,
    devices_changed,
    devices_of_shards,
)
from gridtalk.iottalk.services.presence import (
    LinkChange,
    OnlineChange,
    devices_seen,
    presence_store,
)
from gridtalk.iottalk.session import Feature, Session
from gridtalk.iottalk.wire_mqtt import (
    ControlWord,
    connect_write,
    control_read,
    disconnect_write,
)

log = logging.getLogger(__name__)

TURN_S = 0.25
#: The net below the notices: rows that registered lately are compared with the sessions.
LOOK_EVERY_S = 5.0
LOOK_BACK_S = 60.0
#: A device answers CONNECT of up to 200 features; more than this is a flood.
MOST_A_SECOND = 250
#: Each “online” costs a CONNECT for every feature.
MOST_ONLINE = 10
ONLINE_WINDOW_S = 10.0
#: Devices that speak before we know them, and messages of each that are kept until we do.
MOST_STRANGERS = 10_000
MOST_EARLY = 4

Subscribe = Callable[[Collection[str]], Awaitable[None]]


@dataclass(slots=True)
class Member:
    """A device of our shards, its session, and what we send it by."""

    device: KnownDevice
    session: Session

    def ready(self) -> list[int]:
        """The numbers of the ODFs which may be sent to."""
        return [
            number
            for number, feature in self.device.features.items()
            if feature.kind == "odf" and self.session.may_receive(number)
        ]


class Control:
    """The sessions of the shards that this process leases.

    ``ready`` is called with a device of which one more feature may be sent to, and whether the
    device came anew.
    """

    def __init__(
        self,
        *,
        holder: str,
        database: Database,
        outbox: Outbox,
        notes: Notes,
        ready: Callable[[Member, bool], None],
    ) -> None:
        self.members: dict[int, Member] = {}
        self._holder, self._database = holder, database
        self._outbox, self._notes, self._ready = outbox, notes, ready
        self._by_handle: dict[str, Member] = {}
        self._shards: set[int] = set()
        self._new_shards: set[int] = set()
        self._reload: set[int] = set()
        self._strangers: dict[str, list[bytes]] = {}
        self._heard: set[int] = set()
        self._seen: dict[int, datetime] = {}
        self._changes: list[OnlineChange] = []
        self._links: dict[tuple[int, int], LinkChange] = {}
        self._subscribe: Subscribe | None = None
        self._unsubscribe: Subscribe | None = None
        self._woken = asyncio.Event()
        self._look_at = 0.0
        self._looked_at = time.time()
        self._floods = Floods(most=MOST_A_SECOND, window_s=1.0)
        self._onlines = Floods(most=MOST_ONLINE, window_s=ONLINE_WINDOW_S)

    # --- what comes from outside ----------------------------------------------------------------

    def is_loading(self) -> bool:
        """Whether devices of our shards are still to be read."""
        return bool(self._new_shards)

    def connecting(self) -> None:
        """A connection to the broker is being made: who may be sent to must answer again."""
        for member in self.members.values():
            self._do(member, member.session.cut_off())

    async def connected(self, subscribe: Subscribe, unsubscribe: Subscribe) -> None:
        """The broker is there, anew: hear all devices again."""
        self._subscribe, self._unsubscribe = subscribe, unsubscribe
        await subscribe([topics.control_in(shard, "+") for shard in sorted(self._shards)])
        now = time.time()
        for member in self.members.values():
            self._do(member, member.session.begun(now))

    def disconnected(self) -> None:
        """The broker is away; the devices' states stay as they are."""
        self._subscribe = self._unsubscribe = None

    def gained(self, shards: set[int]) -> None:
        """These shards are ours: load their devices, then hear them."""
        self._new_shards |= shards
        self._woken.set()

    async def lost(self, shards: set[int]) -> None:
        """These shards are no longer ours."""
        self._new_shards -= shards
        gone = self._shards & shards
        self._shards -= shards
        if gone and self._unsubscribe is not None:
            await self._unsubscribe([topics.control_in(shard, "+") for shard in sorted(gone)])
        await self._store()
        for member in [m for m in self.members.values() if m.device.shard in gone]:
            self._forget(member)

    def notice(self, notice: Notice, shard: int, device_id: int) -> None:
        """A row of a device of that shard changed."""
        if shard not in self._shards:
            return
        if notice in {Notice.REGISTERED, Notice.BOUND}:
            self._reload.add(device_id)
        elif notice is Notice.DATA:
            self._heard.add(device_id)
        self._woken.set()

    def look(self) -> None:
        """Notices may have been missed."""
        self._look_at = 0.0
        self._woken.set()

    def receive(self, topic: topics.Topic, payload: bytes) -> None:
        """A message on a control topic."""
        if not payload or topic.shard not in self._shards:
            return  # a retained message was cleared; or the shard was given away a moment ago
        now = time.time()
        handle = topic.handle
        if not self._floods.allows(handle, now):
            self._notes.add(handle, "flood", "too many control messages in a second; dropped")
            return
        member = self._by_handle.get(handle)
        if member is None:
            # It registered a moment ago, and the notice is under way; or it has gone.
            if handle in self._strangers or len(self._strangers) < MOST_STRANGERS:
                early = self._strangers.setdefault(handle, [])
                early.append(payload)
                del early[:-MOST_EARLY]
            self._woken.set()
            return
        if topic.shard != member.device.shard:
            self._notes.add(handle, "shard", "it wrote to a topic that is not its own; dropped")
            return
        self._hear(member, payload, now)

    def _hear(self, member: Member, payload: bytes, now: float) -> None:
        handle = member.device.handle
        self._seen[member.device.id] = datetime.fromtimestamp(now, UTC)
        try:
            read = control_read(payload)
        except UserError as error:
            self._notes.add(handle, "control", f"{error}; the message was dropped")
            return
        if not isinstance(read, ControlWord):
            self._do(member, member.session.answer(read.msg_id, error=read.error, now=now))
        elif read.state == "online" and not self._onlines.allows(handle, now):
            self._notes.add(handle, "online", "it says “online” again and again; dropped")
        else:
            self._do(member, member.session.word(read.state, rev=read.rev, now=now))

    # --- the loop -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                async with asyncio.timeout(TURN_S):
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()
            try:
                await self._turn()
            except DatabaseError as error:
                log.warning("the state of devices could not be read or written: %s", error)
                await asyncio.sleep(1)

    async def _turn(self) -> None:
        if self._new_shards and self._subscribe is not None:
            await self._load(set(self._new_shards), self._subscribe)
        now = time.time()
        if now >= self._look_at + LOOK_EVERY_S and self._shards:
            self._look_at = now
            await self._look()
            if self._seen:
                seen, self._seen = self._seen, {}
                await self._database.run(Lane.CONTROL, devices_seen, seen=seen)
        await self._reread()
        await self._take_data()
        now = time.time()
        for member in [m for m in self.members.values() if m.session.due <= now]:
            self._do(member, member.session.tick(now))
        await self._store()

    async def _load(self, shards: set[int], subscribe: Subscribe) -> None:
        devices = await self._database.run(Lane.CONTROL, devices_of_shards, shards=shards)
        shards &= self._new_shards  # some may have been lost meanwhile
        self._new_shards -= shards
        self._shards |= shards
        for device in devices:
            if device.shard in shards:
                self._begin(device)
        # The retained messages that come now tell who is online.
        await subscribe([topics.control_in(shard, "+") for shard in sorted(shards)])

    def _begin(self, device: KnownDevice) -> None:
        session = Session(
            prefix=f"{self._holder[-8:]}-{device.id}-{int(time.time() * 1000):x}",
            rev=device.rev,
            features=_features(device),
            online=device.online,
            registered_at=device.registered_at.timestamp(),
        )
        member = self.members[device.id] = self._by_handle[device.handle] = Member(device, session)
        self._do(member, session.begun(time.time()))

    def _forget(self, member: Member) -> None:
        self.members.pop(member.device.id, None)
        self._by_handle.pop(member.device.handle, None)

    async def _look(self) -> None:
        now = time.time()
        within_s = LOOK_BACK_S + now - self._looked_at
        changed = await self._database.run(
            Lane.CONTROL, devices_changed, shards=self._shards, within_s=within_s
        )
        self._looked_at = now
        for device_id, rev in changed.items():
            member = self.members.get(device_id)
            if (member.session.rev if member else "") != rev:
                self._reload.add(device_id)

    async def _reread(self) -> None:
        """Read the rows of devices that registered, left, or said an unknown revision."""
        ids, handles = set(self._reload), set(self._strangers)
        devices: dict[int, KnownDevice] = {}
        if ids:
            devices |= await self._database.run(Lane.CONTROL, devices_by_id, ids=ids)
        if handles:
            found = await self._database.run(Lane.CONTROL, devices_by_handle, handles=handles)
            devices |= {device.id: device for device in found.values()}
        self._reload -= ids
        now = time.time()
        for device in devices.values():
            if device.shard in self._shards:
                self._registered(device, now)
        for handle in handles:
            early = self._strangers.pop(handle)
            if (member := self._by_handle.get(handle)) is not None:
                for payload in early:
                    self._hear(member, payload, now)
        for device_id in ids - devices.keys():
            if (member := self.members.get(device_id)) is not None:
                # Its row was deleted: sent away, and its word, that the broker keeps, is cleared.
                self._do(member, member.session.deregistered(now))

    def _registered(self, device: KnownDevice, now: float) -> None:
        member = self.members.get(device.id)
        if device.deregistered_at is not None:
            if member is not None:
                self._do(member, member.session.deregistered(now))
            return
        if member is None:
            self._begin(device)
            return
        member.device = device
        out = member.session.registered(
            rev=device.rev,
            features=_features(device),
            registered_at=device.registered_at.timestamp(),
            now=now,
        )
        self._do(member, out)

    async def _take_data(self) -> None:
        """Data came of devices that were not known to be there: see of which features, and when."""
        if not self._heard:
            return
        ids = set(self._heard)
        devices = await self._database.run(Lane.CONTROL, devices_by_id, ids=ids)
        self._heard -= ids
        now = time.time()
        for device_id, device in devices.items():
            member = self.members.get(device_id)
            if member is None or member.session.rev != device.rev:
                continue
            for feature in device.features.values():
                if feature.kind == "idf" and feature.last_at is not None:
                    at = feature.last_at.timestamp()
                    self._do(member, member.session.data(feature.number, at=at, now=now))

    # --- doing what the sessions say ------------------------------------------------------------

    def _do(self, member: Member, out: list[wire_session.Output]) -> None:
        device = member.device
        ready = came = False
        for one in out:
            match one:
                case wire_session.Connect(feature, msg_id):
                    self._connect(device, feature, msg_id)
                case wire_session.Disconnect(feature, msg_id):
                    command = disconnect_write(kind=feature.kind, name=feature.name, msg_id=msg_id)
                    self._outbox.put(
                        topics.control_out(device.shard, device.handle), command, qos=2
                    )
                case wire_session.Online(online, why):
                    at = datetime.now(UTC)
                    self._changes.append(OnlineChange(device.id, online, at, why))
                case wire_session.Linked(number, state, reason):
                    self._links[(device.id, number)] = LinkChange(device.id, number, state, reason)
                    ready |= state == "ok"
                case wire_session.DropRetained():
                    topic = topics.control_in(device.shard, device.handle)
                    self._outbox.put(topic, b"", qos=1, retain=True)
                case wire_session.LookAgain():
                    self._reload.add(device.id)
                    self._woken.set()
                case wire_session.Came():
                    came = True
                case wire_session.Gone():
                    self._forget(member)
        if ready or came:
            self._ready(member, came)

    def _connect(self, device: KnownDevice, feature: Feature, msg_id: str) -> None:
        make = topics.idf if feature.kind == "idf" else topics.odf
        command = connect_write(
            kind=feature.kind,
            name=feature.name,
            topic=make(device.shard, device.handle, feature.number),
            msg_id=msg_id,
        )
        self._outbox.put(topics.control_out(device.shard, device.handle), command, qos=2)

    async def _store(self) -> None:
        if not self._changes and not self._links:
            return
        changes, links = self._changes, self._links
        self._changes, self._links = [], {}
        try:
            await self._database.run(
                Lane.CONTROL,
                presence_store,
                holder=self._holder,
                changes=changes,
                links=list(links.values()),
            )
        except DatabaseError:
            # Kept for the next turn; what came meanwhile is newer.
            self._changes = changes + self._changes
            self._links = links | self._links
            raise


def _features(device: KnownDevice) -> list[Feature]:
    return [
        Feature(feature.number, "idf" if feature.kind == "idf" else "odf", feature.name)
        for feature in device.features.values()
    ]
