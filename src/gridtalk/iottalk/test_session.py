"""The state of a v2 device: labelled stories, and a device on a bad network."""

import heapq
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridtalk.iottalk.session import (
    AGAIN_S,
    FIRST_ASKED_S,
    GRACE_S,
    LAPSE_S,
    PROBE_S,
    RETURN_SETTLE_S,
    SETTLE_S,
    SLOW_PAUSE_S,
    STEADY_TRIES,
    UNHEARD_S,
    Came,
    Connect,
    Disconnect,
    DropRetained,
    Feature,
    Gone,
    Linked,
    LookAgain,
    Online,
    Session,
)

SENSOR = Feature(1, "idf", "Sensor-I")
LAMP = Feature(2, "odf", "Lamp-O")
FEATURES = (SENSOR, LAMP)


class Story:
    """A session with a clock; remembers what it asked for."""

    def __init__(self, *, online: bool = False, registered_at: float = 0.0) -> None:
        self.session = Session(
            prefix="m", rev="r1", features=FEATURES, online=online, registered_at=registered_at
        )
        self.now = registered_at
        self.out: list[Any] = []
        self.ids: dict[int, str] = {}

    def take(self, out: list[Any]) -> list[Any]:
        self.out += out
        for one in out:
            if isinstance(one, Connect):
                self.ids[one.feature.number] = one.msg_id
        return out

    def wait(self, seconds: float) -> list[Any]:
        """Let time pass; what the session did meanwhile."""
        end, found = self.now + seconds, []
        while self.session.due <= end:
            self.now = max(self.now, self.session.due)
            found += self.take(self.session.tick(self.now))
        self.now = end
        return found

    def word(self, word: Any, rev: str = "r1") -> list[Any]:
        return self.take(self.session.word(word, rev=rev, now=self.now))

    def answer(self, number: int, error: str | None = None) -> list[Any]:
        return self.take(self.session.answer(self.ids[number], error=error, now=self.now))

    def data(self, number: int = 1, at: float | None = None) -> list[Any]:
        at = self.now if at is None else at
        return self.take(self.session.data(number, at=at, now=self.now))

    def register(self, rev: str, features: tuple[Feature, ...] = FEATURES) -> list[Any]:
        return self.take(
            self.session.registered(
                rev=rev, features=features, registered_at=self.now, now=self.now
            )
        )

    def connected(self) -> "Story":
        """Online, and all features taken."""
        self.word("online")
        self.answer(1)
        self.answer(2)
        self.out.clear()
        return self


def connects(out: list[Any]) -> list[str]:
    """The names of the features that CONNECT went out for."""
    return [one.feature.name for one in out if isinstance(one, Connect)]


def shown(out: list[Any]) -> list[bool]:
    """What the pages were told of online and offline."""
    return [one.online for one in out if isinstance(one, Online)]


def test_online_connects_every_feature_and_data_may_go_out_after_the_ok() -> None:
    """Spec v2, 2 and 3."""
    story = Story()
    out = story.word("online")
    assert shown(out) == [True]
    assert connects(out) == ["Sensor-I", "Lamp-O"]
    assert Came() in out
    assert not story.session.may_receive(2)
    assert story.answer(2) == [Linked(2, "ok")]
    assert story.session.may_receive(2)


def test_each_online_connects_again_with_new_message_ids() -> None:
    """Spec v2, 6: after a reconnection the same rev; an old answer says nothing of the new."""
    story = Story().connected()
    old = dict(story.ids)
    assert connects(story.word("online")) == ["Sensor-I", "Lamp-O"]
    assert not story.session.may_receive(2)
    assert story.session.answer(old[2], error=None, now=story.now) == []
    story.answer(2)
    assert story.session.may_receive(2)


def test_connect_is_repeated_until_it_is_answered() -> None:
    """Spec v2, 9: after 5, 10, 30 s, the same message; in the end more rarely, while online."""
    story = Story()
    story.word("online")
    story.answer(1)
    first = story.ids[2]
    times = []
    for _ in range(4):
        before = story.now
        while not (out := story.wait(0.5)):
            assert story.now < before + SLOW_PAUSE_S
        assert connects(out) == ["Lamp-O"]
        times.append(story.now)
    assert times == [5.0, 15.0, 45.0, 75.0]
    assert story.ids[2] == first
    tries = len(connects(story.wait(24 * 3600)))
    assert STEADY_TRIES < tries < 24 * 3600 / SLOW_PAUSE_S + STEADY_TRIES
    assert story.answer(2) == [Linked(2, "ok")]
    assert story.wait(3600) == []


def test_a_registered_device_is_asked_after_10_s_without_a_word() -> None:
    """Spec v2, 9; its answer says that it is there. Silence ends the asking."""
    story = Story()
    story.register("r2")
    assert connects(story.wait(9)) == []
    assert connects(story.wait(1.5)) == ["Sensor-I", "Lamp-O"]
    out = story.answer(1)
    assert shown(out) == [True]
    silent = Story()
    silent.register("r2")
    asked = connects(silent.wait(24 * 3600))
    assert len(asked) == 2 * STEADY_TRIES


@pytest.mark.parametrize(
    ("label", "act", "online"),
    [
        ("offline with an old rev", lambda s: s.word("offline", "r0"), True),
        ("online with an old rev", lambda s: s.word("online", "r0"), True),
        ("offline with its own rev", lambda s: s.word("offline"), False),
        ("an answer to nothing", lambda s: s.session.answer("x", error=None, now=s.now), True),
        ("data of an unknown feature", lambda s: s.data(77), True),
    ],
)
def test_what_an_online_device_may_say(
    label: str, act: Callable[[Story], Any], online: bool
) -> None:
    """Each with its effect on what is shown."""
    story = Story().connected()
    act(story)
    story.wait(SETTLE_S + 0.1)
    assert story.session.online is online, label
    assert story.session.may_receive(2) is online, label


def test_an_unknown_rev_is_looked_up_and_then_believed() -> None:
    """The device was faster than the notice of its registration."""
    story = Story()
    assert story.word("online", "r2") == [LookAgain()]
    out = story.register("r2")
    assert shown(out) == [True]
    assert connects(out) == ["Sensor-I", "Lamp-O"]
    assert DropRetained() not in out, "that would clear its present word"


def test_a_registration_forgets_the_old_word() -> None:
    """Spec v2, 1: the retained message is dropped; a rev that is no news changes nothing."""
    story = Story().connected()
    assert story.register("r1") == []
    out = story.register("r2", (SENSOR,))
    assert DropRetained() in out
    assert not story.session.may_receive(2)
    assert story.session.online, "it has just spoken with us over HTTP"
    story.wait(UNHEARD_S + 1)
    assert not story.session.online, "and was never heard over MQTT"


def test_a_reconnection_is_not_shown_as_offline() -> None:
    """iottalk-py says offline, and online a second later."""
    story = Story().connected()
    story.word("offline")
    assert not story.session.may_receive(2)
    story.wait(1.0)
    out = story.word("online")
    assert shown(story.out) == []
    assert connects(out) == ["Sensor-I", "Lamp-O"]


def test_when_all_devices_come_back_at_once_there_is_more_patience() -> None:
    """After a restart of the broker; one that did go is offline then."""
    story = Story().connected()
    story.take(story.session.begun(story.now))
    story.word("offline")
    story.wait(RETURN_SETTLE_S - 1)
    assert shown(story.out) == []
    assert not story.session.may_receive(2)
    story.wait(2)
    assert shown(story.out) == [False]
    story.word("online")
    story.word("offline")
    assert shown(story.wait(SETTLE_S + 0.1)) == [False], "it had come"


def test_the_late_will_of_a_replaced_connection_is_found_out_by_asking() -> None:
    """“Offline” with its own rev after a newer “online”; the device is there and answers."""
    story = Story().connected()
    story.word("offline")
    out = story.wait(PROBE_S + 0.1)
    assert shown(out) == [False]
    assert connects(out) == ["Sensor-I"]
    out = story.answer(1)
    assert shown(out) == [True]
    assert DropRetained() in out
    assert connects(out) == ["Lamp-O"]
    story.answer(2)
    assert story.session.may_receive(2)
    assert story.wait(24 * 3600) == []


def test_a_device_that_left_stays_offline() -> None:
    """Asked three times, it does not answer."""
    story = Story().connected()
    story.word("offline")
    assert connects(story.wait(24 * 3600)) == ["Sensor-I"] * 3
    assert not story.session.online


def test_data_prove_a_device_online() -> None:
    """As long as they come; data from before the word prove nothing."""
    story = Story().connected()
    story.word("offline")
    story.wait(10)
    assert shown(story.data(at=story.now - 9.5)) == []
    assert shown(story.data()) == [True]
    for _ in range(10):
        story.wait(LAPSE_S - 1)
        story.data()
    assert shown(story.out) == [False, True]
    story.wait(LAPSE_S + 1)
    assert shown(story.out) == [False, True, False]


def test_data_count_as_the_answer_of_a_device_that_never_answers() -> None:
    """For an input; an output gets nothing without its ok."""
    story = Story()
    story.word("online")
    story.wait(GRACE_S + 0.1)
    assert story.data() == [Linked(1, "ok")]
    assert connects(story.wait(4)) == ["Lamp-O"]
    assert not story.session.may_receive(2)


def test_a_refused_feature_is_left_alone_until_the_next_online() -> None:
    """The device says “error” and why."""
    story = Story()
    story.word("online")
    assert story.answer(2, "no such thing") == [Linked(2, "error", "no such thing")]
    story.answer(1)
    assert story.wait(3600) == []
    assert connects(story.word("online")) == ["Sensor-I", "Lamp-O"]


@pytest.mark.parametrize(
    ("label", "sign", "online"),
    [
        ("nothing", lambda s: None, False),
        ("its word", lambda s: s.word("online"), True),
        ("data", lambda s: s.data(), True),
        ("an answer", lambda s: s.answer(1), True),
    ],
)
def test_after_a_broker_began_anew(label: str, sign: Callable[[Story], Any], online: bool) -> None:
    """What was online stays so, is asked, and is offline where nothing is heard of it."""
    story = Story(online=True, registered_at=-1000)
    story.now = 0
    story.take(story.session.begun(0))
    assert connects(story.wait(11)) == ["Sensor-I", "Lamp-O"]
    assert story.session.online
    sign(story)
    story.wait(UNHEARD_S)
    assert story.session.online is online, label


def test_nothing_goes_out_before_a_broker_that_began_anew_has_the_topics_again() -> None:
    """Spec v2, 3: after the ok alone; the broker has forgotten the device's subscriptions."""
    story = Story().connected()
    assert story.take(story.session.cut_off()) == [Linked(1, "asked"), Linked(2, "asked")]
    assert not story.session.may_receive(2)
    story = Story().connected()
    story.wait(100)
    assert story.take(story.session.begun(story.now)) == [Linked(1, "asked"), Linked(2, "asked")]
    assert story.session.online
    assert not story.session.may_receive(2)
    # It comes back without a word that we hear: asked soon, and ready when it answers.
    assert connects(story.wait(AGAIN_S)) == ["Lamp-O"]
    assert story.answer(2) == [Linked(2, "ok")]
    assert story.session.may_receive(2)
    assert connects(story.wait(FIRST_ASKED_S - AGAIN_S)) == ["Sensor-I"]


def test_data_from_before_a_broker_began_anew_are_no_answer() -> None:
    story = Story().connected()
    story.wait(100)
    story.take(story.session.begun(story.now))
    story.data(at=story.now - 1)
    assert Linked(1, "ok") not in story.out
    story.wait(GRACE_S)
    story.data()
    assert story.out[-1] == Linked(1, "ok")


def test_a_device_that_was_offline_is_not_asked_when_we_begin() -> None:
    """Thousands of old registrations would be."""
    story = Story(online=False, registered_at=-1000)
    story.now = 0
    story.take(story.session.begun(0))
    assert story.wait(3600) == []


@pytest.mark.parametrize(
    ("label", "before", "expected"),
    [
        ("it said offline first", "offline", [DropRetained, Gone]),
        ("it says offline after", "", [DropRetained, Gone]),
    ],
)
def test_a_device_leaves(label: str, before: Any, expected: list[type]) -> None:
    """By itself: no DISCONNECT, which would come to a device that is closing."""
    story = Story().connected()
    if before:
        story.word(before)
    story.take(story.session.deregistered(story.now))
    if not before:
        story.word("offline")
    kinds = [type(one) for one in story.out]
    assert [kind for kind in kinds if kind in {DropRetained, Gone, Disconnect}] == expected, label
    assert not story.session.online


def test_a_device_is_sent_away() -> None:
    """Its registration is ended by a person while it is online."""
    story = Story().connected()
    story.take(story.session.deregistered(story.now))
    out = story.wait(GRACE_S + 0.1)
    assert [one.feature.name for one in out if isinstance(one, Disconnect)] == [
        "Sensor-I", "Lamp-O",
    ]  # fmt: skip
    assert shown(out) == [False]
    assert out[-1] == Gone()


class World:
    """A device, a broker and a session, with everything between them late, lost or doubled.

    Control messages of one connection stay in order; wills may come a minute late.
    """

    def __init__(self, draw: Callable[[Any], Any], *, interval_s: float) -> None:
        self.draw, self.interval_s = draw, interval_s
        self.now = 0.0
        self.bad = True
        self.session = Session(
            prefix="m", rev="r1", features=FEATURES, online=False, registered_at=0.0
        )
        self.there = False
        self.linked: set[int] = set()
        self.connection = 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._in_order = 0.0
        self._word_at = float("-inf")
        self._begun_at = 0.0
        self.begin()

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        self.at(self.now + seconds, what)

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Exactly then: what is awaited of one instant comes in the order in which it was asked."""
        heapq.heappush(self._events, (when, next(self._order), what))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            at = min(self._events[0][0] if self._events else end, self.session.due)
            if at > end:
                self.now = end
                return
            self.now = max(self.now, at)
            if self._events and self._events[0][0] <= self.now:
                heapq.heappop(self._events)[2]()
            elif self.session.due <= self.now:
                self.take(self.session.tick(self.now))
            else:
                return

    def delay(self) -> float:
        return float(self.draw(st.sampled_from([0.01, 0.5, 3.0, 20.0]))) if self.bad else 0.05

    def copies(self) -> int:
        return int(self.draw(st.sampled_from([1, 1, 1, 0, 2]))) if self.bad else 1

    def say(self, what: Callable[[], list[Any]], *, sure: bool = False) -> None:
        """The device says something: in order, perhaps lost or twice."""
        self._in_order = max(self._in_order, self.now + self.delay())
        for _ in range(max(1, self.copies()) if sure else self.copies()):
            self.at(self._in_order, lambda: self.take(what()))

    def begin(self) -> None:
        """The broker, or our connection to it, began anew."""
        self._begun_at = self.now
        self.take(self.session.begun(self.now))

    def word(self, word: Any) -> list[Any]:
        self._word_at = self.now
        return self.session.word(word, rev="r1", now=self.now)

    def arrive(self) -> None:
        """The device connects: offline and online, as iottalk-py does it."""
        self.there = True
        self.connection += 1
        connection = self.connection
        self.linked.clear()
        self.say(lambda: self.word("offline"))

        def on() -> None:
            if self.there and self.connection == connection:
                # The broker retains it: it is not lost for good.
                self.say(lambda: self.word("online"), sure=True)

        self.later(1.0, on)
        self.later(self.interval_s, lambda: self.send(connection))

    def send(self, connection: int) -> None:
        if not self.there or connection != self.connection:
            return
        if 1 in self.linked and self.copies():
            self.later(0.05, self.hear_data)
        self.later(self.interval_s, lambda: self.send(connection))

    def hear_data(self) -> None:
        self.take(self.session.data(1, at=self.now, now=self.now))
        if self.now >= max(self._word_at, self._begun_at) + GRACE_S:
            assert self.session.online, "offline while data flow"

    def vanish(self) -> None:
        """The connection breaks; the broker says the will, late perhaps, but it does."""
        if not self.there:
            return
        self.there = False
        late = float(self.draw(st.sampled_from([0.1, 2.0, 60.0]))) if self.bad else 0.1
        # Never before what the device itself said on that topic.
        when = max(self.now + late, self._in_order)
        self.at(when, lambda: self.take(self.word("offline")))

    def take(self, out: list[Any]) -> None:
        for one in out:
            if isinstance(one, Connect):
                for _ in range(self.copies()):
                    self.later(self.delay(), lambda one=one: self.hear_command(one))

    def hear_command(self, command: Connect) -> None:
        if self.there:
            self.linked.add(command.feature.number)
            self.say(lambda: self.session.answer(command.msg_id, error=None, now=self.now))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_the_network_does_it_ends_right(data: st.DataObject) -> None:
    """Online and connected when the device is, offline when it is not."""
    world = World(data.draw, interval_s=data.draw(st.sampled_from([1.0, 10.0, 50.0])))
    for _ in range(data.draw(st.integers(1, 6))):
        act = data.draw(st.sampled_from(["arrive", "vanish", "arrive after vanish", "broker"]))
        if act in {"vanish", "arrive after vanish"}:
            world.vanish()
        if act in {"arrive", "arrive after vanish"} and not world.there:
            world.arrive()
        if act == "broker":
            world.begin()
        world.run(data.draw(st.sampled_from([0.2, 3.0, 40.0, 200.0])))
    world.bad = False
    world.run(1500)
    assert world.session.online == world.there
    if world.there:
        assert world.session.may_receive(2)
        assert 1 in world.linked
