"""The operator of the month: looks each day at the credit that nobody confirmed, and settles it."""

import random
from collections import Counter
from datetime import timedelta

from gridtalk.demo.month.diary import Diary
from gridtalk.demo.month.folk import MonthMeter, Tell, Villager
from gridtalk.demo.month.rig import MonthNetwork, Rig
from gridtalk.demo.month.troubles import Troubles
from gridtalk.jobs.models import AddCredit, Job
from gridtalk.jobs.services import credit_confirm, credit_resend, credit_reverse

State = Job.State
#: Whatever was handed over longer ago than this has arrived, or never will.
PATIENCE = timedelta(hours=8)
CALM_PATIENCE = timedelta(minutes=10)


class Operator:
    """Sends a technician to the meter of each credit job that waits for a person.

    Has the meter the credit, the operator confirms it, or the meter is made to say so again; has it
    not, the job is sent again, or is reversed and the consumer gets another card. ``resent`` counts
    by job.
    """

    def __init__(
        self,
        *,
        rig: Rig,
        network: MonthNetwork,
        troubles: Troubles,
        meters: dict[int, MonthMeter],
        people: dict[int, Villager],
        tell: Tell,
    ) -> None:
        self.resent: Counter[int] = Counter()
        self.reversed = 0
        self.repeated = 0
        self.confirmed = 0
        self._rig, self._network, self._troubles = rig, network, troubles
        self._meters, self._people, self._tell = meters, people, tell
        self._chance = random.Random(f"operator {troubles.seed}")  # noqa: S311  a simulation

    def begin(self, diary: Diary) -> None:
        """Look once a day, and in the calm at the end each hour."""
        diary.every(timedelta(days=1), self.look, first=diary.now + timedelta(hours=20))
        diary.every(timedelta(hours=1), self.look, first=self._troubles.calm + timedelta(hours=2))

    def look(self) -> None:
        """Settle what can be settled today."""
        if not self._rig.is_up:
            return
        waiting = AddCredit.objects.filter(state__in=[State.UNCONFIRMED, State.FAILED])
        for job in waiting.select_related("circuit", "token").order_by("pk"):
            self._settle(job)

    def _settle(self, job: AddCredit) -> None:
        now = self._rig.diary.now
        patience = CALM_PATIENCE if now >= self._troubles.calm else PATIENCE
        handed_at = self._network.handed_at.get(job.pk)
        if handed_at is not None and now - handed_at < patience:
            return
        meter = self._meters[job.circuit.meter_id]
        if not meter.meter.powered:
            return
        has_it = applied(meter)[job.pk] > 0
        if has_it and job.state == State.UNCONFIRMED and self._chance.random() < 0.5:
            self.confirmed += 1
            self._tell("operator", "confirms a credit")
            credit_confirm(job=job, user=None, reason="the meter has it")
        elif has_it:
            self.repeated += 1
            meter.acknowledge_again(job.pk, job.circuit.ip_address)
        elif self._chance.random() < 0.6:
            self.resent[job.pk] += 1
            self._tell("operator", "sends a credit again")
            credit_resend(job=job, user=None, reason="the meter does not have it")
            self._rig.wake()
        else:
            self.reversed += 1
            self._tell("operator", "takes a credit back and gives another card")
            token = credit_reverse(
                job=job, user=None, reason="the meter does not have it", new_token=True
            )
            if token is not None:
                self._people[job.circuit_id].give(token.number)


def applied(meter: MonthMeter) -> Counter[int]:
    """How often the meter has each credit now: applied, less what it forgot."""
    found = Counter(credit.job_id for credit in meter.meter.applied)
    found.subtract(meter.forgotten)
    return found
