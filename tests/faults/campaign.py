"""Kill the server again and again while short stories run; write down how each story ended.

A process of its own, because it needs Django on the server's database. ``test_kills.py`` runs it
and judges what it wrote; by hand::

    python tests/faults/campaign.py --folder DIR --kills 5 --out results.json

Iteration k has a consumer and a circuit of its own, on one of two meters: one remembers the job ids
that it applied, the other does not. Its story: an hourly report; a token texted by two phones; the
balance; off and on. At a moment drawn from the seed a process of the server is killed with
``SIGKILL``. The stories go on across the kills; in the end all of them must have ended the same.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil

from gridtalk.cli import environment
from gridtalk.demo.server import Server, free_port, operators_own_forget

VICTIMS = ("web", "worker", "postmaster", "web process", "backend")
VALUE = Decimal(500)
#: The kill comes at a moment of the first so many seconds of a story.
LONGEST_MOMENT_S = 1.0
#: An iteration is left to itself after so long: its story goes on beside the next ones.
ITERATION_S = 2.5
RECOVERY_S = 30
#: The whole end: leases, report graces and job lifetimes must have passed.
SETTLE_S = 150
SETTINGS = {
    "GRIDTALK_JOB_LIFETIME_MINUTES": "1",
    "GRIDTALK_JOB_RESEND_SECONDS": "3",
    "GRIDTALK_REPORT_GRACE_SECONDS": "2",
    "GRIDTALK_LOG_LEVEL": "ERROR",
}


@dataclass
class Iteration:
    """One story, and what was seen of it."""

    number: int
    victim: str
    moment_s: float
    knows_job_ids: bool
    killed: str = ""
    recovered_s: float = -1.0
    resent_by_hand: int = 0
    found: dict[str, Any] = field(default_factory=dict)


class Victims:
    """The processes of one running server, by the part that they play."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def find(self, victim: str) -> psutil.Process | None:
        """The process to kill; None where it is just being started."""
        try:
            children = psutil.Process(self._server.pid).children()
            for child in children:
                command = " ".join(child.cmdline())
                if victim in {"web", "web process"} and "gridtalk.cli web" in command:
                    below = child.children()
                    return child if victim == "web" else (below[0] if below else None)
                if victim == "worker" and "gridtalk.cli worker" in command:
                    return child
                if victim in {"postmaster", "backend"} and "bin/postgres" in command:
                    return child if victim == "postmaster" else self._backend(child)
        except psutil.NoSuchProcess:
            return None
        return None

    @staticmethod
    def _backend(postmaster: psutil.Process) -> psutil.Process | None:
        """A process that serves a connection of ours."""
        serving = [
            child
            for child in postmaster.children()
            if " gridtalk gridtalk " in " ".join(child.cmdline())
        ]
        return serving[-1] if serving else None

    def kill(self, victim: str) -> str:
        """Kill it with SIGKILL; what was killed."""
        deadline = time.monotonic() + RECOVERY_S
        while time.monotonic() < deadline:
            process = self.find(victim)
            if process is not None:
                process.send_signal(signal.SIGKILL)
                return f"{victim} {process.pid}"
            time.sleep(0.01)
        raise RuntimeError(f"no {victim} was found to kill; the server said {self._server.lines}")


class StoryThread(threading.Thread):
    """One consumer's story; goes on across kills until everything was answered."""

    def __init__(self, story: "Story") -> None:
        super().__init__(name=f"story-{story.iteration.number}", daemon=True)
        self._story = story

    def run(self) -> None:
        try:
            self._story.play()
        except Exception as error:
            self._story.iteration.found["story_error"] = repr(error)


class Story:
    """What a consumer and a neighbour text, and what they await."""

    def __init__(
        self, iteration: Iteration, village: Any, person: Any, neighbour: Any, token: str
    ) -> None:
        self.iteration, self.village = iteration, village
        self.person, self.neighbour, self.token = person, neighbour, token
        self.said: list[str] = []

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
                if line.status == status and len(self.person.inbox) > since:
                    return
                time.sleep(0.02)
        self.iteration.found["story_error"] = f"{word} was never done or never answered"


def campaign(*, folder: Path, kills: int, seed: int) -> list[Iteration]:
    """Start a server, play and kill, wait for all ends, and look at what is left."""
    from books import books_look, operator_resends, unfinished

    from gridtalk.demo.network import Network
    from gridtalk.demo.people import Person
    from gridtalk.demo.village import Plan, interface_make, tokens_make, village_make

    chance = random.Random(seed)
    server = Server(folder / "data", port=free_port(), environment=SETTINGS)
    network = Network(retry_pause_s=0.1)
    try:
        server.start()
        server.wait_ready()
        with environment.database(folder / "data", role="exec"), network:
            environment.django_start()
            interface, gateway = interface_make(
                network, server_url=server.url, name="net", phone="+256770000000", region="UG"
            )
            # Its clock runs an hour with each iteration and must never be ahead.
            start = datetime.now(UTC).replace(tzinfo=None, minute=0, second=0, microsecond=0)
            start -= timedelta(hours=kills + 2)
            villages = [
                village_make(
                    network,
                    interface=interface,
                    gateway=gateway,
                    name=f"meter-{index}",
                    phone=f"+25677000100{index}",
                    plans=[
                        Plan(f"consumer {k}", f"+25677{index}{k:06d}", "en")
                        for k in range(index, kills, 2)
                    ],
                    start=start,
                    knows_job_ids=index == 0,
                )
                for index in (0, 1)
            ]
            tokens = tokens_make(count=kills, value=VALUE, note="faults")
            iterations, stories = [], []
            for k in range(kills):
                iteration = Iteration(
                    k,
                    # Neither victims nor moments go in step with the meters.
                    VICTIMS[(k // 2) % len(VICTIMS)],
                    round(chance.uniform(0, LONGEST_MOMENT_S), 3),
                    knows_job_ids=k % 2 == 0,
                )
                village = villages[k % 2]
                neighbour = Person(
                    network,
                    name=f"neighbour {k}",
                    number=f"+25678{k:07d}",
                    gateway=gateway.number,
                )
                story = Story(iteration, village, village.people[k // 2], neighbour, tokens[k])
                iterations.append(iteration)
                stories.append(story)
            threads = []
            for story in stories:
                threads.append(_iteration_play(server, story, start))
                done = story.iteration
                print(f"{done.number}: {done.killed} after {done.moment_s} s, "
                      f"again after {done.recovered_s} s", flush=True)  # fmt: skip
            deadline = time.monotonic() + SETTLE_S
            for thread in threads:
                thread.join(max(0.1, deadline - time.monotonic()))
            while unfinished(network) and time.monotonic() < deadline:
                for number in operator_resends(villages):
                    print(f"the operator sent job {number} again", flush=True)
                time.sleep(0.5)
            # A last report, so that meter and database can be held against each other.
            for village in villages:
                village.meter.advance(start + timedelta(hours=kills + 1))
            while unfinished(network) and time.monotonic() < deadline + 20:
                time.sleep(0.2)
            books_look(network, stories, VALUE, start)
            return iterations
    finally:
        code = server.stop()
        print(f"the server ended with {code}", flush=True)


def _iteration_play(server: Server, story: Story, start: datetime) -> StoryThread:
    iteration = story.iteration
    thread = StoryThread(story)
    story.village.meter.advance(start + timedelta(hours=iteration.number + 1))
    thread.start()
    began = time.monotonic()
    time.sleep(iteration.moment_s)
    iteration.killed = Victims(server).kill(iteration.victim)
    killed = time.monotonic()
    iteration.recovered_s = round(_recovery_await(server, iteration) - killed, 2)
    thread.join(max(0.0, began + ITERATION_S - time.monotonic()))
    return thread


def _recovery_await(server: Server, iteration: Iteration) -> float:
    """When the server answered again, with its database behind it."""
    import urllib3

    gone = int(iteration.killed.rsplit(" ", 1)[1])
    deadline = time.monotonic() + RECOVERY_S
    while time.monotonic() < deadline:
        try:
            status = urllib3.request(
                "GET", f"{server.url}/healthz", timeout=2, retries=False
            ).status
        except urllib3.exceptions.HTTPError:
            status = 0
        back = Victims(server).find(iteration.victim)
        if status == 200 and back is not None and back.pid != gone:
            return time.monotonic()
        time.sleep(0.05)
    raise RuntimeError(f"the server did not come back; it said {server.lines[-10:]}")


def main() -> int:
    """Run the campaign; the results are JSON, one object for each iteration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    operators_own_forget()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="gridtalk-faults-"))
    if os.geteuid() == 0:
        folder.chmod(0o755)
    began = time.monotonic()
    iterations = campaign(folder=folder, kills=given.kills, seed=given.seed)
    given.out.write_text(json.dumps([vars(one) for one in iterations], indent=1, default=str))
    print(f"{given.kills} kills in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
