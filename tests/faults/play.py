"""The stories, the kills between them, and the wait for all ends. Needs Django set up."""

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from books import books_look, operator_resends, unfinished
from victims import VICTIMS, Victims

from gridtalk.demo.network import Network
from gridtalk.demo.people import Person
from gridtalk.demo.server import Server
from gridtalk.demo.village import Plan, Village, interface_make, tokens_make, village_make

VALUE = Decimal(500)
#: The kill comes at a moment of the first so many seconds of a story.
LONGEST_MOMENT_S = 0.6
#: For the worker's kills in turn: at a drawn moment, or exactly while it hands the credit over,
#: before or after the provider has it. Then nobody but the meter knows.
WORKER_MOMENTS = ("", "asked", "taken")
#: An iteration is left to itself after so long: its story goes on beside the next ones.
ITERATION_S = 2.5
#: The whole end: leases, report graces and job lifetimes must have passed.
SETTLE_S = 150


@dataclass
class Iteration:
    """One story, and what was seen of it."""

    number: int
    victim: str
    moment_s: float
    knows_job_ids: bool
    killed: str = ""
    recovered_s: float = -1.0
    hand_over: str = ""
    found: dict[str, Any] = field(default_factory=dict)


class Story:
    """What a consumer and a neighbour text, and what they await."""

    def __init__(
        self, iteration: Iteration, village: Village, person: Person, neighbour: Person, token: str
    ) -> None:
        self.iteration, self.village = iteration, village
        self.person, self.neighbour, self.token = person, neighbour, token
        self.said: list[str] = []

    def run(self) -> None:
        """Play it, on a thread of its own; what goes wrong is written down."""
        began = time.monotonic()
        try:
            self.play()
            self.iteration.found["story_s"] = round(time.monotonic() - began, 2)
        except Exception as error:  # noqa: BLE001  judged with the rest
            self.iteration.found["story_error"] = repr(error)

    def play(self) -> None:
        """The story; each wait is long enough for a lease and a grace to pass."""
        person, pin = self.person, self.person.pin
        self.said.append(person.say(f"add.{pin}.{self.token}"))
        self.said.append(self.neighbour.say(f"recharge {pin} {self.token}"))
        self.said.append(person.say(f"bal {pin}"))
        self._switch("off", 0)
        self._switch("on", 1)

    def _switch(self, word: str, status: int) -> None:
        """Text it; again where nothing came of it, as a person would."""
        line = self.village.circuit_of(self.person)
        for _ in range(3):
            since = len(self.person.inbox)
            self.said.append(self.person.say(f"{word} {self.person.pin}"))
            deadline = time.monotonic() + 75
            while time.monotonic() < deadline:
                told = any(f"now {word}" in heard.text for heard in self.person.inbox[since:])
                if told and line.status == status:
                    return
                time.sleep(0.02)
        self.iteration.found["story_error"] = f"{word} was never done or never answered"


def campaign_play(server: Server, network: Network, *, kills: int, seed: int) -> list[Iteration]:
    """Play and kill, wait for all ends, and look at what is left."""
    # A meter's clock runs an hour with each iteration and must never be ahead.
    start = datetime.now(UTC).replace(tzinfo=None, minute=0, second=0, microsecond=0)
    start -= timedelta(hours=kills + 2)
    villages = _villages_make(server, network, kills, start)
    stories = _stories_make(network, villages, kills, seed)
    threads = []
    for story in stories:
        threads.append(_iteration_play(server, network, story, start))
        done = story.iteration
        print(f"{done.number}: {done.killed} after {done.moment_s} s, back in {done.recovered_s} s",
              flush=True)  # fmt: skip
    deadline = time.monotonic() + SETTLE_S
    for thread in threads:
        thread.join(max(0.1, deadline - time.monotonic()))
    _settle(network, villages, deadline)
    # A last report, so that meter and database can be held against each other.
    for village in villages:
        village.meter.advance(start + timedelta(hours=kills + 1))
    _settle(network, villages, time.monotonic() + 20)
    books_look(network, stories, VALUE, start)
    return [story.iteration for story in stories]


def _settle(network: Network, villages: Sequence[Village], deadline: float) -> None:
    while unfinished(network) and time.monotonic() < deadline:
        for number in operator_resends(villages):
            print(f"the operator sent job {number} again", flush=True)
        time.sleep(0.3)


def _villages_make(server: Server, network: Network, kills: int, start: datetime) -> list[Village]:
    """A meter that knows the job ids that it applied, and one that does not."""
    interface, gateway = interface_make(
        network, server_url=server.url, name="net", phone="+256770000000", region="UG"
    )
    return [
        village_make(
            network,
            interface=interface,
            gateway=gateway,
            name=f"meter-{index}",
            phone=f"+25677000100{index}",
            plans=[
                Plan(f"consumer {k}", f"+25677{index + 1}{k:06d}") for k in range(index, kills, 2)
            ],
            start=start,
            knows_job_ids=index == 0,
        )
        for index in (0, 1)
    ]


def _stories_make(
    network: Network, villages: Sequence[Village], kills: int, seed: int
) -> list[Story]:
    chance = random.Random(seed)
    tokens = tokens_make(count=kills, value=VALUE, note="faults")
    stories = []
    for k in range(kills):
        village = villages[k % 2]
        # Each victim meets both kinds of meter.
        victim = VICTIMS[(k // 2) % len(VICTIMS)]
        moment_s = round(chance.uniform(0, LONGEST_MOMENT_S), 3)
        iteration = Iteration(k, victim, moment_s, knows_job_ids=k % 2 == 0)
        if victim == "worker":
            iteration.hand_over = WORKER_MOMENTS[k // 10 % len(WORKER_MOMENTS)]
        neighbour = Person(
            network, name=f"neighbour {k}", number=f"+25678{k:07d}", gateway=village.gateway.number
        )
        stories.append(Story(iteration, village, village.people[k // 2], neighbour, tokens[k]))
    return stories


def _iteration_play(
    server: Server, network: Network, story: Story, start: datetime
) -> threading.Thread:
    iteration, victims = story.iteration, Victims(server)
    trap = Trap(story, victims)
    network.gate = trap
    thread = threading.Thread(target=story.run, name=f"story-{iteration.number}", daemon=True)
    story.village.meter.advance(start + timedelta(hours=iteration.number + 1))
    thread.start()
    began = time.monotonic()
    if iteration.hand_over and not trap.sprung.wait(30):
        raise RuntimeError("the credit was not handed over within 30 s")
    if not iteration.hand_over:
        time.sleep(iteration.moment_s)
        trap.kill()
    iteration.killed = f"{iteration.victim} {trap.killed}"
    killed = time.monotonic()
    iteration.moment_s = round(killed - began, 3)
    victims.recovery_await(iteration.victim, trap.killed)
    iteration.recovered_s = round(time.monotonic() - killed, 2)
    thread.join(max(0.0, began + ITERATION_S - time.monotonic()))
    return thread


class Trap:
    """Kills the iteration's victim: when told, or while its credit is being handed over."""

    def __init__(self, story: Story, victims: Victims) -> None:
        self._story, self._victims = story, victims
        self.killed = 0
        self.sprung = threading.Event()
        self._cid = f"cid%3D{story.person.address}%26"

    def kill(self) -> None:
        """Kill it now."""
        self.killed = self._victims.kill(self._story.iteration.victim)
        self.sprung.set()

    def __call__(self, phase: str, query: str) -> bool:
        """The network's gate: a request of a worker that was killed before it was taken is lost."""
        at = self._story.iteration.hand_over
        if at == phase and not self.sprung.is_set() and "job%3Dcr" in query and self._cid in query:
            self.kill()
            return False
        return True
