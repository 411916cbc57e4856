"""Charts: what is drawn, in the meter's days, bounded; and the front end's files behind a page."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from gridtalk.core import clock
from gridtalk.telemetry.services import pcu_log_insert
from gridtalk.telemetry.testing import log_make
from gridtalk.testing_village import Village
from gridtalk.web import frontend, series
from gridtalk.web.words import STATES

KAMPALA = ZoneInfo("Africa/Kampala")


def at(hour: int, day: int = 1) -> datetime:
    """An hour of Kampala's clock."""
    return datetime(2026, 3, day, hour, tzinfo=KAMPALA).astimezone(UTC)


@pytest.mark.parametrize(
    ("label", "readings", "rises"),
    [
        ("it counts up", [(at(1), 5), (at(2), 7), (at(3), 7)], [2, 0]),
        ("midnight ends the day", [(at(23), 5), (at(0, 2), 9), (at(1, 2), 2)], [4, 2]),
        ("a new day begins at nothing", [(at(22), 50), (at(2, 2), 60)], [60]),
        ("a restart inside a day", [(at(1), 50), (at(2), 3)], [3]),
        ("one reading has no neighbour", [(at(1), 50)], []),
        ("none", [], []),
    ],
)
def test_a_counter_becomes_hours(label: str, readings: Any, rises: list[int]) -> None:
    given = [(instant, Decimal(value)) for instant, value in readings]
    assert [value for _at, value in series.hourly(given, KAMPALA)] == rises, label


@pytest.mark.parametrize("number", [0, 1, 999, 1000, 1001, 5000])
def test_a_series_is_thinned_and_keeps_its_end(number: int) -> None:
    points: list[series.Point] = [(at(0) + timedelta(hours=n), n) for n in range(number)]
    thin = series.thinned(points)
    assert len(thin) == min(number, len(thin)) <= series.MOST_POINTS
    assert list(thin) == sorted(thin)
    if number:
        assert thin[-1] == points[-1]
        assert len(thin) >= min(number, series.MOST_POINTS // 2)


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
