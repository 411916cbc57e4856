"""Charts: what is drawn, in the meter's days, bounded; and the front end's files behind a page."""

import re
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.contrib.staticfiles import finders
from django.db import connection
from django.test import Client

from gridtalk.core import clock
from gridtalk.grid.models import Circuit, Meter
from gridtalk.telemetry.services import pcu_log_insert
from gridtalk.telemetry.testing import log_make
from gridtalk.testing_village import Village
from gridtalk.web import frontend, series
from gridtalk.web.templatetags.gridtalk import duration
from gridtalk.web.words import STATES


def _report(village: Village, circuit: Any) -> datetime:
    end = clock.now().replace(minute=0, second=0, microsecond=0)
    # Two hours of one day of Bamako, whose midnight is UTC's.
    end = end if end.hour >= 3 else end - timedelta(hours=4)
    for hours, energy, credit in ((2, 10, 90), (1, 14, 86), (0, 21, 79)):
        credit_seen = None if circuit.is_main else credit
        log_make(circuit, end - timedelta(hours=hours), watthours=energy, credit=credit_seen)
    return end


def test_a_circuits_charts(village: Village, admin: Client) -> None:
    end = _report(village, village.circuit)
    found = admin.get(f"/circuits/{village.circuit.pk}/series?span=24h").json()
    assert found["zone"] == "Africa/Bamako"
    energy, credit, used = found["charts"]
    assert (energy["unit"], energy["series"][0]["y"]) == ("Wh", [4.0, 7.0])
    assert energy["x"][-1] == int(end.timestamp())
    assert credit["series"][0]["y"] == [90.0, 86.0, 79.0]
    assert used["series"][0]["y"] == [0.0, 0.0]


def test_a_meters_charts(village: Village, admin: Client) -> None:
    end = _report(village, village.mains)
    _report(village, village.circuit)
    pcu_log_insert(
        meter_id=village.meter.pk, meter_time=end, raw="(pcu#…)", received_at=end, message_id=None,
        values=[Decimal(value) for value in ("1", "2", "3", "47.5", "0", "2", "10", "60", "25")],
    )  # fmt: skip
    found = admin.get(f"/meters/{village.meter.pk}/series").json()["charts"]
    mains, solar, battery, *small = found
    assert mains["series"][0]["y"] == [4.0, 7.0]
    assert (solar["unit"], solar["series"][0]["y"]) == ("W", [600.0])
    assert (battery["unit"], battery["series"][0]["y"]) == ("V", [47.5])
    assert [chart["small"] for chart in small] == [True] * 3
    assert small[0]["href"] == f"/circuits/{village.circuit.pk}"
    assert small[0]["title"] == "Fanta Traoré"
    days = admin.get(f"/meters/{village.meter.pk}/series?span=30d").json()["charts"]
    assert days[0]["series"][0]["y"][-1] == 21.0


@pytest.mark.parametrize("every_s", [10, 60, 80, 3600])
def test_a_meter_that_reports_often_is_drawn_to_its_end(
    village: Village, admin: Client, every_s: int
) -> None:
    """100 W for three days: 100 Wh an hour, however often it is said; and the newest is there."""
    zone = ZoneInfo("Asia/Kathmandu")  # 5:45 ahead: its hours are not UTC's
    Meter.objects.filter(pk=village.meter.pk).update(time_zone=zone.key)
    now = datetime(2026, 3, 10, 14, 15, tzinfo=zone)
    with time_machine.travel(now, tick=False):
        start = now.replace(minute=0) - timedelta(days=3)
        reports_make(village.circuit, zone, start, now, every_s)
        page = f"/circuits/{village.circuit.pk}/series"
        for span in ("7d", "24h"):
            energy, credit, used = admin.get(f"{page}?span={span}").json()["charts"]
            hours = 24 if span == "24h" else 71
            whole = -1 if every_s < 3600 else None
            # With the day's last report before midnight its end is lost.
            near = {"rel": 0.003} if every_s != 80 else {"abs": 2.3}
            for figures, value in ((energy, 100), (used, 60)):
                drawn = figures["series"][0]["y"][:whole][-hours:]
                assert drawn == pytest.approx([value] * hours, **near)
            if every_s < 3600:
                assert energy["series"][0]["y"][-1] == pytest.approx(25, abs=2.3)
                assert energy["x"][-1] == (now + timedelta(minutes=45)).timestamp()
                assert energy["unfinished"]
            assert now.timestamp() - credit["x"][-1] < max(every_s, 100)
            assert len(credit["x"]) <= series.MOST_POINTS
        days = admin.get(f"{page}?span=30d").json()["charts"]
        for chart, whole in ((days[0], 2400.0), (days[2], 1440.0)):
            assert chart["series"][0]["y"][1:-1] == pytest.approx([whole] * 2, rel=0.01)
            assert chart["unfinished"]


def reports_make(
    circuit: Circuit, zone: ZoneInfo, start: datetime, end: datetime, every_s: int
) -> None:
    """Reports of a steady 100 W, used all the time."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO primary_logs (id, circuit_id, latency_s, meter_time, watthours,"
            " use_time_s, status, credit, clock_ahead)"
            " SELECT 1000 + row_number() OVER (), %(circuit)s, 1, instant, s / 36, s, 1, 50, false"
            " FROM (SELECT instant, CASE s WHEN 0 THEN 86400 ELSE s END AS s FROM ("
            "  SELECT instant, extract(epoch FROM (instant AT TIME ZONE %(zone)s)::time) AS s"
            "  FROM generate_series(%(start)s, %(end)s, %(every)s) AS instant) one) two",
            {
                "circuit": circuit.pk,
                "zone": zone.key,
                "start": start,
                "end": end,
                "every": timedelta(seconds=every_s),
            },
        )


def test_a_span_is_in_the_address(village: Village, admin: Client) -> None:
    page = f"/meters/{village.meter.pk}"
    assert f'data-charts="{page}/series?span=24h"' in admin.get(f"{page}?span=24h").content.decode()
    assert f'data-charts="{page}/series?span=7d"' in admin.get(page).content.decode()
    for path in (page, f"{page}/series", f"/circuits/{village.circuit.pk}/series"):
        answer = admin.get(f"{path}?span=1y")
        assert answer.status_code == 400
        assert "24h, 7d" in answer.content.decode()


def test_the_front_end_is_built_and_every_entry_is_there() -> None:
    assert (frontend.BUILD / "manifest.json").exists(), frontend.NOT_BUILT
    for name in ("site", "theme", "charts", "phone", "icons"):
        built = frontend.entry(name)
        for address in (built.script, *built.styles, *built.imports):
            path = address.removeprefix("/static/")
            assert finders.find(path), (name, path)
            assert finders.find(f"{path}.gz"), (name, path)
    assert frontend.entry("charts").styles
    # It runs before anything is drawn, as a classic script.
    assert not frontend.entry("theme").imports


def test_pages_work_where_nothing_is_built(
    admin: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(frontend, "BUILD", tmp_path)
    frontend._manifest.cache_clear()
    try:
        assert admin.get("/").status_code == 200
        assert "make setup" in caplog.text
    finally:
        frontend._manifest.cache_clear()


def test_every_icon_of_a_page_is_in_the_sprite() -> None:
    web = Path(frontend.__file__).parent
    sprite = (frontend.BUILD / frontend.entry("icons").script.split("build/")[1]).read_text()
    has = set(re.findall(r'<symbol id="(\w+)"', sprite))
    wanted = {word.icon for words in STATES.values() for word in words.values()}
    for path in web.rglob("*.html"):
        for pair in re.findall(r'{% icon "(\w+)"|picture="(\w+)"', path.read_text()):
            wanted |= {name for name in pair if name}
    assert wanted - has == set()


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h 00 min"),
     (86_400, "24 h 00 min")],
)  # fmt: skip
def test_a_time_in_use(seconds: float, shown: str) -> None:
    assert duration(seconds).replace("\N{NARROW NO-BREAK SPACE}", " ") == shown
