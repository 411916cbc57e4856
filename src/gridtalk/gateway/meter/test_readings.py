"""From parsed messages to logs: whose circuit, which instant, what is said of each message."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gridtalk.gateway.meter import wire
from gridtalk.gateway.meter.readings import (
    IncomingHandled,
    StoredReadings,
    incoming_mark_handled,
    readings_take,
)
from gridtalk.grid.models import Meter
from gridtalk.messaging.models import IncomingMessage
from gridtalk.telemetry.models import PrimaryLog
from gridtalk.telemetry.testing import circuit_make, instant, meter_make

pytestmark = pytest.mark.django_db

RECEIVED = "2012-08-31T12:05"


def stored(meter: Meter, text: str, received: str = RECEIVED) -> StoredReadings:
    message = IncomingMessage(
        number=meter.phone or "",
        text=text,
        communication_interface=meter.communication_interface,
        state="received",
        created_at=instant(received),
    )
    message.save()
    logs = wire.parse(text)
    assert isinstance(logs, wire.PrimaryLogs)
    return StoredReadings(message, meter, logs)


def village(circuits: int = 3, **facts: str) -> Meter:
    meter = meter_make(**facts)
    for last in range(circuits + 1):
        circuit_make(meter, last=last)
    return meter


def test_a_message_becomes_logs_and_circuits() -> None:
    meter = village(2)
    given = stored(meter, "(l76ZE0#2S;1,RS,1C,2M0#2,0,0,-A)")
    (taken,) = readings_take(messages=[given]).messages
    assert (taken.message_id, taken.stored, taken.duplicates) == (given.message.id, 3, 0)
    assert (taken.outcome, taken.error) == ("reports", "")
    logs = PrimaryLog.objects.order_by("circuit__ip_address").values_list(
        "circuit__ip_address", "watthours", "use_time_s", "status", "credit", "message_id"
    )
    message = given.message.id
    assert list(logs) == [
        ("192.168.1.200", Decimal(10), Decimal(86400), 1, None, message),
        ("192.168.1.201", Decimal("4.8"), Decimal(1000), 1, Decimal("33.84"), message),
        ("192.168.1.202", Decimal(0), Decimal(0), 0, Decimal("-0.10"), message),
    ]
    assert list(meter.circuits.order_by("ip_address").values_list("credit", "status")) == [
        (0, 1),
        (Decimal("33.84"), 1),
        (Decimal("-0.10"), 0),
    ]


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("UTC", "2012-08-31T12:00"),
        ("Africa/Bamako", "2012-08-31T12:00"),
        ("Africa/Kampala", "2012-08-31T09:00"),
        ("Asia/Kolkata", "2012-08-31T06:30"),
    ],
)
def test_the_meters_zone(zone: str, expected: str) -> None:
    meter = village(1, time_zone=zone)
    readings_take(messages=[stored(meter, "(l76ZE0#1,RS,1C,2M0#)")])
    assert PrimaryLog.objects.get().meter_time == instant(expected)


@pytest.mark.parametrize(
    ("label", "text", "zone", "outcome", "counts", "error"),
    [
        ("all good", "(l76ZE0#1,1,1,1;2,1,1,1#)", "UTC", "reports", (2, 0), ""),
        (
            "the first of two counts", "(l76ZE0#1,1,1,1#1,1,1,2)", "UTC", "reports", (1, 1),
            "1 there already, not stored twice",
        ),
        (
            "a circuit which the meter has not", "(l76ZE0#1,1,1,1;9,1,1,1#)", "UTC",
            "reports", (1, 0), "entry 2: the meter has no circuit 192.168.1.209",
        ),
        (
            "its position counts bad neighbours", "(l76ZE0#!;1,1,1,1;9,1,1,1#)", "UTC",
            "reports", (1, 0), "entry 3: the meter has no circuit 192.168.1.209",
        ),
        (
            "no entry is good", "(l76ZE0#;9,1,1,1#)", "UTC", "error", (0, 0),
            "entry 1: the entry is empty; entry 2: the meter has no circuit",
        ),
        (
            "no time zone", "(l76ZE0#1,1,1,1#)", "Mars/Base", "error", (0, 0),
            "entry 1: the meter's time zone: “Mars/Base” is no IANA time zone",
        ),
        ("no entry", "(l76ZE0##)", "UTC", "error", (0, 0), "the message holds no entry"),
        (
            "a clock ahead", "(l76ZE2#1,1,1,1;2,1,1,1#)", "UTC", "reports", (2, 0),
            "the meter's clock is over an hour ahead: 2 kept",
        ),
    ],
)  # fmt: skip
def test_what_is_said_of_a_message(
    label: str, text: str, zone: str, outcome: str, counts: tuple[int, int], error: str
) -> None:
    meter = village(2, time_zone=zone)
    (taken,) = readings_take(messages=[stored(meter, text)]).messages
    assert taken.outcome == outcome
    assert (taken.stored, taken.duplicates) == counts
    assert error in taken.error
    assert bool(taken.error) == bool(error)


def test_the_same_message_again_is_a_duplicate() -> None:
    meter = village(2)
    text = "(l76ZE0#1,1,1,1;2,1,1,1#)"
    first, second = readings_take(messages=[stored(meter, text), stored(meter, text)]).messages
    assert (first.outcome, first.stored, first.duplicates) == ("reports", 2, 0)
    assert (second.outcome, second.stored, second.duplicates) == ("duplicate", 0, 2)
    (third,) = readings_take(messages=[stored(meter, text)]).messages
    assert (third.outcome, third.duplicates) == ("duplicate", 2)
    assert PrimaryLog.objects.count() == 2
    assert third.error == ""


def test_what_was_there_in_a_message_that_brings_more_is_told() -> None:
    meter = village(3)
    readings_take(messages=[stored(meter, "(l76ZE0#1,1,1,1;2,1,1,1#)")])
    (taken,) = readings_take(
        messages=[stored(meter, "(l76ZE0#1,1,1,1;2,1,1,1;3,1,1,1;!#)")]
    ).messages
    assert (taken.outcome, taken.stored, taken.duplicates) == ("reports", 1, 2)
    assert taken.error.startswith("entry 4: ")
    assert taken.error.endswith("; 2 there already, not stored twice")


def test_more_decimals_than_the_columns_hold_are_rounded_half_to_even() -> None:
    meter = village(1)
    text = "(job=pp&cid=192.168.1.201&wh=1.125&tu=2.125&ts=2012083112&status=1&cr=0.125)"
    readings_take(messages=[stored(meter, text)])
    log = PrimaryLog.objects.get()
    assert (log.watthours, log.use_time_s, log.credit) == (
        Decimal("1.12"), Decimal("2.12"), Decimal("0.12"),
    )  # fmt: skip
    assert meter.circuits.get(is_main=False).credit == log.credit


def test_many_messages_cost_no_more_queries_than_one() -> None:
    meters = [village(3) for _ in range(8)]
    counts = []
    for part in (meters[:1], meters[1:]):
        given = [stored(meter, "(l76ZE0#2S;1,1,1,1;2,1,1,1;3,1,1,1#)") for meter in part]
        with CaptureQueriesContext(connection) as queries:
            readings_take(messages=given)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 8


def test_two_meters_with_circuits_of_the_same_address() -> None:
    one, two = village(1), village(1)
    readings_take(messages=[stored(one, "(l76ZE0#1,1,1,1#)"), stored(two, "(l76ZE0#1,1,1,2#)")])
    assert one.circuits.get(is_main=False).credit == Decimal("0.01")
    assert two.circuits.get(is_main=False).credit == Decimal("0.02")


def test_messages_are_marked() -> None:
    meter = village(1)
    one, two, three = (stored(meter, "(l76ZE0#1,1,1,1#)").message for _ in range(3))
    assert incoming_mark_handled(rows=[]) == 0
    marked = incoming_mark_handled(
        rows=[
            IncomingHandled(one.id, "reports"),
            IncomingHandled(two.id, "error", 'entry 1: {a,"b"}\\ \x00 é; NULL'),
        ]
    )
    assert marked == 2
    for message in (one, two, three):
        message.refresh_from_db()
    assert (one.outcome, one.error) == ("reports", "")
    assert (two.outcome, two.error) == ("error", 'entry 1: {a,"b"}\\ � é; NULL')
    assert one.handled_at is not None
    assert (datetime.now(UTC) - one.handled_at).total_seconds() < 60
    assert (three.handled_at, three.outcome) == (None, "")
