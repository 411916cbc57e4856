"""Months of reports for thousands of meters, written straight into the tables in minutes.

What a server holds that has run for long: meters, circuits, hourly reports, power units' reports,
cards redeemed and credited, the ledger. Numbers are whole cents and tenths of a watt-hour, so that
``gridtalk verify`` finds what it would find after the real thing. Needs Django set up, and no other
writer meanwhile.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import connection, transaction

from gridtalk.core import clock
from gridtalk.core.errors import UserError
from gridtalk.core.fields import id_at
from gridtalk.core.secrets import key_new
from gridtalk.demo.curves import measured_curves
from gridtalk.demo.past_books import CARD, consumption_write, copy, credits_write, parts
from gridtalk.gateway.meter.wire_encode import encode_pcu
from gridtalk.grid.models import Meter
from gridtalk.grid.services import MOST_CIRCUITS, meter_create
from gridtalk.messaging.models import CommunicationInterface
from gridtalk.messaging.services import interface_create
from gridtalk.telemetry.services import partitions_ensure

HOUR = timedelta(hours=1)
#: Hundredths of the currency for a tenth of a watt-hour.
TARIFF = 14
#: The credit below which people buy a card, in hundredths.
LOW = 100_00
#: How long a report is on its way, at least; each meter has its own.
LATENCY_S = 15
ZONES = ("Africa/Kampala", "Africa/Bamako", "Africa/Nairobi")
FACTORS = 16
#: A power unit reports so often, in hours.
PCU_HOURS = 6


@dataclass(slots=True)
class Line:
    """A circuit while its past is written; credit in hundredths, energy in tenths of a Wh."""

    circuit_id: int
    curve: int
    credit: int
    turn: int
    credit_as_of: str = ""
    today: int = 0
    use_s: int = 0
    status: int = 1
    buys_in: int = 0


@dataclass(slots=True)
class Village:
    """A meter while its past is written; ``ahead_h`` is what its zone is ahead of UTC."""

    meter_id: int
    mains_id: int
    ahead_h: int
    latency_s: int
    lines: list[Line]
    number: int
    mains_today: int = 0


@dataclass
class Past:
    """What was written."""

    meters: int = 0
    circuits: int = 0
    logs: int = 0
    pcu_logs: int = 0
    credits: int = 0
    postings: int = 0
    seconds: float = 0.0
    sold: list[tuple[int, datetime]] = field(default_factory=list)


def past_make(
    *,
    meters: int,
    circuits: int,
    days: int,
    seed: int = 1,
    progress: Callable[[str], object] = str,
) -> Past:
    """Make ``meters`` meters of ``circuits`` circuits, and their last ``days`` days, up to now.

    Raises :class:`UserError` where there would be nothing to write.
    """
    if min(meters, circuits, days) < 1:
        raise UserError("a past needs at least one meter, one circuit and one day")
    began = time.monotonic()
    with connection.cursor() as cursor:
        # A power cut now would cost what can be made again.
        cursor.execute("SET synchronous_commit = off")
    end = clock.now().replace(minute=0, second=0, microsecond=0)
    start = end - timedelta(days=days)
    partitions_ensure(since=start, until=end + timedelta(days=31))
    past = Past(meters=meters, circuits=meters * circuits)
    chance = random.Random(f"past {seed}")  # noqa: S311  a simulation
    villages = _villages_make(meters, circuits, chance, progress)
    progress(f"{meters:,} meters with {meters * circuits:,} circuits are there")
    with transaction.atomic():
        _reports_write(villages, start, end, chance, past, progress)
        _circuits_show(villages, end)
        credits_write(past.sold, end)
        past.credits = len(past.sold)
    progress(f"{past.credits:,} credits are in the books; posting the consumption")
    past.postings = consumption_write(start)
    with connection.cursor() as cursor:
        # Autovacuum would do both by and by, while years of real reports come in.
        cursor.execute("VACUUM ANALYZE")
    past.seconds = time.monotonic() - began
    return past


# --- meters -------------------------------------------------------------------------------------


def _villages_make(
    meters: int, circuits: int, chance: random.Random, progress: Callable[[str], object]
) -> list[Village]:
    interface = _interface()
    first = Meter.objects.count()
    curves = measured_curves()
    made = []
    now = clock.now()
    for number in range(first, first + meters):
        zone = ZONES[number % len(ZONES)]
        row = meter_create(
            name=f"village-{number:05d}",
            phone=f"+25678{number:07d}",
            communication_interface=interface,
            circuits=circuits,
            time_zone=zone,
            knows_job_ids=True,
            low_credit_threshold=Decimal(LOW).scaleb(-2),
            latitude=Decimal(chance.randrange(-3_000_000, 4_000_000)).scaleb(-6),
            longitude=Decimal(chance.randrange(29_000_000, 35_000_000)).scaleb(-6),
            location=f"district {number % 40}",
        )
        offset = now.astimezone(clock.zone(zone)).utcoffset() or timedelta(0)
        rows = list(row.circuits.order_by("ip_address"))
        made.append(
            Village(
                row.pk,
                rows[0].pk,
                int(offset / HOUR),
                LATENCY_S + chance.randrange(60),
                [
                    Line(
                        circuit.pk,
                        chance.randrange(len(curves)),
                        chance.randrange(50_00, 2000_00),
                        chance.randrange(FACTORS),
                    )
                    for circuit in rows[1:]
                ],
                number,
            )
        )
        if number % 200 == 199:
            progress(f"{number + 1 - first:,} meters are made")
    _phones_give()
    return made


def _interface() -> CommunicationInterface:
    """An interface which nothing is sent through: nobody listens at its other side."""
    name = "past"
    found = CommunicationInterface.objects.filter(name=name).first()
    if found is None:
        found, _key = interface_create(
            kind="kannel", name=name, provider="written, never sent", phone="+256780000000",
            region="UG", host="127.0.0.1", port=9, username="past", password=key_new(),
        )  # fmt: skip
        CommunicationInterface.objects.filter(pk=found.pk).update(active=False)
        found.active = False
    return found


def _phones_give() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE accounts SET phone = '+25679' || lpad(id::text, 7, '0')"
            " WHERE phone = '' AND name LIKE 'village-%%'"
        )


# --- reports ------------------------------------------------------------------------------------


def _reports_write(
    villages: list[Village],
    start: datetime,
    end: datetime,
    chance: random.Random,
    past: Past,
    progress: Callable[[str], object],
) -> None:
    #: What a curve draws in an hour, by hour of day and by how the hour differs: tenths of a Wh.
    table = [
        [[watts * 10 * chance.randrange(60, 141) // 100 for _ in range(FACTORS)] for watts in curve]
        for curve in measured_curves()
    ]
    at = start
    began = time.monotonic()
    while at < end:
        at += HOUR
        parents: list[str] = []
        children: list[str] = []
        _hour(villages, table, at, chance, past, parents, children)
        copy("logs (id, kind, received_at)", parents)
        copy(
            "primary_logs (id, circuit_id, latency_s, meter_time, watthours, use_time_s, status,"
            " credit)",
            children,
        )
        past.logs += len(children)
        if at.hour % PCU_HOURS == 0:
            past.pcu_logs += _pcu_write(villages, at)
        if at.hour == 0:
            speed = past.logs / (time.monotonic() - began)
            progress(f"{at:%Y-%m-%d}  {past.logs:,} reports ({speed:,.0f} a second)")


def _hour(
    villages: list[Village],
    table: list[list[list[int]]],
    at: datetime,
    chance: random.Random,
    past: Past,
    parents: list[str],
    children: list[str],
) -> None:
    """One hour of every meter: what was drawn until ``at``, and the report of it."""
    stamp = at.isoformat()
    # Above those of an earlier past, whose meters were fewer.
    log_id = id_at(at + timedelta(seconds=LATENCY_S)) + villages[0].number * (MOST_CIRCUITS + 1)
    turn = at.hour * 7 + at.toordinal()
    for village in villages:
        # The hour that ends at midnight belongs to the day before, whose counter is sent once more.
        hour = (at.hour + village.ahead_h - 1) % 24
        if hour == 0:
            village.mains_today = 0
        total = 30
        received = f"primary\t{(at + timedelta(seconds=village.latency_s)).isoformat()}\n"
        latency = village.latency_s
        place = len(children)
        children.append("")
        log_id += 1
        mains_log = log_id
        parents.append(f"{log_id}\t{received}")
        for line in village.lines:
            if hour == 0:
                line.today = line.use_s = 0
            if line.status:
                drawn = table[line.curve][hour][(line.turn + turn) % FACTORS]
                if drawn * TARIFF > line.credit:
                    drawn, line.status = line.credit // TARIFF, 0
                if drawn:
                    line.use_s += 3600
                    line.today += drawn
                    line.credit -= drawn * TARIFF
                    total += drawn
            if line.credit < LOW:
                _buys(line, at, chance, past)
            log_id += 1
            parents.append(f"{log_id}\t{received}")
            children.append(
                f"{log_id}\t{line.circuit_id}\t{latency}\t{stamp}\t{line.today // 10}."
                f"{line.today % 10}\t{line.use_s}\t{line.status}\t"
                f"{line.credit // 100}.{line.credit % 100:02d}\n"
            )
        village.mains_today += total
        children[place] = (
            f"{mains_log}\t{village.mains_id}\t{latency}\t{stamp}\t{village.mains_today // 10}."
            f"{village.mains_today % 10}\t{(hour + 1) * 3600}\t1\t\\N\n"
        )


def _buys(line: Line, at: datetime, chance: random.Random, past: Past) -> None:
    """Sooner or later after the credit ran low, a card is credited half an hour before a report."""
    if not line.buys_in:
        line.buys_in = chance.randrange(2, 30)
    line.buys_in -= 1
    if not line.buys_in:
        line.credit += CARD
        line.status = 1
        past.sold.append((line.circuit_id, at - HOUR / 2))


def _pcu_write(villages: list[Village], at: datetime) -> int:
    parents, children = [], []
    log_id = id_at(at + timedelta(seconds=LATENCY_S + 300)) + villages[0].number
    for village in villages:
        local = (at + timedelta(hours=village.ahead_h)).replace(tzinfo=None)
        sun = max(0, 36 - (local.hour - 12) ** 2) if 6 <= local.hour <= 18 else 0
        days = Decimal(local.toordinal() % 1000) * 4
        values: list[Decimal | None] = [
            days + Decimal(local.hour) / 6,
            days * 9 / 10,
            days * 8 / 10,
            Decimal(4850 + sun * 8).scaleb(-2),
            Decimal(sun * 8).scaleb(-1),
            Decimal(4 if sun else 25).scaleb(-1),
            Decimal(sun * 6).scaleb(-1),
            Decimal(660 if sun else 0).scaleb(-1),
            Decimal(230 + sun * 2).scaleb(-1),
        ]
        values = [None if value is None else round(value, 3) for value in values]
        log_id += 1
        received = at + timedelta(seconds=LATENCY_S + 300)
        raw = encode_pcu(meter_time=local, values=values)
        parents.append(f"{log_id}\tpcu\t{received.isoformat()}\n")
        columns = "\t".join(str(value) for value in values)
        children.append(f"{log_id}\t{village.meter_id}\t{at.isoformat()}\t{raw}\t{columns}\n")
    copy("logs (id, kind, received_at)", parents)
    copy(
        "pcu_logs (id, meter_id, meter_time, raw, cumulative_kwh_solar,"
        " cumulative_kwh_battery_charge, cumulative_kwh_discharge, battery_volts, battery_charge,"
        " battery_discharge, solar_amps, solar_volts, battery_temp)",
        children,
    )
    return len(children)


def _circuits_show(villages: list[Village], end: datetime) -> None:
    """Each circuit shows its last report."""
    rows: list[tuple[int, Decimal, datetime | None, int, datetime]] = []
    for village in villages:
        received = end + timedelta(seconds=village.latency_s)
        rows.append((village.mains_id, Decimal(0), None, 1, received))
        rows += [
            (line.circuit_id, Decimal(line.credit).scaleb(-2), end, line.status, received)
            for line in village.lines
        ]
    with connection.cursor() as cursor:
        for part in parts(rows, 20_000):
            ids, credits_, credited, status, received_at = (
                list(column) for column in zip(*part, strict=True)
            )
            cursor.execute(
                "UPDATE circuits AS c SET credit = v.credit, credit_as_of = v.credited,"
                " status = v.status, status_as_of = %s, last_reported_at = v.received,"
                " last_meter_time = %s FROM unnest(%s::int[], %s::numeric[], %s::timestamptz[],"
                " %s::smallint[], %s::timestamptz[]) AS v(id, credit, credited, status, received)"
                " WHERE c.id = v.id",
                [end, end, ids, credits_, credited, status, received_at],
            )
