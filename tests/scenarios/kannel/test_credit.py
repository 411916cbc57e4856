"""A token bought by SMS, the meters' real lines, and reports of delivery, through a real Kannel."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.scenario


def test_a_token_bought_by_sms_end_to_end(world: Any, eventually: Any) -> None:
    meter = world.meter_new()
    person, pin, token = meter.people[0], meter.pins[0], world.token()
    world.air.say(person, f"add.{pin}.{token}")
    answer = world.air.await_text(person, "your token was added")
    assert answer == f"Account {pin}: your token was added. Power is on, credit 500.00."
    assert world.air.inbox(person) == [answer]
    (order,) = world.air.inbox(meter.number)
    job = re.fullmatch(r"\(job=cr&jobid=(\d+)&cid=192\.168\.1\.201&amt=500\.00?\)", order)
    assert job, order
    assert meter.credits() == [Decimal(500)]

    number = int(job[1])
    assert world.rows("SELECT state, kind FROM jobs WHERE id = %s", number) == [
        ("done", "add_credit")
    ]
    assert world.one("SELECT state FROM tokens WHERE number = %s", token) == "used"
    assert world.rows(
        "SELECT credit, credit_estimated FROM circuits WHERE id = %s", meter.circuit_ids[0]
    ) == [(Decimal(500), False)]
    # The reports of delivery: 8 and 1 for the meter's text and the consumer's.
    eventually(
        lambda: world.rows(
            "SELECT kind, state, attempts FROM messages WHERE number = ANY(%s) "
            "AND kind <> 'incoming' ORDER BY id",
            [person, meter.number],
        ),
        [("job", "delivered", 1), ("outgoing", "delivered", 1)],
    )
    assert world.rows(
        "SELECT i.outcome, i.error FROM incoming_messages i JOIN messages m USING (id) "
        "WHERE m.number = ANY(%s) ORDER BY i.id",
        [person, meter.number],
    ) == [("add credit", ""), ("acknowledged", "")]
    world.verify()


def test_a_token_texted_twice_is_redeemed_once(world: Any, eventually: Any) -> None:
    meter = world.meter_new(people=2)
    person, neighbour = meter.people
    token = world.token()
    world.air.say(person, f"add.{meter.pins[0]}.{token}")
    world.air.say(neighbour, f"add.{meter.pins[1]}.{token}")
    # Whichever came first has it: the two were on their way at the same time.
    eventually(lambda: [len(world.air.inbox(phone)) for phone in (person, neighbour)], [1, 1])
    said = sorted(world.air.inbox(person) + world.air.inbox(neighbour), key=len)
    assert said[0] in {"This token is being added already.", "This token has been used already."}
    assert said[1].endswith(": your token was added. Power is on, credit 500.00.")
    assert meter.credits() == [Decimal(500)]
    shown = world.rows("SELECT credit FROM circuits WHERE id = ANY(%s)", meter.circuit_ids)
    assert sorted(shown) == [(Decimal(0),), (Decimal(500),)]
    jobs = """SELECT count(*) FROM add_credit_jobs a JOIN tokens t ON t.id = a.token_id
        WHERE t.number = %s"""
    assert world.one(jobs, token) == 1


def test_the_real_lines_of_2012_become_logs_and_an_alert(world: Any, eventually: Any) -> None:
    text = (Path(__file__).parent / "captured_2012.txt").read_text()
    lines = re.findall(r"\[from:\+223xxxxx(\d{3})\].*?\[msg:(\d+):(.*)\] \[udh", text)
    assert [(tail, len(message)) for tail, _, message in lines] == [("021", 47), ("502", 66)]
    assert all(len(message) == int(length) for _, length, message in lines)
    faulty = world.meter_new(people=0, circuits=20, number="+22376543021")
    reporting = world.meter_new(people=0, circuits=20, number="+22376543502")
    for meter, (_, _, message) in zip((faulty, reporting), lines, strict=True):
        world.air.say(meter.number, message)

    def logs() -> list[Any]:
        return list(
            world.rows(
                """SELECT c.ip_address, p.meter_time, p.status, p.use_time_s, p.watthours, p.credit
                FROM primary_logs p JOIN circuits c ON c.id = p.circuit_id
                WHERE c.id = ANY(%s) ORDER BY c.ip_address""",
                reporting.circuit_ids,
            )
        )

    # By hand: 76ZE0 in base 36 is 12083112, hour 12 of 2012-08-31, in Bamako (UTC).
    hour = datetime(2012, 8, 31, 12, tzinfo=UTC)
    expected = [
        # E,36I,894,3U3Y: 14; 4122 s; 10696 tenths of a watt-hour; 178990 hundredths
        ("192.168.1.214", 4122, "1069.6", "1789.90"),
        ("192.168.1.215", 330, "990.2", "710.85"),
        ("192.168.1.216", 837, "1282.9", "1367.25"),
        ("192.168.1.217", 324, "617.0", "571.00"),
    ]
    eventually(lambda: len(logs()), 4)
    assert [(a, t, s, float(u), Decimal(str(w)), c) for a, t, s, u, w, c in logs()] == [
        (address, hour, 1, float(use), Decimal(wh), Decimal(credit))
        for address, use, wh, credit in expected
    ]
    assert world.rows(
        "SELECT ip_address, credit, status FROM circuits WHERE id = ANY(%s) "
        "AND last_reported_at IS NOT NULL ORDER BY ip_address", reporting.circuit_ids,
    ) == [(address, Decimal(credit), 1) for address, _, _, credit in expected]  # fmt: skip

    def alerts() -> list[Any]:
        return list(
            world.rows(
                """SELECT a.kind, f.code, c.ip_address FROM alerts a
                JOIN meter_fault_alerts f USING (id) LEFT JOIN circuits c ON c.id = a.circuit_id
                WHERE a.meter_id = (SELECT meter_id FROM circuits WHERE id = %s)""",
                faulty.circuit_ids[0],
            )
        )

    eventually(alerts, [("meter_fault", "ce", "192.168.1.208")])
