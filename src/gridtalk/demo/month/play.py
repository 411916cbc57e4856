"""The month itself: makes the villages, lets the time pass, and hands everything to the judge."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from zlib import crc32

from django.db import connection
from django.test.utils import override_settings

from gridtalk.core import clock
from gridtalk.demo.curves import measured_curves
from gridtalk.demo.meter import Meter, MeterCircuit
from gridtalk.demo.month.diary import Diary
from gridtalk.demo.month.folk import MonthMeter, Vendor, Villager
from gridtalk.demo.month.operator import Operator
from gridtalk.demo.month.rig import MonthNetwork, Rig
from gridtalk.demo.month.troubles import Troubles, troubles_draw
from gridtalk.demo.network import Gateway
from gridtalk.demo.village import interface_make, name_free, tokens_make
from gridtalk.grid import models as grid
from gridtalk.grid.services import meter_create
from gridtalk.messaging.models import CommunicationInterface
from gridtalk.telemetry.services import partitions_ensure

URL = "http://127.0.0.1"
#: Price of a kWh, in hundredths: 2.80 a watt-hour, so that a card lasts some days.
TARIFF = 2800_00
LOW_CREDIT = Decimal(100)
CARDS_AT_ONCE = 100
#: Nobody buys anything so long before the calm: what was begun is to be ended in it.
LAST_BUY = timedelta(hours=10)


@dataclass(frozen=True)
class Country:
    """Where a village may be; ``prefix`` is followed by three digits of it and four of a phone."""

    prefix: str
    region: str
    lang: str
    zone: str
    latitude: str
    longitude: str
    names: tuple[str, ...]


COUNTRIES = (
    Country("+25677", "UG", "en", "Africa/Kampala", "-0.8417", "30.6497",
            ("Kitobo", "Ruhiira", "Kayunga", "Bukasa", "Lwanabatya")),
    Country("+2237", "ML", "fr", "Africa/Bamako", "13.6103", "-5.8094",
            ("Tiby", "Sirakorola", "Banko", "Kolo", "Dioro")),
    Country("+25471", "KE", "sw", "Africa/Nairobi", "-0.4500", "34.3000",
            ("Sauri", "Mfangano", "Takawiri", "Remba", "Ngodhe")),
)  # fmt: skip
FIRST_NAMES = ("Amina", "Bosco", "Zawadi", "Moussa", "Fanta", "Otieno", "Akinyi", "Peter", "Grace",
               "Salif", "Awa", "Juma", "Halima", "David", "Rose", "Ibrahim")  # fmt: skip


@dataclass
class Month:
    """What was made, and what happened: ``story`` holds a line for everything that anybody did."""

    troubles: Troubles
    start: datetime
    end: datetime
    diary: Diary
    rig: Rig
    network: MonthNetwork
    operator: Operator
    meters: dict[int, MonthMeter] = field(default_factory=dict)
    people: dict[int, Villager] = field(default_factory=dict)
    vendors: list[Vendor] = field(default_factory=list)
    interfaces: list[CommunicationInterface] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def digest(self) -> int:
        """A number that is the same for the same story."""
        return crc32("\n".join(self.story).encode())


def month_play(
    *,
    villages: int,
    circuits: int,
    days: float,
    seed: int,
    faults: bool,
    end: datetime | None = None,
    progress: Callable[[str], None] | None = None,
) -> Month:
    """Let ``days`` pass in ``villages`` that end now (or at ``end``); each has one meter.

    On return nothing is under way any more. Needs Django set up, and a database that nothing else
    works on: no worker, for it would live in the present.
    """
    began = time.monotonic()
    end = (end or clock.now()).replace(microsecond=0)
    start = end - timedelta(days=days)
    diary = Diary(start)
    with _settings(), clock.travelling(lambda: diary.now):
        partitions_ensure(since=start, until=end + timedelta(days=31))
        month = _make(diary, villages, circuits, seed, start, end, faults)
        try:
            _pass(month, progress)
        finally:
            month.network.close()
    month.seconds = time.monotonic() - began
    return month


@contextmanager
def _settings() -> Iterator[None]:
    # No bell may call a worker; what a crash could cost here is worth nothing.
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
    with override_settings(GRIDTALK_BELLS=False):
        yield


def _pass(month: Month, progress: Callable[[str], None] | None) -> None:
    day = timedelta(days=1)
    at = month.start
    while at < month.end:
        at = min(at + day, month.end)
        month.diary.run_until(at)
        if progress:
            texts = month.network.texts
            progress(f"{at:%Y-%m-%d}  {texts['up']} texts in, {texts['down']} out")
        with connection.cursor() as cursor:
            # Autovacuum sleeps longer than a simulated week lasts.
            cursor.execute("ANALYZE messages, incoming_messages, jobs, primary_logs, circuits")


def _make(
    diary: Diary,
    villages: int,
    circuits: int,
    seed: int,
    start: datetime,
    end: datetime,
    faults: bool,
) -> Month:
    troubles = troubles_draw(seed=seed, start=start, end=end, faults=faults)
    rig = Rig(diary, troubles)
    network = MonthNetwork(rig)
    story: list[str] = []

    def tell(who: str, what: str) -> None:
        story.append(f"{diary.now - start} {who} {what}")

    meters: dict[int, MonthMeter] = {}
    people: dict[int, Villager] = {}
    operator = Operator(
        rig=rig, network=network, troubles=troubles, meters=meters, people=people, tell=tell
    )
    month = Month(troubles, start, end, diary, rig, network, operator, meters, people, story=story)
    gateways: dict[str, tuple[CommunicationInterface, Gateway]] = {}
    for number in range(villages):
        country = COUNTRIES[number % len(COUNTRIES)]
        if country.region not in gateways:
            gateways[country.region] = interface_make(
                network,
                server_url=URL,
                name=name_free(f"month-{country.region}"),
                phone=f"{country.prefix}0000000",
                region=country.region,
            )
            month.interfaces.append(gateways[country.region][0])
        _village(month, number, country, *gateways[country.region], circuits, tell)
    operator.begin(diary)
    return month


def _village(
    month: Month,
    number: int,
    country: Country,
    interface: CommunicationInterface,
    gateway: Gateway,
    circuits: int,
    tell: Callable[[str, str], None],
) -> None:
    names = country.names
    turn = number // len(COUNTRIES)
    name = name_free(names[turn % len(names)])
    prefix = f"{country.prefix}{number + 1:03d}"
    # Every second meter is of 2012: it forgets the ids of jobs, and sometimes more.
    knows = number % 2 == 0
    seed = month.troubles.seed
    row = meter_create(
        name=name,
        phone=f"{prefix}0000",
        communication_interface=interface,
        time_zone=country.zone,
        circuits=circuits,
        lang=country.lang,
        knows_job_ids=knows,
        low_credit_threshold=LOW_CREDIT,
        location=name,
        latitude=Decimal(country.latitude) + Decimal(turn) / 20,
        longitude=Decimal(country.longitude) + Decimal(turn) / 20,
        battery_capacity=400,
        panel_capacity=1400,
    )
    lines = _lines(row, number, seed)
    local = month.start.astimezone(clock.zone(country.zone)).replace(tzinfo=None)
    meter = MonthMeter(
        month.network,
        Meter(name, local, lines, low_credit=LOW_CREDIT, knows_job_ids=knows, seed=seed),
        number=f"{prefix}0000",
        gateway=gateway.number,
        diary=month.diary,
        zone=country.zone,
        troubles=month.troubles,
        tell=tell,
    )
    month.meters[row.pk] = meter
    vendor = Vendor(
        month.network,
        number=f"{prefix}9999",
        gateway=gateway.number,
        restock=lambda value: tokens_make(count=CARDS_AT_ONCE, value=value, note=f"cards, {name}"),
    )
    month.vendors.append(vendor)
    for index, circuit in enumerate(_consumers(row), 1):
        phone = f"{prefix}{index:04d}"
        person = f"{FIRST_NAMES[(index + number) % len(FIRST_NAMES)]} {name}-{index}"
        grid.Account.objects.filter(circuits=circuit).update(name=person, phone=phone)
        month.people[circuit.pk] = Villager(
            month.network,
            name=person,
            number=phone,
            gateway=gateway.number,
            lang=country.lang,
            pin=circuit.pin,
            address=circuit.ip_address,
            diary=month.diary,
            meter=meter,
            vendor=vendor,
            troubles=month.troubles,
            last_buy=month.end - timedelta(hours=14) - LAST_BUY,
            tell=tell,
        )


def _consumers(row: grid.Meter) -> list[grid.Circuit]:
    return list(row.circuits.filter(is_main=False).order_by("ip_address"))


def _lines(row: grid.Meter, number: int, seed: int) -> dict[str, MeterCircuit]:
    curves = measured_curves()
    lines: dict[str, MeterCircuit] = {}
    for index, circuit in enumerate(_consumers(row)):
        line = MeterCircuit(
            circuit.ip_address,
            curve=curves[(number * 7 + index * 11 + seed) % len(curves)],
            tariff=TARIFF,
            power_max_w=120 if index % 5 == 3 else 400,
            energy_max_wh=300 if index % 4 == 2 else 5000,
        )
        line.credit_set(Decimal(150 + 130 * (index % 7)))
        lines[line.address] = line
    return lines
