"""Lists, uptime, gaps and latency, on hand-made cases."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gridtalk.core.errors import UserError
from gridtalk.telemetry.models import PCULog, PrimaryLog
from gridtalk.telemetry.selectors import (
    Gap,
    Latency,
    Uptime,
    gap_list,
    latency_list,
    log_list,
    pcu_log_list,
    primary_log_list,
    uptime_list,
)
from gridtalk.telemetry.services import pcu_log_insert
from gridtalk.telemetry.testing import circuit_make, instant, log_make, meter_make

pytestmark = pytest.mark.django_db

START, END = instant("2026-11-10T00:00"), instant("2026-11-11T00:00")


def test_primary_log_list() -> None:
    meter = meter_make()
    one, two, other = circuit_make(meter), circuit_make(meter, last=2), circuit_make()
    for circuit, time in (
        (two, "2026-11-10T02:00"),
        (one, "2026-11-10T00:00"),
        (one, "2026-11-10T03:00"),
        (one, "2026-11-11T00:00"),
        (one, "2026-11-11T01:00"),
        (other, "2026-11-10T01:00"),
    ):
        log_make(circuit, time, credit=5, watthours=7)
    log_make(one, "2026-11-10T05:00", latency_s=-4000)
    given = {"start": START, "end": END}
    hours = [
        (row["circuit_id"], row["meter_time"].hour)
        for row in primary_log_list(**given, meter_id=meter.id)
    ]
    assert hours == [(two.id, 2), (one.id, 3), (one.id, 5), (one.id, 0)]
    assert primary_log_list(**given, circuit_id=one.id).count() == 3
    assert primary_log_list(**given, circuit_id=one.id, clock_ahead=False).count() == 2
    assert primary_log_list(**given).count() == 5
    with CaptureQueriesContext(connection) as queries:
        (row,) = primary_log_list(**given, circuit_id=two.id)
    assert '"logs"' not in queries[0]["sql"]
    assert (row["credit"], row["watthours"], row["status"], row["latency_s"]) == (5, 7, 1, 60)
    (row,) = primary_log_list(**given, circuit_id=two.id, received=True)
    assert row["received_at"] == instant("2026-11-10T02:01")
    assert row["message_id"] is None


def test_pcu_log_list() -> None:
    meter, other = meter_make(), meter_make()
    for whose, time in ((meter, START), (meter, END), (other, END)):
        pcu_log_insert(
            meter_id=whose.id, meter_time=time, values=[1.0] * 9, raw="", received_at=time
        )
    (row,) = pcu_log_list(start=START, end=END, meter_id=meter.id)
    assert (row["meter_time"], row["battery_volts"]) == (END, 1.0)
    assert pcu_log_list(start=START, end=END).count() == 2


def test_log_list_gives_children_newest_first() -> None:
    meter, other = meter_make(), meter_make()
    one, two, away = circuit_make(meter), circuit_make(meter, last=2), circuit_make(other)
    hour = "2026-11-10T{:02}:00".format
    for circuit, time in ((one, 1), (two, 3), (away, 2), (one, 4)):
        log_make(circuit, hour(time), credit=time)
    log_make(one, "2026-11-10T00:00")
    log_make(one, "2026-11-11T01:00")
    for whose, time in ((meter, 5), (other, 2)):
        at = instant(hour(time))
        pcu_log_insert(meter_id=whose.id, meter_time=at, values=[1.0] * 9, raw="", received_at=at)
    given = {"start": START, "end": END}
    found = log_list(**given, meter=meter)
    assert [(type(log), log.meter_time.hour) for log in found] == [
        (PCULog, 5), (PrimaryLog, 4), (PrimaryLog, 3), (PrimaryLog, 1),
    ]  # fmt: skip
    assert (found[1].circuit_id, found[1].credit) == (one.id, 4)
    assert found[1].received_at == instant("2026-11-10T04:01")
    assert [log.meter_time.hour for log in log_list(**given, circuit=one)] == [4, 1]
    assert log_list(**given, meter=meter, limit=2, offset=1) == found[1:3]
    assert len(log_list(**given)) == 6


@pytest.mark.parametrize(
    ("label", "hours", "minutes", "expected"),
    [
        ("each hour", range(169), [0], Uptime(168)),
        ("each quarter of an hour", range(169), [0, 15, 30, 45], Uptime(168)),
        ("every other hour", range(0, 200, 2), [0], Uptime(84)),
        ("nothing", [], [], Uptime(0)),
        ("before the seven days", range(168, 400), [0], Uptime(0)),
        ("in use for a day", range(25), [0], Uptime(25)),
        ("in use for a day, every other hour", range(0, 25, 2), [0], Uptime(13)),
        ("in use for a minute", range(1), [0], Uptime(1)),
        ("in use since last week, one report", range(30, 31), [0], Uptime(1)),
    ],
)
def test_uptime(label: str, hours: range, minutes: list[int], expected: Uptime) -> None:
    at = instant("2026-11-23T12:30")
    meter, silent = meter_make(), meter_make()
    mains, circuit = circuit_make(meter, last=0), circuit_make(meter)
    for hour in hours:
        for minute in minutes:
            log_make(mains, instant("2026-11-23T12:00") - timedelta(hours=hour, minutes=minute))
    log_make(circuit, "2026-11-23T12:00")  # a consumer's circuit does not count
    log_make(mains, "2026-11-23T12:40", latency_s=-4000)  # its hour has not come
    uptime = uptime_list(meter_ids=[meter.id, silent.id], at=at)
    assert uptime == {meter.id: expected, silent.id: Uptime(0)}
    assert uptime_list(at=at) == uptime
    assert uptime_list(meter_ids=[], at=at) == {}


def test_uptime_is_a_share() -> None:
    assert Uptime(84).share == 0.5
    assert Uptime(0).share == 0
    assert Uptime(1).of == 168


@pytest.mark.parametrize(
    ("label", "reports", "threshold_s", "expected"),
    [
        ("hourly", [f"10T{hour:02}:00" for hour in range(24)], 5400, []),
        ("a gap", ["10T00:30", "10T02:30", *[f"10T{hour:02}:30" for hour in range(3, 24)]], 5400,
         [("10T00:30", "10T02:30")]),
        ("of just the threshold", ["10T21:00", "10T22:30"], 5400, []),
        ("a second more", ["10T21:00:00", "10T22:30:01"], 5400, [("10T21:00:00", "10T22:30:01")]),
        ("still down", ["10T10:00"], 5400, [("10T10:00", None)]),
        ("began before the span", ["09T20:00", "10T10:00"], 60_000, []),
        ("began before the span, long", ["08T20:00", "10T22:00", "10T23:00"], 5400,
         [("08T20:00", "10T22:00"), ]),
        ("ended before the span", ["08T20:00", "09T23:30", "10T00:30"], 84_600, []),
        ("silent since before the span", ["07T10:00"], 5400, [("07T10:00", None)]),
        ("after the span", ["11T10:00"], 5400, []),
        ("never reported", [], 5400, []),
    ],
)  # fmt: skip
def test_gaps(
    label: str, reports: list[str], threshold_s: int, expected: list[tuple[str, str | None]]
) -> None:
    meter = meter_make()
    circuits = [circuit_make(meter, last=last) for last in range(3)]
    log_make(circuit_make(), "2026-11-10T23:59", latency_s=0)  # another meter's
    for number, report in enumerate(reports):
        # The meter's clock is of no matter here: that of every third report is years off.
        received = instant(f"2026-11-{report}")
        late = 60 if number % 3 else 200_000_000
        if "before" in label or "since" in label:
            late = 60
        log_make(circuits[number % 3], received - timedelta(seconds=late), latency_s=late)
    found = gap_list(start=START, end=END, meter_ids=[meter.id], threshold_s=threshold_s)
    gaps = []
    for since, until in expected:
        start = instant(f"2026-11-{since}")
        end = instant(f"2026-11-{until}") if until else None
        gaps.append(Gap(meter.id, start, end, ((end or END) - start).total_seconds()))
    assert found == gaps


def test_gaps_of_all_meters_and_a_senseless_threshold() -> None:
    for time in ("2026-11-10T10:00", "2026-11-10T20:00"):
        log_make(circuit_make(), time)
    assert len(gap_list(start=START, end=END)) == 2
    with pytest.raises(UserError, match="more than 0 seconds"):
        gap_list(start=START, end=END, threshold_s=0)


def test_latency() -> None:
    meter = meter_make()
    circuit = circuit_make(meter)
    for hour, latency_s in enumerate([30, 60, 90, 7200, -120]):
        log_make(circuit, START + timedelta(hours=hour + 1), latency_s=latency_s)
    log_make(circuit, START, latency_s=99_999)
    log_make(circuit_make(), START + timedelta(hours=1), latency_s=5)
    assert latency_list(start=START, end=END, meter_ids=[meter.id]) == [
        Latency(meter.id, 5, 60, 7200, 7200)
    ]
    assert len(latency_list(start=START, end=END)) == 2
