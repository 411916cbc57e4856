"""How often a number may do something, counted in the stored messages themselves.

So a limit holds over restarts and over any number of processes; the bound on the primary key keeps
each question to the last hour's rows of one number.
"""

from datetime import datetime, timedelta

from django.conf import settings

from gridtalk.core import clock
from gridtalk.core.fields import id_at
from gridtalk.messaging.models import IncomingMessage

HOUR = timedelta(hours=1)
#: Outcomes of a guess that was wrong.
WRONG = ("wrong pin", "wrong token")
#: Pings from one unknown number in an hour that are answered.
PINGS_PER_HOUR = 12


def _count(number: str, outcomes: tuple[str, ...], since: datetime) -> int:
    return IncomingMessage.objects.filter(
        number=number, pk__gte=id_at(since), outcome__in=outcomes
    ).count()


def guesses_used_up(*, number: str) -> bool:
    """Whether the number guessed wrong so often in the last hour that it must wait."""
    return _count(number, WRONG, clock.now() - HOUR) >= settings.WRONG_PINS_PER_HOUR


def told_lately(*, number: str, outcome: str) -> bool:
    """Whether a message of that number had this outcome (and so its text) in the last hour."""
    return _count(number, (outcome,), clock.now() - HOUR) > 0


def pings_used_up(*, number: str) -> bool:
    """Whether an unknown number's pings were answered often enough for this hour."""
    return _count(number, ("ping",), clock.now() - HOUR) >= PINGS_PER_HOUR
