"""Sessions behind control topics, and what goes to devices: without database and broker."""

import asyncio
import json
import time
from collections.abc import Callable, Collection, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError

from gridtalk.iottalk import topics
from gridtalk.iottalk.mqtt.conftest import FakeDatabase, ListOutbox
from gridtalk.iottalk.mqtt.control import MOST_A_SECOND, MOST_ONLINE, Control, Member
from gridtalk.iottalk.mqtt.notes import Notes
from gridtalk.iottalk.mqtt.sending import Sending
from gridtalk.iottalk.notices import Notice
from gridtalk.iottalk.services.directory import KnownDevice, KnownFeature
from gridtalk.iottalk.services.jobs_out import DeviceJob
from gridtalk.iottalk.services.sends import WaitingSend
from gridtalk.iottalk.session import GRACE_S

SHARD = 3


def known(device_id: int = 1, *, rev: str = "r1", online: bool = False) -> KnownDevice:
    """A device with an input and two outputs."""
    features = [
        KnownFeature(10, 1, "idf", "Sensor-I", "new", None),
        KnownFeature(11, 2, "odf", "Lamp-O", "new", None),
        KnownFeature(12, 3, "odf", "Job-O", "new", None),
    ]
    return KnownDevice(
        id=device_id, handle=f"d{device_id}", shard=SHARD, name="x", rev=rev, online=online,
        meter_id=5, registered_at=datetime.now(UTC) - timedelta(hours=1), deregistered_at=None,
        features={feature.number: feature for feature in features},
    )  # fmt: skip


class World:
    """One process: its control and its sending, rows in dicts, messages in lists."""

    def __init__(self, outbox: ListOutbox) -> None:
        self.outbox, self.database, self.notes = outbox, FakeDatabase(), Notes()
        self.rows: dict[int, KnownDevice] = {}
        self.subscribed: set[str] = set()
        self.certain = True
        self.control = Control(
            holder="me", database=self.database, outbox=outbox, notes=self.notes, ready=self.ready
        )
        self.sending = Sending(
            database=self.database, outbox=outbox, control=self.control,
            certain=lambda: self.certain,
        )  # fmt: skip
        self.database.answers = {
            "devices_of_shards": lambda *, shards: list(self.rows.values()),
            "devices_by_id": lambda *, ids: {i: self.rows[i] for i in ids if i in self.rows},
            "devices_by_handle": lambda *, handles: {
                row.handle: row for row in self.rows.values() if row.handle in handles
            },
            "devices_changed": lambda *, shards, within_s: {},
            "sends_waiting": lambda *, device_ids: {},
            "device_jobs_take": lambda *, handles, most: [],
        }

    def ready(self, member: Member, came: bool) -> None:
        self.sending.ready(member, came)

    async def subscribe(self, filters: Collection[str]) -> None:
        self.subscribed |= set(filters)

    async def unsubscribe(self, filters: Collection[str]) -> None:
        self.subscribed -= set(filters)

    async def begin(self, *rows: KnownDevice) -> None:
        self.rows = {row.id: row for row in rows}
        await self.control.connected(self.subscribe, self.unsubscribe)
        self.control.gained({SHARD})
        await self.control._turn()

    def say(self, body: Any, device_id: int = 1, shard: int = SHARD) -> None:
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.control.receive(topics.Topic(shard, f"d{device_id}", "ci", -1), payload)

    def online(self, rev: str = "r1") -> None:
        self.say({"state": "online", "rev": rev})

    def answer_all(self) -> None:
        for command in self.commands():
            self.say({"msg_id": command["msg_id"], "state": "ok"})

    def commands(self) -> list[dict[str, str]]:
        """The CONNECTs that went out; they are taken."""
        found = [json.loads(p) for t, p, _, _ in self.outbox.sent if t.endswith("/co")]
        self.outbox.sent = [one for one in self.outbox.sent if not one[0].endswith("/co")]
        return found

    def stored(self) -> list[tuple[Any, Any]]:
        """What was written of presence."""
        return [
            ([c.online for c in kw["changes"]], {(x.number, x.state) for x in kw["links"]})
            for name, kw in self.database.calls
            if name == "presence_store"
        ]

    def told(self) -> list[str]:
        return [remark.text for remark in self.notes.due(time.monotonic())]


Play = Callable[[Callable[[World], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def play(outbox: ListOutbox) -> Play:
    """Runs a story in an event loop."""

    def run(story: Callable[[World], Coroutine[Any, Any, None]]) -> None:
        async def begin() -> None:
            await story(World(outbox))

        asyncio.run(begin())

    return run


def test_a_device_is_connected_and_its_state_stored(play: Play) -> None:
    async def story(world: World) -> None:
        await world.begin(known())
        assert world.subscribed == {"gt/3/+/ci"}
        world.online()
        (_, _, qos, retain), *_ = world.outbox.sent
        assert (qos, retain) == (2, False)
        commands = world.commands()
        assert [(c["command"], c["topic"]) for c in commands] == [
            ("CONNECT", "gt/3/d1/i/1"), ("CONNECT", "gt/3/d1/o/2"), ("CONNECT", "gt/3/d1/o/3"),
        ]  # fmt: skip
        assert len({c["msg_id"] for c in commands}) == 3
        world.say({"msg_id": commands[1]["msg_id"], "state": "ok"})
        await world.control._turn()
        assert world.stored() == [([True], {(1, "asked"), (2, "ok"), (3, "asked")})]

    play(story)


def test_a_device_that_speaks_before_its_registration_is_known(play: Play) -> None:
    """Its word is kept until its row was read; so is a word under a new revision."""

    async def story(world: World) -> None:
        await world.begin()
        world.online()
        world.rows[1] = known()
        await world.control._turn()
        assert len(world.commands()) == 3
        world.online("r2")
        assert world.commands() == []
        world.rows[1] = known(rev="r2")
        await world.control._turn()
        assert len(world.commands()) == 3

    play(story)


def test_a_retained_word_of_a_past_registration_is_dropped(play: Play) -> None:
    async def story(world: World) -> None:
        await world.begin(known())
        world.rows[1] = known(rev="r2")
        world.control.notice(Notice.REGISTERED, SHARD, 1)
        await world.control._turn()
        assert ("gt/3/d1/ci", b"", 1, True) in world.outbox.sent

    play(story)


@pytest.mark.parametrize("online", [True, False])
def test_a_device_that_is_forgotten_is_sent_away(play: Play, online: bool) -> None:
    """Its row is gone: it hears DISCONNECT where it is there, and its retained word is cleared."""

    async def story(world: World) -> None:
        await world.begin(known())
        if online:
            world.online()
            world.answer_all()
        world.outbox.sent.clear()
        del world.rows[1]
        world.control.notice(Notice.REGISTERED, SHARD, 1)
        await world.control._turn()
        if online:
            world.control.members[1].session._leave_at -= GRACE_S
            world.control.members[1].session.due = 0.0
            await world.control._turn()
        assert [c["command"] for c in world.commands()] == ["DISCONNECT"] * (3 if online else 0)
        assert world.outbox.sent == [("gt/3/d1/ci", b"", 1, True)]
        assert world.control.members == {}

    play(story)


def test_what_cannot_be_read_is_noted(play: Play) -> None:
    async def story(world: World) -> None:
        await world.begin(known())
        for body in (b"{", b"\xff", [1], {"state": "up"}, {"state": "online"}, {"msg_id": 1}):
            world.say(body)
        world.say({"state": "online", "rev": "r1"}, shard=SHARD + 1)
        world.say(b"")
        assert world.commands() == []
        assert "(6 messages)" in world.told()[0]

    play(story)


def test_floods_of_control_messages_are_cut_off(play: Play) -> None:
    """Each “online” would cost a CONNECT for every feature."""

    async def story(world: World) -> None:
        await world.begin(known())
        for _ in range(MOST_A_SECOND + 10):
            world.online()
        assert len(world.commands()) == 3 * MOST_ONLINE
        assert len(world.told()) == 2

    play(story)


def test_what_could_not_be_stored_is_stored_later(play: Play) -> None:
    async def story(world: World) -> None:
        await world.begin(known())
        world.online()
        world.database.away = OperationalError("gone")
        with pytest.raises(OperationalError):
            await world.control._turn()
        world.answer_all()
        world.database.away = None
        await world.control._turn()
        assert world.stored() == [([True], {(1, "ok"), (2, "ok"), (3, "ok")})]

    play(story)


def test_a_shard_that_was_given_away_is_no_longer_heard(play: Play) -> None:
    async def story(world: World) -> None:
        await world.begin(known())
        await world.control.lost({SHARD})
        assert world.subscribed == set()
        world.online()
        await world.control._turn()
        assert world.commands() == []
        assert world.control.members == {}

    play(story)


def test_a_new_connection_hears_all_devices_again(play: Play) -> None:
    async def story(world: World) -> None:
        await world.begin(known(online=True))
        world.control.disconnected()
        world.subscribed.clear()
        await world.control.connected(world.subscribe, world.unsubscribe)
        assert world.subscribed == {"gt/3/+/ci"}
        assert world.stored() == [], "nobody is offline for it"

    play(story)


# --- sending -------------------------------------------------------------------------------------

SEND = WaitingSend(send_id=1, feature_id=11, device_id=1, number=2, text="[5]")
JOB = DeviceJob(message_id=7, attempts=1, handle="d1", values=["con", 9], interface_id=1)


def rows_wait(world: World) -> None:
    """A value and a job wait for the device."""
    world.database.answers["sends_waiting"] = lambda *, device_ids: {1: [2]}
    world.database.answers["sends_take"] = lambda *, features: [SEND]
    world.database.answers["device_jobs_take"] = lambda *, handles, most: [JOB]


def outcomes(world: World) -> list[Any]:
    """What was written of sendings."""
    return [
        (name, list(kw.values()))
        for name, kw in world.database.calls
        if name in {"sends_done", "device_jobs_sent"}
    ]


@pytest.mark.parametrize(
    ("label", "online", "answered", "certain", "sent"),
    [
        ("all is ready", True, True, True, True),
        ("the device is away", False, False, True, False),
        ("it has not answered CONNECT", True, False, True, False),
        ("our lease is not certain", True, True, False, False),
    ],
)
def test_rows_are_sent_when_all_is_ready(
    play: Play, label: str, online: bool, answered: bool, certain: bool, sent: bool
) -> None:
    async def story(world: World) -> None:
        await world.begin(known())
        rows_wait(world)
        world.certain = certain
        if online:
            world.online()
        if answered:
            world.answer_all()
        world.outbox.sent.clear()
        await world.sending._turn({1})
        expected = [
            ("gt/3/d1/o/2", b"[5]", 1, False), ("gt/3/d1/o/3", b'["con", 9]', 1, False),
        ]  # fmt: skip
        assert world.outbox.sent == (expected if sent else []), label
        marked = [("sends_done", [[SEND]]), ("device_jobs_sent", [[JOB], ""])]
        assert outcomes(world) == (marked if sent else []), label

    play(story)


def test_what_the_broker_did_not_take_waits(play: Play) -> None:
    """A value stays queued; a job's message is told why."""

    async def story(world: World) -> None:
        await world.begin(known())
        rows_wait(world)
        world.online()
        world.answer_all()
        world.outbox.error = "the MQTT broker is away"
        await world.sending._turn({1})
        assert outcomes(world) == [("device_jobs_sent", [[JOB], "the MQTT broker is away"])]

    play(story)


def test_nothing_is_lost_in_a_broker_that_began_anew(play: Play) -> None:
    """It has forgotten the device's topics: values and jobs wait for the answer to CONNECT."""

    async def story(world: World) -> None:
        await world.begin(known())
        rows_wait(world)
        world.online()
        world.answer_all()
        world.control.disconnected()
        world.control.connecting()
        world.outbox.sent.clear()
        await world.sending._turn({1})
        await world.control.connected(world.subscribe, world.unsubscribe)
        await world.sending._turn({1})
        assert (world.outbox.sent, outcomes(world)) == ([], [])
        await world.control._turn()
        assert world.stored()[-1] == ([True], {(1, "asked"), (2, "asked"), (3, "asked")})
        world.online()
        world.answer_all()
        await world.sending._turn({1})
        assert len(outcomes(world)) == 2

    play(story)


def test_a_job_that_is_read_while_the_connection_breaks_waits_again(play: Play) -> None:
    async def story(world: World) -> None:
        await world.begin(known())
        rows_wait(world)
        world.online()
        world.answer_all()
        world.outbox.sent.clear()

        def take(*, handles: Any, most: int) -> list[DeviceJob]:
            world.control.connecting()
            return [JOB]

        world.database.answers["sends_waiting"] = lambda *, device_ids: {}
        world.database.answers["device_jobs_take"] = take
        await world.sending._turn({1})
        assert world.outbox.sent == []
        ((name, (jobs, error)),) = outcomes(world)
        assert (name, jobs) == ("device_jobs_sent", [JOB])
        assert "cut off" in error

    play(story)


def test_jobs_are_due_again_when_a_device_comes(play: Play) -> None:
    async def story(world: World) -> None:
        await world.begin(known())
        world.online()
        await world.sending._turn(set())
        names = [name for name, _ in world.database.calls]
        assert "device_jobs_again" in names

    play(story)
