"""Meters' local times as instants."""

from datetime import UTC, datetime

import pytest
import time_machine

from gridtalk.core import clock
from gridtalk.core.errors import UserError


@pytest.mark.parametrize(
    ("label", "local", "zone", "instant"),
    [
        ("UTC", "2012-08-31T12:00", "UTC", "2012-08-31T12:00"),
        ("Mali has UTC", "2012-08-31T12:00", "Africa/Bamako", "2012-08-31T12:00"),
        ("ahead", "2012-08-31T12:00", "Africa/Kampala", "2012-08-31T09:00"),
        ("ahead, the day before", "2012-08-31T02:00", "Asia/Taipei", "2012-08-30T18:00"),
        ("behind", "2012-08-31T22:00", "America/Lima", "2012-09-01T03:00"),
        ("repeated: the first", "2026-10-25T02:30", "Europe/Paris", "2026-10-25T00:30"),
        ("left out", "2026-03-29T02:30", "Europe/Paris", "2026-03-29T01:30"),
    ],
)  # fmt: skip
def test_a_local_time_is_an_instant(label: str, local: str, zone: str, instant: str) -> None:
    found = clock.from_meter(datetime.fromisoformat(local), zone)
    assert found.astimezone(UTC) == datetime.fromisoformat(instant).replace(tzinfo=UTC)


@pytest.mark.parametrize("name", ["", "Mars/Base", "../etc/passwd", "/etc/passwd", "Africa", "\0"])
def test_a_zone_that_is_none_says_how_to_write_one(name: str) -> None:
    with pytest.raises(UserError, match="for example Africa/Bamako"):
        clock.zone(name)


def test_now_is_aware_and_travels() -> None:
    with time_machine.travel("2026-11-23T10:00:00Z", tick=False):
        assert clock.now() == datetime(2026, 11, 23, 10, tzinfo=UTC)
