"""What an SMS network does to a text on its way: pure, seeded, without clock or thread.

Every fault is a parameter and is 0 by default, so that a plain network carries each text once, at
once, in order. Also the small words of Kannel's HTTP that both of its sides share.
"""

import random
from dataclasses import dataclass
from urllib.parse import quote

#: Bits of a delivery report as Kannel counts them (its user's guide, "Delivery reports").
DELIVERED, UNDELIVERABLE, QUEUED, SMSC_TOOK, SMSC_REFUSED = 1, 2, 4, 8, 16


@dataclass(frozen=True, slots=True)
class Faults:
    """How bad the network is; probabilities from 0 to 1, times in seconds.

    ``delay_s`` is the longest delay, drawn evenly from 0; ``loss`` the part of texts that vanish;
    ``duplicates`` of those that arrive twice; ``reordering`` of those that are held back for
    ``hold_s``, so that a later text overtakes them. ``answer_s`` is how long a ``sendsms`` request
    takes, half of it before the text is taken and half after.
    """

    delay_s: float = 0.0
    loss: float = 0.0
    duplicates: float = 0.0
    reordering: float = 0.0
    hold_s: float = 2.0
    answer_s: float = 0.0


class Air:
    """Decides, text by text, when and how often it arrives; the same seed decides the same."""

    def __init__(self, faults: Faults | None = None, *, seed: int = 0) -> None:
        self.faults = faults or Faults()
        self._random = random.Random(seed)  # noqa: S311  a simulation, no secret

    def arrivals(self) -> list[float]:
        """After how many seconds each copy of the next text arrives; empty where it is lost."""
        faults, chance = self.faults, self._random.random
        if chance() < faults.loss:
            return []
        copies = 2 if chance() < faults.duplicates else 1
        return [
            chance() * faults.delay_s + (faults.hold_s if chance() < faults.reordering else 0.0)
            for _ in range(copies)
        ]


def decoded(raw: bytes, *, coding: str, charset: str) -> str:
    """The text of a ``sendsms`` request; without a charset, coding 2 means UTF-16BE bytes."""
    name = charset or ("utf-16-be" if coding == "2" else "utf-8")
    return raw.decode(name, "replace")


def expanded(url: str, values: dict[str, str]) -> str:
    """A URL with Kannel's escapes (``%d`` …) replaced; ``values`` by letter, not yet quoted.

    Whatever is not in ``values`` stays as it is, as in Kannel (a percent-encoded byte is digits
    first; one that begins with such a letter would be mangled by Kannel too).
    """
    parts: list[str] = []
    position = 0
    while (found := url.find("%", position)) >= 0:
        letter = url[found + 1 : found + 2]
        parts.append(url[position:found])
        if letter in values:
            parts.append(quote(values[letter], safe=""))
            position = found + 2
        else:
            parts.append("%")
            position = found + 1
    parts.append(url[position:])
    return "".join(parts)
