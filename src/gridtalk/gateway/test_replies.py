"""What who asked by SMS is told of a job: of a newer one's, without a status, without a credit."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from django.test import Client

from gridtalk.alerts.models import UnresponsiveJob
from gridtalk.core import clock
from gridtalk.gateway.conftest import CONSUMER, FRIEND, Village
from gridtalk.gateway.job_work import jobs_work
from gridtalk.grid.models import Circuit
from gridtalk.grid.services import meter_key_set
from gridtalk.jobs import services as jobs
from gridtalk.jobs.models import Job

pytestmark = pytest.mark.django_db

Acknowledge = Callable[[Job], None]

SWITCHES = pytest.mark.parametrize(("command", "says"), [("on", "on"), ("off", "off")])
#: "Power is (now) …" in each language, off and on.
SAID = {
    "en": ("power is now off", "power is now on"),
    "fr": ("courant coupé", "courant allumé"),
    "sw": ("umeme umezimwa", "umeme umewashwa"),
}
#: "About 600.00" in each language.
ABOUT = {
    "en": "credit about 600.00 (estimated)",
    "fr": "crédit environ 600.00 (estimation)",
    "sw": "salio ni takriban 600.00 (makadirio)",
}


@pytest.fixture(params=["by SMS", "by DELETE"])
def acknowledge(request: pytest.FixtureRequest, village: Village, client: Client) -> Acknowledge:
    """The shortest acknowledgement, which says neither status nor credit, in either form."""
    if request.param == "by SMS":

        def said(job: Job) -> None:
            done = village.meter_says(f"(job=delete&jobid={job.pk})")
            assert done.outcome == "acknowledged"

        return said
    key = meter_key_set(meter=village.meter)

    def deleted(job: Job) -> None:
        assert client.delete(f"/jobs/job/{job.pk}/?key={key}").status_code == 200

    return deleted


def in_language(lang: str) -> None:
    account = Circuit.objects.select_related("account").get(ip_address="192.168.1.201").account
    assert account is not None
    account.lang = lang
    account.save()


def asked(village: Village, text: str, number: str = CONSUMER) -> Job:
    """Text it, and hand the job over."""
    village.consumer(text, number)
    village.hand_over()
    return Job.objects.latest("pk")


class TestWithoutStatus:
    """An acknowledgement need not say whether the circuit is on."""

    @pytest.mark.parametrize("lang", list(SAID))
    @pytest.mark.parametrize(("command", "status"), [("on", 1), ("off", 0)])
    def test_the_job_says_it(
        self, village: Village, acknowledge: Acknowledge, command: str, status: int, lang: str
    ) -> None:
        in_language(lang)
        Circuit.objects.update(status=1 - status)
        acknowledge(asked(village, f"{command}.{village.pin}"))
        (answer,) = village.answers()
        assert SAID[lang][status] in answer
        assert village.circuit.status == 1 - status, "the meter has not said it"

    @SWITCHES
    def test_what_the_meter_says_goes_before(
        self, village: Village, command: str, says: str
    ) -> None:
        """It may have left off what it was told to switch on."""
        other = "off" if says == "on" else "on"
        job = asked(village, f"{command}.{village.pin}")
        village.meter_says(f"(job=delete&jobid={job.pk}&status={int(other == 'on')}&cr=100)")
        assert f"power is now {other}." in village.answers()[0]

    def test_of_credit_the_last_known_is_said(
        self, village: Village, acknowledge: Acknowledge
    ) -> None:
        Circuit.objects.update(status=0)
        acknowledge(asked(village, f"add.{village.pin}.{village.token()}"))
        assert "Power is off" in village.answers()[0]


class TestWithoutCredit:
    """An acknowledgement need not say the credit: the last known one is too low then."""

    @pytest.mark.parametrize("lang", list(ABOUT))
    @pytest.mark.parametrize("reported", [True, False])
    def test_whoever_asks_hears_an_estimate(
        self, village: Village, acknowledge: Acknowledge, lang: str, reported: bool
    ) -> None:
        in_language(lang)
        if reported:
            at = clock.now() - timedelta(hours=1)
            village.meter_says(
                f"(job=pp&cid=192.168.1.201&wh=10&tu=60&ts={at:%Y%m%d%H%M%S}&cr=100&status=1)"
            )
        acknowledge(asked(village, f"add.{village.pin}.{village.token()}"))
        village.consumer(f"bal.{village.pin}")
        acknowledge(asked(village, f"off.{village.pin}"))
        acknowledge(asked(village, f"on.{village.pin}"))
        assert [ABOUT[lang] in answer.lower() for answer in village.answers()] == [True] * 4

    def test_several_are_added_until_the_meter_says_it(
        self, village: Village, acknowledge: Acknowledge
    ) -> None:
        for value in (500, 20):
            acknowledge(asked(village, f"add.{village.pin}.{village.token(value)}"))
        village.consumer(f"bal.{village.pin}")
        assert "about 620.00 (estimated)" in village.answers()[-1]
        with time_machine.travel(clock.now() + timedelta(hours=1)):
            at = clock.now()
            village.meter_says(
                f"(job=pp&cid=192.168.1.201&wh=10&tu=60&ts={at:%Y%m%d%H%M%S}&cr=601.50&status=1)"
            )
            village.consumer(f"bal.{village.pin}")
            assert "credit 601.50. Last" in village.answers()[-1]
            acknowledge(asked(village, f"add.{village.pin}.{village.token(10)}"))
            assert "about 611.50 (estimated)" in village.answers()[-1]

    @pytest.mark.parametrize("minutes", [-50, -5, 0, 5, 50])
    def test_whatever_the_meters_clock_says(
        self, village: Village, acknowledge: Acknowledge, minutes: int
    ) -> None:
        """A clock that is ahead has reported in our future; what was added comes after that."""
        at = clock.now() + timedelta(minutes=minutes)
        village.meter_says(
            f"(job=pp&cid=192.168.1.201&wh=10&tu=60&ts={at:%Y%m%d%H%M%S}&cr=7&status=1)"
        )
        for value in (500, 20):
            acknowledge(asked(village, f"add.{village.pin}.{village.token(value)}"))
        assert "about 527.00 (estimated)" in village.answers()[-1]

    def test_an_older_one_that_the_meter_said_is_not_added_again(self, village: Village) -> None:
        for said in ("&cr=600", ""):
            job = asked(village, f"add.{village.pin}.{village.token()}")
            village.meter_says(f"(job=delete&jobid={job.pk}{said})")
        assert "credit 600.00." in village.answers()[0]
        assert "about 1100.00 (estimated)" in village.answers()[1]

    @pytest.mark.parametrize("credit", [0, -3])
    def test_on_is_not_refused_for_the_old_credit(
        self, village: Village, acknowledge: Acknowledge, credit: int
    ) -> None:
        Circuit.objects.update(credit=Decimal(credit))
        assert village.consumer(f"on.{village.pin}").outcome == "no credit"
        acknowledge(asked(village, f"add.{village.pin}.{village.token()}"))
        assert village.consumer(f"on.{village.pin}").outcome == "turn on"

    def test_on_is_refused_once_the_meter_says_that_there_is_none(self, village: Village) -> None:
        job = asked(village, f"add.{village.pin}.{village.token()}")
        village.meter_says(f"(job=delete&jobid={job.pk})")
        with time_machine.travel(clock.now() + timedelta(hours=1)):
            at = clock.now()
            village.meter_says(
                f"(job=pp&cid=192.168.1.201&wh=10&tu=60&ts={at:%Y%m%d%H%M%S}&cr=0&status=0)"
            )
            assert village.consumer(f"on.{village.pin}").outcome == "no credit"
            assert "credit is 0.00" in village.answers()[-1]


class TestSuperseded:
    """A newer on or off took the place of one that was asked for by SMS."""

    @pytest.mark.parametrize("handed_over", [True, False])
    @pytest.mark.parametrize(
        ("lang", "words"),
        [("en", "replaced by a newer one"), ("fr", "remplac"), ("sw", "limebadilishwa")],
    )
    @pytest.mark.parametrize("by", ["a person", "a friend"])
    def test_who_asked_is_told_of_somebody_elses(
        self, village: Village, handed_over: bool, lang: str, words: str, by: str
    ) -> None:
        in_language(lang)
        village.consumer(f"on.{village.pin}")
        if handed_over:
            village.hand_over()
        if by == "a friend":
            village.consumer(f"off.{village.pin}", FRIEND)
        else:
            jobs.job_request(kind="turn_off", circuit=village.circuit)
        (answer,) = village.answers()
        assert words in answer
        assert village.pin in answer
        assert village.answers(FRIEND) == []

    @pytest.mark.parametrize("late", ["", "before", "after"])
    def test_who_asked_for_both_hears_of_the_newer_alone(self, village: Village, late: str) -> None:
        """Also where the acknowledgement of the older comes after all."""
        first = asked(village, f"on.{village.pin}")
        second = asked(village, f"off.{village.pin}")
        if late == "before":
            village.meter_says(f"(job=delete&jobid={first.pk}&status=1)")
        village.meter_says(f"(job=delete&jobid={second.pk}&status=0)")
        if late == "after":
            assert village.meter_says(f"(job=delete&jobid={first.pk})").outcome == "acknowledged"
        (answer,) = village.answers()
        assert "power is now off" in answer
        assert village.circuit.status == 0

    def test_no_alert_is_raised_for_what_nobody_waits_for(self, village: Village) -> None:
        asked(village, f"on.{village.pin}")
        second = asked(village, f"off.{village.pin}")
        start = clock.now()
        for minutes in (2, 20, 61, 90):
            with time_machine.travel(start + timedelta(minutes=minutes)):
                jobs_work()
                assert all(text.startswith("(job=coff&") for text in village.hand_over())
        assert [alert.job_id for alert in UnresponsiveJob.objects.all()] == [second.pk]
        assert len(village.answers()) == 1, "of the newer one"

    def test_a_job_of_the_page_tells_nobody(self, village: Village) -> None:
        jobs.job_request(kind="turn_on", circuit=village.circuit)
        village.hand_over()
        village.consumer(f"off.{village.pin}")
        assert village.answers() == []
