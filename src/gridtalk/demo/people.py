"""Who has a phone in the village: consumers, their friends, and the meter's modem."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from gridtalk.demo.meter import Meter
from gridtalk.demo.network import Network

Seen = TypeVar("Seen")
#: So that no two acknowledgements are of the same time.
JOB_TIME = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Heard:
    """A text that arrived at a phone."""

    sender: str
    text: str


class Person:
    """Somebody with a phone, and perhaps a circuit: ``pin`` is their account number.

    ``gateway`` is the number that they text. ``inbox`` holds what arrived, in order.
    """

    def __init__(
        self,
        network: Network,
        *,
        name: str,
        number: str,
        gateway: str,
        lang: str = "en",
        pin: str = "",
        address: str = "",
    ) -> None:
        self.name, self.number, self.lang = name, number, lang
        self.pin, self.address = pin, address
        self.inbox: list[Heard] = []
        self._network, self._gateway = network, gateway
        self._arrived = threading.Condition()
        network.phone_add(self)

    def hear(self, sender: str, text: str) -> None:
        """A text has arrived (on a thread of the network)."""
        with self._arrived:
            self.inbox.append(Heard(sender, text))
            self._arrived.notify_all()

    def say(self, text: str) -> str:
        """Text the gateway; returns the network's id of the text."""
        return self._network.say(self.number, self._gateway, text)

    def await_text(
        self, wanted: Callable[[str], bool], *, since: int = 0, timeout_s: float = 15.0
    ) -> str | None:
        """The first text after the first ``since`` that is wanted; None where none came in time."""
        deadline = time.monotonic() + timeout_s
        with self._arrived:
            while True:
                for heard in self.inbox[since:]:
                    if wanted(heard.text):
                        return heard.text
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self._arrived.wait(left)


class MeterPhone:
    """A meter behind its modem: what it hears it answers, what it says is sent.

    ``meter`` may be looked at from any thread through :meth:`look`.
    """

    def __init__(self, network: Network, meter: Meter, *, number: str, gateway: str) -> None:
        self.number = number
        self.meter = meter
        self._network, self._gateway = network, gateway
        self._lock = threading.Lock()
        network.phone_add(self)

    def hear(self, sender: str, text: str) -> None:  # noqa: ARG002  a meter obeys any number
        """A text has arrived (on a thread of the network); obeying it takes a second."""
        with self._lock:
            meanwhile = [one.text for one in self.meter.advance(self.meter.now + JOB_TIME)]
            answers = self.meter.hear(text)
        self._say_all(meanwhile + answers)

    def advance(self, until: datetime) -> list[str]:
        """Let the meter's clock run; what it said meanwhile, already on its way."""
        with self._lock:
            said = [one.text for one in self.meter.advance(until)]
        self._say_all(said)
        return said

    def power_off(self) -> None:
        """Cut its power: texts to it wait in the network."""
        self._network.phone_switch(self.number, on=False)
        with self._lock:
            self.meter.power_off()

    def power_on(self) -> None:
        """Give it power: it says so, and takes what waited."""
        with self._lock:
            hello = self.meter.power_on()
        self._say_all([hello])
        self._network.phone_switch(self.number, on=True)

    def look(self, at: Callable[[Meter], Seen]) -> Seen:
        """What ``at`` sees of the meter while nothing changes it."""
        with self._lock:
            return at(self.meter)

    def _say_all(self, texts: list[str]) -> None:
        for text in texts:
            self._network.say(self.number, self._gateway, text)
