"""Villages that live on in real time: meters report circuit by circuit, people text now and then.

Every report has its true time, to the second (``job=pp``), so that pages move without anything
being told from the future. Each village has a past of a week. Needs Django set up.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from gridtalk.core import clock
from gridtalk.demo.curves import measured_curves
from gridtalk.demo.history import history_write
from gridtalk.demo.network import Gateway, Network
from gridtalk.demo.people import Person
from gridtalk.demo.village import Plan, Village, tokens_make, village_make
from gridtalk.gateway.consumer.wire import WORDS
from gridtalk.gateway.meter.wire_encode import encode_pp
from gridtalk.messaging.models import CommunicationInterface

#: About so often a circuit somewhere reports, and a person texts.
REPORT_S, TEXT_S = 3.0, 20.0
CARD = Decimal(500)
TARIFF = 1400_00
LOW_CREDIT = Decimal(100)
PAST = timedelta(days=7)


@dataclass(frozen=True)
class Place:
    """A village beside that of the story."""

    name: str
    latitude: str
    longitude: str
    lang: str
    names: tuple[str, ...]


PLACES = (
    Place("Bukasa", "-0.4300", "32.5200", "en", ("Grace", "Peter", "Halima", "David", "Rose")),
    Place("Lwabaswa", "-0.5600", "32.2700", "sw", ("Juma", "Neema", "Baraka", "Tatu", "Rehema",
                                                    "Hassan", "Mwajuma")),
    Place("Mfangano", "-0.4600", "34.0100", "fr", ("Moussa", "Awa", "Ibrahim", "Fanta", "Salif",
                                                    "Aminata")),
)  # fmt: skip


def neighbours_make(
    network: Network,
    *,
    interface: CommunicationInterface,
    gateway: Gateway,
    prefix: str,
    time_zone: str,
    now: datetime,
    named: Callable[[str], str],
    seed: int,
) -> list[Village]:
    """The villages beside that of the story, with a past up to ``now``, their local time.

    ``prefix`` is what the numbers of all begin with; ``named`` makes a name that is free.
    """
    curves = measured_curves()
    villages = []
    for number, place in enumerate(PLACES, 2):
        plans = [
            Plan(
                name,
                f"{prefix}{number:02d}{index:02d}",
                place.lang,
                curves[(number * 5 + index * 11) % len(curves)],
                Decimal(90 + 170 * index),
                TARIFF,
            )
            for index, name in enumerate(place.names, 1)
        ]
        village = village_make(
            network,
            interface=interface,
            gateway=gateway,
            name=named(place.name),
            phone=f"{prefix}{number:02d}00",
            plans=plans,
            start=now - PAST,
            time_zone=time_zone,
            low_credit=LOW_CREDIT,
            seed=seed,
            pcu_hours=1,
            location=place.name,
            latitude=Decimal(place.latitude),
            longitude=Decimal(place.longitude),
            battery_capacity=40,
            panel_capacity=120,
        )
        history_write(phone=village.meter, row=village.row, until=now)
        villages.append(village)
    return villages


@dataclass
class Living:
    """The life of all villages: call :meth:`second` once a second. The seed decides what happens.

    ``zone`` is that of the villages, ``happened`` tells what nobody texted.
    """

    villages: list[Village]
    network: Network
    zone: str
    seed: int
    happened: Callable[[str], None]
    _cards: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = random.Random(f"living {self.seed}")  # noqa: S311  a simulation
        self._bought: dict[str, float] = {}

    def second(self) -> None:
        """What happens in this second."""
        now = clock.now().astimezone(clock.zone(self.zone)).replace(tzinfo=None, microsecond=0)
        for village in self.villages:
            village.meter.advance(now)
        if self._chance.random() < 1 / REPORT_S:
            self._report(self._chance.choice(self.villages))
        if self._chance.random() < 1 / TEXT_S:
            village = self._chance.choice(self.villages)
            self._text(village, self._chance.choice(village.people))

    def _report(self, village: Village) -> None:
        """One line of the meter says what it has counted, as of now."""
        phone = village.meter
        readings = phone.look(lambda meter: meter.readings())
        reading = self._chance.choice(readings)
        text = encode_pp(reading, meter=village.row.name)
        self.network.say(phone.number, village.gateway.number, text)

    def _text(self, village: Village, person: Person) -> None:
        line = village.circuit_of(person)
        waited = time.monotonic() - self._bought.get(person.number, -1e9)
        if line.credit < LOW_CREDIT and waited > 300:
            self._bought[person.number] = time.monotonic()
            person.say(f"{_word('add_credit', person)} {person.pin} {self._card()}")
            return
        habit = self._chance.randrange(6)
        if not line.status:
            person.say(f"{_word('turn_on', person)} {person.pin}")
        elif habit == 0:
            person.say(f"{_word('turn_off', person)} {person.pin}")
        elif habit == 1:
            person.say(f"{_word('usage', person)} {person.pin}")
        elif habit == 2:
            line.appliance_w = 0 if line.appliance_w else self._chance.choice((40, 80, 150))
            doing = "starts" if line.appliance_w else "stops"
            self.happened(f"{person.name} {doing} a machine")
        else:
            person.say(f"{_word('balance', person)} {person.pin}")

    def _card(self) -> str:
        if not self._cards:
            self._cards = tokens_make(count=50, value=CARD, note="scratch cards of the villages")
        return self._cards.pop()


def _word(action: str, person: Person) -> str:
    words = WORDS[action]
    return (words.get(person.lang) or words.get("en") or words[""])[0]
