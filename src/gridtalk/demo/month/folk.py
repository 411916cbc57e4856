"""Who lives in the villages of the month: meters that fail, consumers with habits, a vendor."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from gridtalk.demo.meter import Meter, MeterCircuit
from gridtalk.demo.month.diary import Diary
from gridtalk.demo.month.troubles import Troubles, spans_draw
from gridtalk.demo.network import Network
from gridtalk.demo.people import MeterPhone, Person
from gridtalk.gateway.consumer.wire import WORDS
from gridtalk.gateway.meter import wire
from gridtalk.gateway.meter.wire_encode import MeterJob, encode_ack, parse_job

#: What a scratch card is worth.
VALUES = (Decimal(500), Decimal(1000), Decimal(2500))
#: How often a meter looks at its limits.
STEP = timedelta(minutes=15)
#: The longest brownout.
LONGEST = timedelta(hours=1)
#: A clock that lost its battery begins here.
RESET = datetime(2000, 1, 1)  # noqa: DTZ001  a meter's local time

Tell = Callable[[str, str], None]


class MonthMeter(MeterPhone):
    """A meter whose clock drifts, jumps and is reset, whose power is cut, which forgets.

    ``said`` holds the last credit that it told of each circuit; ``forgotten`` the credits that it
    had applied and lost in a power cut, by job.
    """

    def __init__(
        self,
        network: Network,
        meter: Meter,
        *,
        number: str,
        gateway: str,
        diary: Diary,
        zone: str,
        troubles: Troubles,
        tell: Tell,
    ) -> None:
        super().__init__(network, meter, number=number, gateway=gateway)
        self.said: dict[str, Decimal] = {}
        self.forgotten: Counter[int] = Counter()
        self._diary, self._zone, self._tell = diary, ZoneInfo(zone), tell
        self._chance = random.Random(f"{meter.name} {troubles.seed}")  # noqa: S311  a simulation
        self._began, self._calm, self._last = diary.now, troubles.calm, troubles.last
        self._offset = timedelta(0)
        self._drift = 0.0
        self._brownouts = troubles.brownouts
        self._kept: dict[str, tuple[int, int, str]] = {}
        self._since_kept: list[int] = []
        diary.every(STEP, self.live, first=diary.now + STEP)
        if troubles.meters:
            self._fail(troubles)

    def _fail(self, troubles: Troubles) -> None:
        diary, start, end = self._diary, self._diary.now, troubles.calm
        # Seconds a second: up to half an hour in a month, either way.
        self._drift = self._chance.uniform(-7e-4, 7e-4)
        for off, on in spans_draw(self._chance, start, end, every_hours=100, longest_minutes=360):
            diary.at(off, self.cut)
            diary.at(on, self.mended)
        for off, on in spans_draw(self._chance, start, end, every_hours=400, longest_minutes=600):
            diary.at(off, self._clock_jump)
            diary.at(on, self._clock_set)
        diary.at(end, self._clock_set)

    # --- time ------------------------------------------------------------------------------------

    def local(self) -> datetime:
        """What its clock shows."""
        true = self._diary.now.astimezone(self._zone).replace(tzinfo=None)
        return true + self._offset + (self._diary.now - self._began) * self._drift

    def live(self) -> None:
        """Let it count up to now."""
        if self._diary.now > self._last:
            return
        self.advance(self.local())
        self._keep()

    def advance(self, until: datetime) -> list[str]:
        """Let the meter's clock run, and note what it says."""
        said = super().advance(until)
        for text in said:
            self._note(text)
        return said

    def _note(self, text: str) -> None:
        message = wire.parse(text)
        if isinstance(message, wire.PrimaryLogs):
            for entry in message.entries:
                if entry.credit is not None:
                    self.said[entry.cid] = entry.credit

    def _keep(self) -> None:
        """Once an hour a meter of 2012 writes down what it has; in between it may forget."""
        if self.meter.powered and self.meter.now.minute < STEP.seconds // 60:
            self._kept = {
                address: (line.credit_fine, line.status, line.off_for)
                for address, line in self.meter.circuits.items()
            }
            self._since_kept = []

    # --- what it hears ---------------------------------------------------------------------------

    def hear(self, sender: str, text: str) -> None:
        """A text has arrived."""
        if not self.meter.powered:
            return
        self.advance(self.local())
        before = len(self.meter.applied)
        fails = self._browns_out(text)
        if fails:
            self.meter.hear(text)
        else:
            super().hear(sender, text)
        for credit in self.meter.applied[before:]:
            self._since_kept.append(credit.job_id)
            self.said[credit.address] = self.meter.circuits[credit.address].credit
            self._tell(self.meter.name, f"adds {credit.amount} to {credit.address[-3:]}")
        if fails:
            self.cut()

    def _browns_out(self, text: str) -> bool:
        """Whether this credit costs it its power before it can say that it has it."""
        job = parse_job(text)
        if not isinstance(job, MeterJob) or job.kind != "add_credit":
            return False
        if self._chance.random() >= self._brownouts or self._diary.now >= self._calm - LONGEST:
            return False
        self._diary.post(self.mended, delay_s=self._chance.uniform(300, LONGEST.total_seconds()))
        return True

    def acknowledge_again(self, job_id: int, address: str) -> None:
        """A technician makes it repeat that a job is done."""
        line = self.meter.circuits[address]
        text = encode_ack(
            job_id=job_id, status=line.status, credit=line.credit, meter_time=self.meter.now
        )
        self.said[address] = line.credit
        self._tell(self.meter.name, "says again that a job is done")
        self._network.say(self.number, self._gateway, text)

    # --- what fails ------------------------------------------------------------------------------

    def cut(self) -> None:
        """The power is cut."""
        if self.meter.powered:
            self.live()
            self._tell(self.meter.name, "has no power")
            self.power_off()

    def mended(self) -> None:
        """The power is back; a meter of 2012 has what it wrote down last, and no more."""
        if self.meter.powered:
            return
        if not self.meter.knows_job_ids and self._kept and self._chance.random() < 0.7:
            for address, (fine, status, off_for) in self._kept.items():
                line = self.meter.circuits[address]
                line.credit_fine, line.status, line.off_for = fine, status, off_for
            for job_id in self._since_kept:
                self.forgotten[job_id] += 1
            self._tell(self.meter.name, f"forgot {len(self._since_kept)} credits")
            self._since_kept = []
        self.advance(self.local())
        self._tell(self.meter.name, "has power")
        self.power_on()

    def _clock_jump(self) -> None:
        """Its clock is set wrongly: hours ahead, a little behind, or at its beginning."""
        self.live()
        kind = self._chance.randrange(3)
        shown = self.local()
        if kind == 0:
            self._offset += timedelta(hours=self._chance.randint(2, 40))
        elif kind == 1:
            self._offset -= timedelta(minutes=self._chance.randint(5, 600))
        else:
            self._offset += RESET - shown
        self.meter.now = self.local().replace(microsecond=0)
        self._tell(self.meter.name, f"has a clock that shows {self.meter.now:%Y-%m-%d}")

    def _clock_set(self) -> None:
        self.live()
        if not self._offset and not self._drift:
            return
        self._offset = timedelta(0)
        if self._diary.now >= self._calm:
            self._drift = 0.0
        self.meter.now = self.local().replace(microsecond=0)
        self._tell(self.meter.name, "has its clock set right")


class Vendor(Person):
    """Sells scratch cards, and texts for those without a phone at hand."""

    def __init__(
        self,
        network: Network,
        *,
        number: str,
        gateway: str,
        restock: Callable[[Decimal], list[str]],
    ) -> None:
        super().__init__(network, name="vendor", number=number, gateway=gateway)
        self._restock = restock
        self._stock: dict[Decimal, list[str]] = {}
        self.sold = Decimal(0)

    def sell(self, value: Decimal) -> str:
        """A card; where none is left, the operator makes a new batch."""
        stock = self._stock.setdefault(value, [])
        if not stock:
            stock += self._restock(value)
        self.sold += value
        return stock.pop(0)


class Villager(Person):
    """A consumer with habits: asks, buys when the credit runs low, switches off at night."""

    def __init__(
        self,
        network: Network,
        *,
        name: str,
        number: str,
        gateway: str,
        lang: str,
        pin: str,
        address: str,
        diary: Diary,
        meter: MonthMeter,
        vendor: Vendor,
        troubles: Troubles,
        last_buy: datetime,
        tell: Tell,
    ) -> None:
        super().__init__(
            network, name=name, number=number, gateway=gateway, lang=lang, pin=pin, address=address
        )
        self._diary, self._meter, self._vendor, self._tell = diary, meter, vendor, tell
        self._chance = random.Random(f"{number} {troubles.seed}")  # noqa: S311  a simulation
        self._last_buy = last_buy
        self._buys_until = diary.now
        self.used: list[str] = []
        first = diary.now + timedelta(hours=self._chance.uniform(0, 24))
        diary.every(timedelta(hours=24), self.day, first=first)

    @property
    def line(self) -> MeterCircuit:
        """Their circuit at the meter."""
        return self._meter.meter.circuits[self.address]

    def hear(self, sender: str, text: str) -> None:
        """A text has arrived: it may be about their credit."""
        super().hear(sender, text)
        if self.line.low_told or not self.line.credit_fine:
            self._plan_buy()

    def day(self) -> None:
        """What they do today."""
        if self._diary.now >= self._last_buy:
            return
        chance = self._chance.random
        if self.line.low_told or not self.line.credit_fine:
            self._plan_buy()
        if self.line.off_for == "pmax" or chance() < 0.04:
            self._ask("turn_on")
        if chance() < 0.25:
            self._ask("balance")
        if chance() < 0.06:
            self._ask("usage")
        if chance() < 0.05:
            self._ask("turn_off")
            self._later(self._chance.uniform(0.05, 9), lambda: self._ask("turn_on"))
        if chance() < 0.02:
            self._say("hello?", "says hello")
        if chance() < 0.02:
            self._say(f"{self._word('balance')} {int(self.pin) + 1}", "mistypes the account")
        if chance() < 0.02 and self.used:
            self._say(self._add(self.used[-1]), "tries a used card")
        if chance() < 0.03:
            self.line.appliance_w = self._chance.choice((0, 0, 60, 150, 450))

    def give(self, token: str) -> None:
        """They get a card in place of one whose credit did not arrive."""
        self._later(self._chance.uniform(0.1, 2), lambda: self._redeem(token))

    def _plan_buy(self) -> None:
        now = self._diary.now
        if now < self._buys_until or now >= self._last_buy:
            return
        self._buys_until = now + timedelta(hours=12)
        self._later(self._chance.uniform(0.2, 8), self._buy)

    def _buy(self) -> None:
        if self._diary.now < self._last_buy:
            self._redeem(self._vendor.sell(self._chance.choice(VALUES)))

    def _redeem(self, token: str) -> None:
        chance = self._chance.random
        if chance() < 0.05:
            wrong = token[:-1] + str((int(token[-1]) + 5) % 10)
            self._say(self._add(wrong), "mistypes a card")
        if chance() < 0.15:
            self._tell(self.name, "has the vendor redeem a card")
            self._vendor.say(self._add(token))
        else:
            self._say(self._add(token), "redeems a card")
        if chance() < 0.08:
            self._say(self._add(token), "redeems it twice")
        if chance() < 0.5:
            # Impatient, or careful: the text may have been lost.
            self._later(3, lambda: self._say(self._add(token), "redeems it again, to be sure"))
        else:
            self._later(9, lambda: self._say(self._add(token), "redeems it again the next day"))
        self.used.append(token)

    def _add(self, token: str) -> str:
        form = self._chance.choice(
            ("{w} {p} {t}", "{w}.{p}.{t}", "*{w}*{p}*{t}#", "{w}  {p} {a} {b}")
        )
        word = "9" if form.startswith("*") else self._word("add_credit")
        return form.format(w=word, p=self.pin, t=token, a=token[:4], b=token[4:])

    def _ask(self, action: str) -> None:
        self._say(f"{self._word(action)} {self.pin}", action)

    def _word(self, action: str) -> str:
        words = WORDS[action]
        return (words.get(self.lang) or words.get("en") or words[""])[0]

    def _say(self, text: str, told: str) -> None:
        self._tell(self.name, told)
        self.say(text)

    def _later(self, hours: float, do: Callable[[], None]) -> None:
        self._diary.post(do, delay_s=hours * 3600)
