"""What goes wrong in a month: drawn from the seed before it begins."""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gridtalk.demo.air import Faults

Span = tuple[datetime, datetime]
#: Before the end nothing goes wrong any more, so that what was begun can be ended.
CALM = timedelta(hours=14)
#: What is said last must still be heard.
LAST_WORDS = timedelta(minutes=5)


@dataclass(frozen=True)
class Troubles:
    """The faults of a month; probabilities from 0 to 1. Without faults all are none.

    ``lost_answers``: the server has an inbound text, and its 200 is lost. ``refusals``: Kannel says
    no for now. ``silences``: Kannel takes a text and does not answer. ``meters``: their clocks and
    their power fail. ``brownouts``: of credits that a meter applies, how many cost it its power
    before it can say so. From ``calm`` on all is well;
    after ``last`` nobody says anything of their own accord.
    """

    seed: int
    calm: datetime
    last: datetime
    air: Faults = field(default_factory=Faults)
    lost_answers: float = 0.0
    refusals: float = 0.0
    silences: float = 0.0
    server_down: tuple[Span, ...] = ()
    kannel_down: tuple[Span, ...] = ()
    meters: bool = False
    brownouts: float = 0.0


def troubles_draw(*, seed: int, start: datetime, end: datetime, faults: bool) -> Troubles:
    """The troubles of the time from ``start`` to ``end``."""
    calm = end - CALM
    if not faults:
        return Troubles(seed=seed, calm=start, last=end - LAST_WORDS)
    chance = random.Random(f"troubles {seed}")  # noqa: S311  a simulation
    return Troubles(
        seed=seed,
        calm=calm,
        last=end - LAST_WORDS,
        air=Faults(delay_s=90.0, loss=0.03, duplicates=0.02, reordering=0.03, hold_s=1800.0),
        lost_answers=0.01,
        refusals=0.02,
        silences=0.01,
        server_down=spans_draw(chance, start, calm, every_hours=90, longest_minutes=240),
        kannel_down=spans_draw(chance, start, calm, every_hours=60, longest_minutes=120),
        meters=True,
        brownouts=0.04,
    )


def spans_draw(
    chance: random.Random, start: datetime, end: datetime, *, every_hours: int, longest_minutes: int
) -> tuple[Span, ...]:
    """Spans between ``start`` and ``end``, about one in ``every_hours``; none lasts longer."""
    found: list[Span] = []
    at = start
    while True:
        at += timedelta(hours=chance.uniform(0.3, 1.7) * every_hours)
        over = at + timedelta(minutes=chance.randint(5, longest_minutes))
        if over >= end:
            return tuple(found)
        found.append((at, over))
        at = over
