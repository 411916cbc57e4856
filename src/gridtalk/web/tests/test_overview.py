"""The overview's lines and figures: reports in a row are one line, uptime stands by each meter."""

import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from gridtalk.alerts.services import alert_raise
from gridtalk.core import clock
from gridtalk.grid.models import Meter
from gridtalk.jobs.credit import credit_reverse
from gridtalk.messaging.models import IncomingMessage
from gridtalk.telemetry.selectors import Uptime
from gridtalk.telemetry.testing import circuit_make, log_make, meter_make
from gridtalk.testing_village import Village
from gridtalk.web.rows import feed_rows, message_rows
from gridtalk.web.templatetags.gridtalk import uptime
from gridtalk.web.views.meters import meter_rows, meters_with_facts
from gridtalk.web.views.overview_figures import meter_figures, sold_today


def say(village: Village, number: str, outcome: str, error: str = "") -> IncomingMessage:
    return IncomingMessage.objects.create(
        number=number,
        text=f"text of {outcome}",
        communication_interface=village.interface,
        state="received",
        outcome=outcome,
        error=error,
        handled_at=clock.now(),
    )


#: r, q: a report of one meter and of another; p: of a power unit; b: a consumer's text; e: a
#: report in which something was wrong. The newest first.
@pytest.mark.parametrize(
    ("label", "said", "lines"),
    [
        ("nothing", "", []),
        ("one report", "r", [(1, ["ml05"])]),
        ("two reports of one meter", "rr", [(2, ["ml05"])]),
        ("of two meters, and a power unit", "qrrp", [(4, ["other", "ml05"])]),
        ("parted by a text", "rrbqr", [(2, ["ml05"]), (1, []), (2, ["other", "ml05"])]),
        ("texts stay alone", "bb", [(1, []), (1, [])]),
        ("so does what went wrong", "rer", [(1, ["ml05"]), (1, []), (1, ["ml05"])]),
    ],
)
def test_reports_in_a_row_are_one_line(
    village: Village, label: str, said: str, lines: list[tuple[int, list[str]]]
) -> None:
    other = meter_make(name="other")
    known = {
        "r": (village.meter.phone, "reports", ""),
        "q": (other.phone, "reports", ""),
        "p": (village.meter.phone, "pcu log", ""),
        "b": ("+22376000001", "balance", ""),
        "e": (village.meter.phone, "reports", "no circuit 192.168.1.240"),
    }
    messages = [say(village, *map(str, known[letter])) for letter in reversed(said)][::-1]
    found = feed_rows(message_rows(messages))
    assert [(line.number, list(line.names)) for line in found] == lines
    if found:
        assert found[0].newest.message.pk == messages[0].pk


def test_the_feed_names_the_meters_and_leads_to_the_newest(village: Village, admin: Client) -> None:
    other = meter_make(name="other")
    say(village, str(other.phone), "reports")
    newest = say(village, str(village.meter.phone), "reports")
    text = re.sub(r"\s+", " ", re.sub(r"<(?!a )[^>]+>", " ", admin.get("/").content.decode()))
    assert f'<a href="/messages/{newest.pk}">ml05 and 1 more meter: 2 reports' in text


def test_a_meter_that_is_a_device_has_its_name_in_the_feed(village: Village, admin: Client) -> None:
    meter_make(name="on the bench", phone=None, device_address="d4d44034")
    say(village, "d4d44034", "reports")
    text = admin.get("/").content.decode()
    assert re.search(r'<a href="/messages/\d+">on the bench</a>', text)
    assert "d4d44034" not in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "\N{EN DASH}"),
        (Uptime(168), "100\N{NARROW NO-BREAK SPACE}%"),
        (Uptime(167), "99\N{NARROW NO-BREAK SPACE}%"),
        (Uptime(0), "0\N{NARROW NO-BREAK SPACE}%"),
        (Uptime(84), "50\N{NARROW NO-BREAK SPACE}%"),
    ],
)
def test_uptime_is_rounded_down(value: Uptime | None, text: str) -> None:
    assert re.sub("<[^>]+>", "", str(uptime(value))) == text


def test_uptime_stands_by_each_meter_and_on_its_page(village: Village, admin: Client) -> None:
    now = clock.now()
    for hours in range(0, 100, 2):
        log_make(village.mains, now - timedelta(hours=hours))
    silent = meter_make(name="never heard")
    circuit_make(silent, last=0)
    hours = "reports in 50 of the last 168 hours"
    for where in ("/", "/meters", f"/meters/{village.meter.pk}"):
        text = admin.get(where).content.decode()
        assert f'title="{hours}">29\N{NARROW NO-BREAK SPACE}%' in text, where
        assert text.count("reports in ") == 1, "what never reported has no uptime"
    assert "uptime" not in admin.get(f"/meters/{silent.pk}").content.decode()


def test_the_figures_are_those_of_all_meters_and_the_worst_are_shown(village: Village) -> None:
    now = clock.now()
    silent, new, off, gone = (
        meter_make(name=name) for name in ("quiet", "anew", "switched off", "gone")
    )
    for meter, hours in ((silent, 3), (off, 1), (gone, 1)):
        circuit_make(meter, last=0, last_reported_at=now - timedelta(hours=9))
        circuit_make(meter, last_reported_at=now - timedelta(hours=hours))
    circuit_make(new, retired_at=now)
    Meter.objects.filter(pk=off.pk).update(active=False)
    Meter.objects.filter(pk=gone.pk).update(retired_at=now)
    alarmed = meter_make(name="z alarmed")
    circuit_make(alarmed, last_reported_at=now)
    for meter, kinds in (
        (alarmed, ["low_credit", "no_credit"]), (gone, ["low_credit"]), (silent, ["low_credit"]),
    ):  # fmt: skip
        for kind in kinds:
            alert_raise(kind=kind, meter=meter, circuit=meter.circuits.get(is_main=False))
    found = meter_figures(shown=12)
    names = ["quiet", "z alarmed", "ml05", "anew", "switched off"]
    assert [row.meter.name for row in found.worst] == names
    assert [row.state for row in found.worst] == [
        "silent", "reporting", "reporting", "new", "inactive",
    ]  # fmt: skip
    assert (found.meters, found.silent, found.circuits, found.open_alerts) == (5, 1, 6, 4)
    every = meter_rows(meters_with_facts())
    assert found.meters == len(every)
    assert found.circuits == sum(row.circuits for row in every)
    assert found.open_alerts == sum(row.open_alerts for row in every)
    assert found.silent == sum(row.state == "silent" for row in every)
    assert [row.meter.name for row in meter_figures(shown=2).worst] == names[:2]


@pytest.mark.parametrize("meters", [1, 40])
def test_the_overview_fetches_the_meters_that_it_shows(
    village: Village, admin: Client, meters: int
) -> None:
    for number in range(meters):
        circuit_make(meter_make(name=f"more {number:02}"))
    with CaptureQueriesContext(connection) as queries:
        answer = admin.get("/")
    assert answer.context["meters"] == meters + 1
    assert len(answer.context["rows"]) == min(meters + 1, 12)
    assert len(queries) <= 25


def test_sold_today_is_what_was_redeemed_since_the_meters_midnight(village: Village) -> None:
    zone = ZoneInfo("Pacific/Kiritimati")  # 14 hours ahead
    Meter.objects.filter(pk=village.meter.pk).update(time_zone=zone.key)
    # The village redeemed a token of 500 and was given 20.
    redeemed = clock.now()
    midnight = (redeemed.astimezone(zone) + timedelta(days=1)).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    assert sold_today() == 500
    with time_machine.travel(midnight - timedelta(seconds=1), tick=False):
        assert sold_today() == 500
    with time_machine.travel(midnight, tick=False):
        assert sold_today() == 0
    credit_reverse(job=village.credit_job, user=village.admin, reason="it never came")
    assert sold_today() == 0
