"""The story: a day in a small village, played in a minute against a running server.

The hours are counted from the day's beginning, 24 hours ago, so that no meter's time is ever in the
future. Whatever should happen is awaited with a deadline; what does not happen ends the story with
a sentence that says what was missed.
"""

import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

from gridtalk.core import money
from gridtalk.core.errors import PeerError
from gridtalk.demo.network import Network
from gridtalk.demo.people import Person
from gridtalk.demo.telling import Teller
from gridtalk.demo.village import Village, settle

QUARTER = timedelta(minutes=15)
#: How long a text may be on its way before the story gives up.
DEADLINE_S = 20.0
#: What Amina's sewing machine and Zawadi's kettle draw, in watts.
SEWING_W, KETTLE_W = 130, 90
_AMOUNTS = re.compile(r"\d+\.\d\d")


class StoryFailed(PeerError):  # noqa: N818  named for what happened
    """Something that should have happened in the village did not."""


class Story:
    """Plays the day. ``pace_s`` is how long an hour takes; 0 waits for nothing but the server.

    ``tokens`` are the numbers of scratch cards worth ``token_value`` each; three are used.
    """

    def __init__(
        self,
        *,
        village: Village,
        network: Network,
        teller: Teller,
        tokens: list[str],
        token_value: Decimal,
        friend: Person,
        clock: "VillageClock",
        pace_s: float = 2.0,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self.amina, self.bosco, self.zawadi = village.people
        self.friend = friend
        self._village, self._network, self._teller = village, network, teller
        self._tokens, self._value = list(tokens), token_value
        self._clock, self._pace_s, self._deadline_s = clock, pace_s, deadline_s
        self.redeemed: list[str] = []

    def play(self) -> None:
        """The whole day; :class:`StoryFailed` where something did not happen."""
        for chapter in (
            self._morning,
            self._sewing,
            self._scratch_card,
            self._used_card,
            self._lights_out,
            self._off_and_on,
            self._power_cut,
            self._looking_back,
        ):
            chapter()
        self._teller.chapter("The rest of the day")
        self._pass_until(self._clock.end)

    # --- chapters --------------------------------------------------------------------------------

    def _morning(self) -> None:
        self._teller.chapter("The meter reports, every hour; three households ask what is left")
        self._pass(hours=2)
        self._ask_balance(self.amina, f"bal {self.amina.pin}")
        self._ask_balance(self.bosco, f"solde.{self.bosco.pin}")
        self._ask_balance(self.zawadi, f"Salio  {self.zawadi.pin}")

    def _sewing(self) -> None:
        self._teller.chapter("Amina sews a wedding dress; her credit runs low")
        since = len(self.amina.inbox)
        line = self._village.circuit_of(self.amina)
        line.appliance_w = SEWING_W
        self._teller.happened("Amina starts her sewing machine")
        self._pass_until_true(lambda: line.low_told, "Amina's credit to run low")
        line.appliance_w = 0
        text = self._await(self.amina, since, self._about(self.amina), "a warning of low credit")
        self._teller.happened(f"Amina stops sewing: “{text}”")

    def _scratch_card(self) -> None:
        self._teller.chapter("She buys a scratch card; a friend types it wrong, then she types it")
        token = self._tokens.pop(0)
        wrong = token[:-1] + str((int(token[-1]) + 5) % 10)
        self._ask(self.friend, f"add {self.amina.pin} {wrong}", "what is wrong with the token")
        self._redeem(
            self.amina, f"add.{self.amina.pin}.{token[:4]} {token[4:8]} {token[8:]}", token
        )

    def _used_card(self) -> None:
        self._teller.chapter("Zawadi finds the card in the sand and tries it again")
        token = self.redeemed[-1]
        before = self._applied()
        text = f"ongeza {self.zawadi.pin} {token}"
        self._ask(self.zawadi, text, "that the token was used before")
        self._settle()
        if self._applied() != before:
            raise StoryFailed("a token that was used before brought credit to the meter")

    def _lights_out(self) -> None:
        self._teller.chapter("Zawadi's kettle uses up her credit; a card brings the light back")
        since = len(self.zawadi.inbox)
        line = self._village.circuit_of(self.zawadi)
        line.appliance_w = KETTLE_W
        self._pass_until_true(lambda: not line.status, "Zawadi's credit to be used up")
        line.appliance_w = 0
        self._teller.happened("Zawadi's light goes out")
        self._await(self.zawadi, since, self._about(self.zawadi), "that her credit is used up")
        token = self._tokens.pop(0)
        self._redeem(self.zawadi, f"*9*{self.zawadi.pin}*{token}#", token)
        if not line.status:
            raise StoryFailed("Zawadi has credit, but her light did not come back")
        self._teller.happened("Zawadi's light is on again")

    def _off_and_on(self) -> None:
        self._teller.chapter("Jean-Bosco closes his shop for an hour")
        line = self._village.circuit_of(self.bosco)
        for word, status, told in (("off", 0, "dark"), ("on", 1, "open")):
            self._ask(self.bosco, f"{word} {self.bosco.pin}", "an answer to off and on",
                      self._about(self.bosco))  # fmt: skip
            if line.status != status:
                raise StoryFailed(f"the shop should be {told}, and is not")
            self._teller.happened(f"the shop is {told}")
            self._pass(hours=1)

    def _power_cut(self) -> None:
        self._teller.chapter("A cable breaks: the meter is dark for two hours, and a card waits")
        self._village.meter.power_off()
        self._teller.happened("the meter has no power")
        since, token = len(self.friend.inbox), self._tokens.pop(0)
        before = self._village.circuit_of(self.amina).credit
        self.friend.say(f"add {self.amina.pin} {token}")
        self._pass(hours=2)
        if self._village.circuit_of(self.amina).credit != before:
            raise StoryFailed("a meter without power took a credit")
        self._teller.happened("the cable is mended")
        self._village.meter.power_on()
        self._credited(self.amina, token, before, teller_of=self.friend, since=since)

    def _looking_back(self) -> None:
        self._teller.chapter("What was used?")
        self._ask(self.amina, f"use {self.amina.pin}", "what was used", self._amount_of(self.amina))
        self._ask(self.zawadi, "matumizi", "how to ask for what was used")
        text = f"matumizi {self.zawadi.pin}"
        self._ask(self.zawadi, text, "what was used", self._amount_of(self.zawadi))

    # --- what they are made of -------------------------------------------------------------------

    def _ask(
        self,
        person: Person,
        text: str,
        awaited: str,
        wanted: Callable[[str], bool] = bool,
    ) -> str:
        since = len(person.inbox)
        person.say(text)
        return self._await(person, since, wanted, awaited)

    def _await(
        self, person: Person, since: int, wanted: Callable[[str], bool], awaited: str
    ) -> str:
        text = person.await_text(wanted, since=since, timeout_s=self._deadline_s)
        if text is None:
            raise StoryFailed(
                f"{person.name} waited {self._deadline_s:g} s for {awaited}; what came was: "
                f"{[heard.text for heard in person.inbox[since:]] or 'nothing'}"
            )
        self._minute()
        return text

    def _ask_balance(self, person: Person, text: str) -> None:
        credit = money.shown(self._reported[person.address])
        self._ask(person, text, f"the balance of {credit}", lambda answer: credit in answer)

    def _redeem(self, person: Person, text: str, token: str) -> None:
        before = self._village.circuit_of(person).credit
        since = len(person.inbox)
        person.say(text)
        self._credited(person, token, before, teller_of=person, since=since)

    def _credited(
        self, person: Person, token: str, before: Decimal, *, teller_of: Person, since: int
    ) -> None:
        """Await the answer with the new credit, and look at the meter itself: once, no more."""
        after = before + self._value

        def says_so(text: str) -> bool:
            return any(_near(Decimal(amount), after) for amount in _AMOUNTS.findall(text))

        self._await(teller_of, since, says_so, f"the confirmation of about {after}")
        found = self._village.circuit_of(person).credit
        if not _near(found, after):
            raise StoryFailed(f"the meter should show about {after} and shows {found}")
        self.redeemed.append(token)

    def _about(self, person: Person) -> Callable[[str], bool]:
        return lambda text: person.pin in text

    def _amount_of(self, person: Person) -> Callable[[str], bool]:
        return lambda text: person.pin in text and _AMOUNTS.search(text) is not None

    def _applied(self) -> int:
        """How many credits the meter has added so far."""
        return self._village.meter.look(lambda meter: len(meter.applied))

    def _credits(self) -> dict[str, Decimal]:
        return self._village.meter.look(
            lambda meter: {address: line.credit for address, line in meter.circuits.items()}
        )

    # --- time ------------------------------------------------------------------------------------

    def _minute(self) -> None:
        """A conversation takes a minute of the village's time."""
        self._advance(min(self._clock.now + timedelta(minutes=1), self._clock.end))

    def _pass(self, *, hours: int) -> None:
        self._pass_until(min(self._clock.now + timedelta(hours=hours), self._clock.end))

    def _pass_until(self, until: datetime) -> None:
        while self._clock.now < until:
            self._advance(min(self._next_quarter(), until))
            time.sleep(self._pace_s / 4)
        self._settle()

    def _pass_until_true(self, true: Callable[[], object], awaited: str) -> None:
        limit = self._clock.now + timedelta(hours=6)
        while not true():
            if self._clock.now >= min(limit, self._clock.end):
                raise StoryFailed(f"the village waited until {self._clock.now:%H:%M} for {awaited}")
            self._advance(self._next_quarter())
            time.sleep(self._pace_s / 4)
        self._settle()

    def _next_quarter(self) -> datetime:
        now = self._clock.now
        return now.replace(minute=now.minute // 15 * 15, second=0) + QUARTER

    def _advance(self, until: datetime) -> None:
        hour = self._clock.now.replace(minute=0, second=0)
        self._clock.now = until
        self._village.meter.advance(until)
        if until.replace(minute=0, second=0) != hour:
            self._reported = self._credits()

    def _settle(self) -> None:
        if settle(self._network, timeout_s=self._deadline_s):
            return
        statuses = sorted(set(self._network.refused.values()))
        raise StoryFailed(
            f"after {self._deadline_s:g} s the server has still not handled all that it was given"
            + (f"; it answered {', '.join(map(str, statuses))}" if statuses else "")
        )


def _near(found: Decimal, awaited: Decimal) -> bool:
    """Whether that is the credit, less what was used in the seconds that a job takes."""
    return awaited - 1 <= found <= awaited


class VillageClock:
    """What time it is in the village, naive local time; moved by the story, up to ``end``."""

    def __init__(self, end: datetime) -> None:
        self.end = end.replace(tzinfo=None, second=0, microsecond=0)
        self.now = self.end - timedelta(days=1)
