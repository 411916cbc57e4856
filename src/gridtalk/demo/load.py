"""``gridtalk simulate``: meters and people who load a running server through its network's HTTP.

Their days lie behind us: hour after hour is played as fast as the server takes it, or at a rate or
speed that is asked for, up to the present. Needs Django set up, for the villages' rows.
"""

import random
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from http import HTTPStatus

from gridtalk.core import clock
from gridtalk.demo.air import Faults
from gridtalk.demo.courier import Courier
from gridtalk.demo.curves import measured_curves
from gridtalk.demo.network import Network
from gridtalk.demo.people import Person
from gridtalk.demo.village import (
    Plan,
    Village,
    interface_make,
    name_free,
    settle,
    tokens_make,
    village_make,
)
from gridtalk.grid.models import Meter
from gridtalk.messaging.models import CommunicationInterface

ZONE = "Africa/Kampala"
TARIFF = 1400_00
CARD = Decimal(500)
LOW_CREDIT = Decimal(100)
CARDS_AT_ONCE = 200
#: What waits in the network before the meters wait too.
MOST_WAITING = 1000
#: Threads that carry texts.
THREADS = 8
HOUR = timedelta(hours=1)
#: The part of the consumers who ask for their balance in an hour.
ASKING = 0.02
FAULTS = Faults(delay_s=0.2, loss=0.01, duplicates=0.02, reordering=0.03, hold_s=1.0)


@dataclass
class Load:
    """What was done. ``taken_ms``: how long the server took to accept a text; ``answered_ms``: from
    a person's text to the answer at their phone.
    """

    texts: int = 0
    refused: int = 0
    readings: int = 0
    cards: int = 0
    hours: int = 0
    seconds: float = 0.0
    settled: bool = False
    taken_ms: list[float] = field(default_factory=list)
    answered_ms: list[float] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The summary, as it is printed."""
        rate = self.texts / self.seconds if self.seconds else 0.0
        done = (
            f"{self.texts:,} texts handed in, {rate:,.0f} a second; {self.readings:,} readings, "
            f"{self.cards:,} cards redeemed, {self.hours:,} hours of every meter"
        )
        found = [done, f"{self.refused:,} requests were not answered 200 and made again"]
        for label, times in (
            ("accepted after", self.taken_ms),
            ("answered after", self.answered_ms),
        ):
            if len(times) > 1:
                cuts = statistics.quantiles(times, n=20)
                found.append(
                    f"{label:15} p50 {cuts[9]:8.1f} ms   p95 {cuts[18]:8.1f} ms   "
                    f"max {max(times):8.1f} ms   ({len(times):,})"
                )
        if not self.settled:
            found.append("the server has still not handled or sent all that it was given")
        return found


class LoadNetwork(Network):
    """Measures how long the server takes."""

    def __init__(self, load: Load, *, seed: int, faults: Faults) -> None:
        self.courier = Courier(threads=THREADS)
        super().__init__(seed=seed, faults=faults, keep=False, courier=self.courier)
        self._load = load
        self._counting = threading.Lock()

    def _get(self, url: str) -> int:
        began = time.perf_counter()
        status = super()._get(url)
        took = (time.perf_counter() - began) * 1000
        if "/in?" in url:
            with self._counting:
                if status == HTTPStatus.OK:
                    self._load.texts += 1
                    self._load.taken_ms.append(took)
                else:
                    self._load.refused += 1
        return status


class Consumer:
    """Somebody who asks now and then, and buys when the credit runs low."""

    def __init__(self, person: Person, village: Village, load: Load, chance: random.Random) -> None:
        self._person, self._village, self._load, self._chance = person, village, load, chance
        self._bought: datetime | None = None

    def hour(self, now: datetime, card: Callable[[], str]) -> None:
        """What they do in this hour."""
        person = self._person
        line = self._village.circuit_of(person)
        due = self._bought is None or now - self._bought > timedelta(hours=12)
        if line.credit < LOW_CREDIT and due and self._chance.random() < 0.4:
            self._bought = now
            self._load.cards += 1
            person.say(f"add {person.pin} {card()}")
        elif self._chance.random() < ASKING:
            person.say(f"bal {person.pin}")


class Asker(Person):
    """A phone that measures how long its answers take."""

    answered_ms: list[float]
    _asked: float | None = None

    def say(self, text: str) -> str:
        """Text the gateway."""
        self._asked = time.perf_counter()
        return super().say(text)

    def hear(self, sender: str, text: str) -> None:
        """A text has arrived."""
        super().hear(sender, text)
        if self._asked is not None:
            self.answered_ms.append((time.perf_counter() - self._asked) * 1000)
            self._asked = None


def load_run(
    *,
    server_url: str,
    meters: int,
    circuits: int,
    days: float,
    rate: float = 0.0,
    speed: float = 0.0,
    faults: bool = False,
    seed: int = 1,
    progress: Callable[[str], object] = str,
) -> Load:
    """Load the server at ``server_url``, on whose database we are, with the last ``days`` days.

    ``rate``: texts a second at most; ``speed``: hours a second at most; 0 is as fast as it takes.
    """
    load = Load()
    chance = random.Random(f"load {seed}")  # noqa: S311  a simulation
    network = LoadNetwork(load, seed=seed, faults=FAULTS if faults else Faults())
    end = clock.now().astimezone(clock.zone(ZONE)).replace(tzinfo=None, microsecond=0)
    start = (end - timedelta(days=days)).replace(minute=0, second=0)

    class Measured(Asker):
        answered_ms = load.answered_ms

    villages = _villages_make(
        network, server_url, meters, circuits, start, seed, Measured, progress
    )
    people = [
        Consumer(person, village, load, chance) for village in villages for person in village.people
    ]
    cards: list[str] = []

    def card() -> str:
        if not cards:
            cards.extend(tokens_make(count=CARDS_AT_ONCE, value=CARD, note="cards of a load"))
        return cards.pop()

    began = told = time.monotonic()
    pace = _Pace(rate)
    with network:
        now = start
        while now + HOUR <= end:
            now += HOUR
            load.hours += 1
            for village in villages:
                pace.wait(network.courier)
                pace.spend(len(village.meter.advance(now)))
                load.readings += circuits + 1
            for one in people:
                one.hour(now, card)
            if speed:
                time.sleep(max(0.0, began + load.hours / speed - time.monotonic()))
            if time.monotonic() - told > 1:
                told = time.monotonic()
                progress(
                    f"{now:%Y-%m-%d %H:%M}  {load.texts:,} texts, "
                    f"{load.texts / (told - began):,.0f} a second"
                )
        load.settled = settle(network, timeout_s=120)
        load.seconds = time.monotonic() - began
    # Its other side is gone: nothing more is to be sent that way.
    CommunicationInterface.objects.filter(meters=villages[0].row).update(active=False)
    return load


class _Pace:
    """Holds the meters back: to a rate, and to what the network can carry."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._began = time.monotonic()
        self._spent = 0

    def spend(self, texts: int) -> None:
        self._spent += texts

    def wait(self, courier: Courier) -> None:
        if self._rate:
            time.sleep(max(0.0, self._began + self._spent / self._rate - time.monotonic()))
        while courier.waiting > MOST_WAITING:
            time.sleep(0.01)


def _villages_make(
    network: Network,
    server_url: str,
    meters: int,
    circuits: int,
    start: datetime,
    seed: int,
    person: type[Person],
    progress: Callable[[str], object],
) -> list[Village]:
    number = Meter.objects.count()
    prefix = f"+2567{number % 100:02d}"
    interface, gateway = interface_make(
        network,
        server_url=server_url,
        name=name_free("load"),
        phone=f"{prefix}999999",
        region="UG",
    )
    curves = measured_curves()
    villages = []
    for index in range(meters):
        plans = [
            Plan(
                f"household {index}-{place}",
                f"+25676{index:05d}{place:02d}",
                curve=curves[(index * 7 + place * 11 + seed) % len(curves)],
                credit=Decimal(150 + 130 * (place % 7)),
                tariff=TARIFF,
            )
            for place in range(1, circuits + 1)
        ]
        villages.append(
            village_make(
                network,
                interface=interface,
                gateway=gateway,
                name=f"load-{number + index:05d}",
                phone=f"+25675{(number + index) % 10**7:07d}",
                plans=plans,
                start=start,
                time_zone=ZONE,
                low_credit=LOW_CREDIT,
                seed=seed,
                person=person,
            )
        )
        if index % 100 == 99:
            progress(f"{index + 1} meters are made")
    return villages
