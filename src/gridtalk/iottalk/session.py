"""The state of one IoTtalk v2 device, decided from what it says: pure, without clock or network.

One :class:`Session` for each device of a shard, kept by the process that leases the shard. The
methods are what happened, each at a given instant (seconds, one clock); what they return is to be
done, in that order.

When is a device online? It says so itself (``online``, ``offline``, ``broken``; a will is said by
the broker in its name), under the ``rev`` of its present registration. Three more things count,
because brokers repeat, delay and forget:

- Data, or the answer to a CONNECT that was sent after an ``offline``, prove that this word was not
  the last: it was the will of a connection that had been replaced. So a CONNECT follows some
  seconds after each ``offline``; a device which has left does not get it, and silence says nothing.
- Where the device's last word was ``offline`` and only data speak against it, it is online as long
  as data come (:data:`LAPSE_S`).
- A broker that began anew has forgotten who was online, and tells of no device that died with it.
  What is online stays so, is asked, and is offline when nothing comes of it for
  :data:`UNHEARD_S`, in which any living device has come back.

Such a broker has forgotten the device's topics as well, so no feature counts as connected until the
device has answered again: what is sent before that would be lost.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["idf", "odf"]
Word = Literal["", "online", "offline"]
LinkState = Literal["new", "asked", "ok", "error"]

#: A device that registered is asked so long after, even where its “online” was not heard.
FIRST_ASKED_S: Final = 10.0
#: So long after the broker or we began anew, outputs that were connected are asked again: values
#: may wait for them. Most devices have said “online” by then (brokers keep it), and need no more.
AGAIN_S: Final = 5.0
#: CONNECT is repeated after these pauses; the last one goes on for :data:`STEADY_TRIES` in all.
PAUSES_S: Final = (5.0, 10.0, 30.0)
STEADY_TRIES: Final = 20
#: Then an online device, which takes data perhaps but never answers, is asked so often.
SLOW_PAUSE_S: Final = 300.0
#: “Offline” is shown after so long: clients say it as they come back, a second before “online”.
SETTLE_S: Final = 1.5
#: After the broker or we began anew all devices do that at once, and we are slow to hear them all
#: (5,000 devices on two busy cores: 28 s): so long after a beginning, and with so much patience,
#: a device that has not come yet.
RETURN_S: Final = 60.0
RETURN_SETTLE_S: Final = 30.0
#: So long after an “offline” the device is asked whether that was so, and so often.
PROBE_S: Final = 5.0
PROBE_TRIES: Final = 3
#: Data which come so soon after an “offline”, or after CONNECT, may have been said before it.
GRACE_S: Final = 2.0
#: Online only by its data: so long after the last.
LAPSE_S: Final = 120.0
#: Online by hearsay, after the broker or we began anew: so long. Clients pause up to 120 s.
UNHEARD_S: Final = 130.0


@dataclass(frozen=True, slots=True)
class Feature:
    """A device feature: ``number`` stands in its topic."""

    number: int
    kind: Kind
    name: str


@dataclass(frozen=True, slots=True)
class Connect:
    """Publish CONNECT with this ``msg_id``."""

    feature: Feature
    msg_id: str


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Publish DISCONNECT with this ``msg_id``."""

    feature: Feature
    msg_id: str


@dataclass(frozen=True, slots=True)
class Online:
    """The device is online from now on, or no longer; ``why`` in words for its log."""

    online: bool
    why: str


@dataclass(frozen=True, slots=True)
class Linked:
    """The feature's state changed; ``reason`` is the device's, where it refused."""

    number: int
    state: LinkState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DropRetained:
    """Clear the retained message on the device's control topic: it is out of date."""


@dataclass(frozen=True, slots=True)
class LookAgain:
    """A revision that we do not know: read the device's row, and say :meth:`Session.registered`."""


@dataclass(frozen=True, slots=True)
class Came:
    """The device has begun anew (it may have lost what was on its way to it)."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The session is over; forget it."""


Output = Connect | Disconnect | Online | Linked | DropRetained | LookAgain | Came | Gone


@dataclass(slots=True)
class _Link:
    """A feature, and how far it is connected. ``due`` is when CONNECT is (again) to be sent."""

    feature: Feature
    state: LinkState = "new"
    msg_id: str = ""
    tries: int = 0
    asked_at: float = -math.inf
    due: float = math.inf


class Session:
    """See the module. ``prefix`` makes message ids that nobody else gives; ``online`` is the
    state as it was shown until now, ``registered_at`` when the device registered last."""

    def __init__(
        self,
        *,
        prefix: str,
        rev: str,
        features: Iterable[Feature],
        online: bool,
        registered_at: float,
    ) -> None:
        self.rev = rev
        self.online = online
        self.due = math.inf
        self._prefix = prefix
        self._serial = 0
        self._links = {feature.number: _Link(feature) for feature in features}
        self._registered_at = registered_at
        self._word: Word = ""
        self._word_at = -math.inf
        self._begun_at = -math.inf
        self._early: tuple[Word, str] | None = None
        self._unheard_until = math.inf
        self._lapse_at = math.inf
        self._hide_at = math.inf
        self._leave_at = math.inf

    def may_receive(self, number: int) -> bool:
        """Whether data may be sent to that ODF: the device is online and has taken its topic."""
        link = self._links.get(number)
        return self.online and link is not None and link.state == "ok"

    # --- what happens ---------------------------------------------------------------------------

    def begun(self, now: float) -> list[Output]:
        """We hear this device from now on: a shard was taken, or the broker's connection made."""
        self._begun_at = now
        changed = self._doubted()
        if self.online:
            self._unheard_until = now + UNHEARD_S
        if self.online or self._registered_at > now - UNHEARD_S:
            self._ask_later(max(now, self._registered_at) + FIRST_ASKED_S)
        for link in self._links.values():
            link.asked_at = max(link.asked_at, now)  # data that were said before prove nothing
            if self.online and link.state == "asked" and link.feature.kind == "odf":
                link.due = min(link.due, now + AGAIN_S)
        return self._settled(changed)

    def cut_off(self) -> list[Output]:
        """The broker's connection was lost, and is being made again: :meth:`begun` follows."""
        return self._settled(self._doubted())

    def registered(
        self, *, rev: str, features: Iterable[Feature], registered_at: float, now: float
    ) -> list[Output]:
        """The device's row as it is now; nothing happens where its ``rev`` is known."""
        early, self._early = self._early, None
        if rev == self.rev:
            return []
        self.rev, self._registered_at, self._leave_at = rev, registered_at, math.inf
        self._links = {feature.number: _Link(feature) for feature in features}
        self._word, self._word_at = "", -math.inf
        self._lapse_at = self._hide_at = math.inf
        self._unheard_until = now + UNHEARD_S if self.online else math.inf
        out: list[Output] = [Linked(number, "new") for number in self._links]
        if early and early[1] == rev:
            return out + self.word(early[0], rev=rev, now=now)
        self._ask_later(registered_at + FIRST_ASKED_S)
        return self._settled([*out, DropRetained()])

    def deregistered(self, now: float) -> list[Output]:
        """The registration has ended: by the device, which says offline too, or by a person."""
        if not self.online or self._word == "offline":
            return self._settled(self._left())
        self._leave_at = min(self._leave_at, now + GRACE_S)
        return self._settled([])

    def word(self, word: Word, *, rev: str, now: float) -> list[Output]:
        """The device said ``online`` or ``offline`` (also for ``broken``) under that revision."""
        if rev != self.rev:
            self._early = (word, rev)
            return [LookAgain()]
        if word == "offline":
            came = self._word == "online" and self._word_at > self._begun_at
            returning = not came and now < self._begun_at + RETURN_S
            out = self._unlinked(now, doubt=self.online)
            if self._leave_at < math.inf:
                out += self._left()
            elif self.online:
                self._hide_at = now + (RETURN_SETTLE_S if returning else SETTLE_S)
            return self._settled(out)
        self._word, self._word_at = word, now
        self._unheard_until = self._lapse_at = self._hide_at = math.inf
        out = self._shown(online=True, why="the device said so")
        return self._settled([*out, Came(), *self._ask_all(now)])

    def answer(self, msg_id: str, *, error: str | None, now: float) -> list[Output]:
        """The device answered CONNECT; ``error`` is its reason where it refused."""
        link = next((x for x in self._links.values() if msg_id and x.msg_id == msg_id), None)
        if link is None:
            return []
        link.due = math.inf
        out: list[Output] = []
        state: LinkState = "ok" if error is None else "error"
        if link.state != state:
            link.state = state
            out.append(Linked(link.feature.number, state, error or ""))
        return self._settled(self._proven(now, "the device answers") + out)

    def data(self, number: int, *, at: float, now: float) -> list[Output]:
        """Data of that IDF were received at ``at``."""
        link = self._links.get(number)
        if link is None:
            return []
        out: list[Output] = []
        if link.state == "asked" and at >= link.asked_at + GRACE_S:
            link.state, link.due = "ok", math.inf
            out.append(Linked(number, "ok"))
        since = max(self._word_at, self._registered_at, self._begun_at)
        if at >= since + GRACE_S and at > now - LAPSE_S:
            out = self._flowing(at, now) + out
        return self._settled(out)

    def tick(self, now: float) -> list[Output]:
        """Time has passed: call it when :attr:`due` has come."""
        out: list[Output] = []
        if now >= self._leave_at:
            out += [self._command(link, Disconnect) for link in self._links.values()]
            return self._settled(out + self._left())
        if now >= self._hide_at:
            self._hide_at = math.inf
            out += self._shown(online=False, why="the device, or the broker for it, said so")
        if now >= self._unheard_until:
            out += self._offline(now, "nothing was heard of it since the broker began anew")
        elif now >= self._lapse_at:
            out += self._offline(now, "it had said so, and sends no more data")
        for link in self._links.values():
            if now >= link.due:
                out += self._ask(link, now)
        return self._settled(out)

    # --- how it is done -------------------------------------------------------------------------

    def _shown(self, *, online: bool, why: str) -> list[Output]:
        if self.online == online:
            return []
        self.online = online
        return [Online(online, why)]

    def _left(self) -> list[Output]:
        """The end: nothing is waited for any more."""
        out: list[Output] = self._shown(online=False, why="its registration has ended")
        self._links.clear()
        self._unheard_until = self._lapse_at = self._hide_at = self._leave_at = math.inf
        return [*out, DropRetained(), Gone()]

    def _flowing(self, at: float, now: float) -> list[Output]:
        """Data of the present registration come, and came after its last word."""
        self._unheard_until = math.inf
        if self._word == "offline":
            self._lapse_at = at + LAPSE_S
        doubted = self._hide_at < math.inf
        self._hide_at = math.inf
        out = self._shown(online=True, why="it sends data")
        return out + self._ask_all(now) if out or doubted else out

    def _offline(self, now: float, why: str) -> list[Output]:
        return self._shown(online=False, why=why) + self._unlinked(now, doubt=True)

    def _unlinked(self, now: float, *, doubt: bool) -> list[Output]:
        """Nothing is connected; one feature asks later whether that is so, where it is news."""
        changed: list[Output] = []
        self._unheard_until = self._lapse_at = math.inf
        self._word, self._word_at = "offline", max(self._word_at, now)
        for link in self._links.values():
            link.msg_id, link.tries, link.due = "", 0, math.inf
            if link.state != "new":
                link.state = "new"
                changed.append(Linked(link.feature.number, "new"))
        first = next(iter(self._links.values()), None)
        if first is not None and (doubt or changed):
            first.due = now + PROBE_S
        return changed

    def _proven(self, now: float, why: str) -> list[Output]:
        """The device answered what we sent after its last word: it is there."""
        self._unheard_until = self._lapse_at = self._hide_at = math.inf
        if self._word == "online":
            return []
        stale, self._word, self._word_at = self._word == "offline", "online", now
        was_online = self.online
        out = self._shown(online=True, why=why)
        if stale:
            # Else the next process to take the shard would hear the old word again.
            out.append(DropRetained())
        if not was_online:
            out.append(Came())
        for link in self._links.values():
            if link.state == "new" or (link.state == "asked" and link.due == math.inf):
                link.tries = 0
                out += self._ask(link, now)
        return out

    def _doubted(self) -> list[Output]:
        """Nobody knows which topics the device has now; nothing is asked until that is decided."""
        changed: list[Output] = []
        for link in self._links.values():
            link.msg_id, link.tries, link.due = "", 0, math.inf
            if link.state == "ok":
                link.state = "asked"
                changed.append(Linked(link.feature.number, "asked"))
        return changed

    def _ask_all(self, now: float) -> list[Output]:
        out: list[Output] = []
        for link in self._links.values():
            link.state, link.tries = "new", 0
            out += self._ask(link, now)
        return out

    def _ask_later(self, at: float) -> None:
        for link in self._links.values():
            link.due = at

    def _ask(self, link: _Link, now: float) -> list[Output]:
        """Send CONNECT, the same again where it was not answered; or give it up."""
        limit = {"online": math.inf, "": STEADY_TRIES, "offline": PROBE_TRIES}[self._word]
        if self._word == "offline" and self.online:
            limit = math.inf  # its data say that it is there
        if link.tries >= limit:
            link.due = math.inf
            return []
        if link.tries == 0:
            link.asked_at, link.msg_id = now, ""
        pause = PAUSES_S[min(link.tries, len(PAUSES_S) - 1)]
        link.tries += 1
        link.due = now + (pause if link.tries < STEADY_TRIES else SLOW_PAUSE_S)
        out: list[Output] = [self._command(link, Connect)]
        if link.state != "asked":
            link.state = "asked"
            out.append(Linked(link.feature.number, "asked"))
        return out

    def _command(self, link: _Link, command: type[Connect] | type[Disconnect]) -> Output:
        if command is Disconnect or not link.msg_id:
            self._serial += 1
            link.msg_id = f"{self._prefix}-{self._serial}"
        return command(link.feature, link.msg_id)

    def _settled(self, out: list[Output]) -> list[Output]:
        """Note when time alone will change something."""
        waits = [link.due for link in self._links.values()]
        times = (self._unheard_until, self._lapse_at, self._hide_at, self._leave_at)
        self.due = min([*waits, *times])
        return out
