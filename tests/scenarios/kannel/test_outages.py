"""Kannel or Gridtalk away for a while, answers lost, a wrong password: nothing lost or doubled."""

import time
import urllib.error
import urllib.request
from decimal import Decimal
from typing import Any

import pytest
from tests.scenarios.kannel.relay import relay_between

pytestmark = pytest.mark.scenario

STATES = "SELECT state, attempts FROM messages WHERE number = %s AND kind <> 'incoming'"


def test_kannel_away_while_an_answer_and_a_credit_wait(world: Any, eventually: Any) -> None:
    # A meter that would add a repeated credit twice: none may be repeated.
    meter = world.meter_new(people=2, knows_job_ids=False)
    asker, buyer = meter.people
    token = world.token()
    worker = world.server.child("worker")
    worker.suspend()
    try:
        world.air.say(asker, f"bal.{meter.pins[0]}")
        world.air.say(buyer, f"add.{meter.pins[1]}.{token}")
        eventually(lambda: len(world.outcomes(asker, buyer)), 2)
        world.kannel.stop()
    finally:
        worker.resume()
    try:
        # What waits says why, at the message and at the interface; the token is kept for its job.
        for number in (asker, meter.number):
            eventually(
                lambda number=number: world.rows(
                    "SELECT state, attempts > 0, last_error LIKE '%%could not be reached%%' "
                    "FROM messages WHERE number = %s AND kind <> 'incoming'", number),
                [("queued", True, True)],
            )  # fmt: skip
        error = world.one(
            "SELECT last_error FROM communication_interfaces WHERE id = %s", world.interface
        )
        assert "could not be reached: Connection refused" in error
        assert world.one("SELECT state FROM tokens WHERE number = %s", token) == "pending"
    finally:
        world.kannel.start()
    assert world.air.await_text(asker, "credit 0.00", seconds=30)
    assert world.air.await_text(buyer, "your token was added", "credit 500.00", seconds=30)
    assert meter.credits() == [Decimal(500)]
    assert [len(world.air.inbox(phone)) for phone in (asker, buyer, meter.number)] == [1, 1, 1]
    assert world.one(
        "SELECT last_sent_at > last_error_at FROM communication_interfaces WHERE id = %s",
        world.interface,
    )
    assert world.one("SELECT state FROM tokens WHERE number = %s", token) == "used"
    world.verify()


def test_kannel_killed_while_a_village_texts(world: Any, eventually: Any) -> None:
    meter = world.meter_new(people=20)
    token = world.token()
    for number, (person, pin) in enumerate(zip(meter.people, meter.pins, strict=True)):
        world.air.say(person, f"add.{pin}.{token}" if number == 10 else f"bal.{pin}")
        if number == 12:
            world.kannel.kill()
            world.kannel.start()
    # What the fake SMSC lost of its own with the power is said again, as a person would.
    time.sleep(2)
    silent = [
        (person, pin)
        for person, pin in zip(meter.people, meter.pins, strict=True)
        if not world.outcomes(person)
    ]
    for person, pin in silent:
        world.air.say(person, f"add.{pin}.{token}" if person == meter.people[10] else f"bal.{pin}")
    for number, person in enumerate(meter.people):
        words = "your token was added" if number == 10 else "credit 0.00"
        assert world.air.await_text(person, words, seconds=60)
    assert meter.credits() == [Decimal(500)]
    assert world.one("SELECT state FROM tokens WHERE number = %s", token) == "used"
    waiting = "SELECT count(*) FROM messages WHERE state IN ('queued', 'sending')"
    eventually(lambda: world.one(waiting), 0, seconds=60)
    world.verify()


def test_gridtalk_away_while_phones_text(world: Any, eventually: Any) -> None:
    meter = world.meter_new(people=6, knows_job_ids=False)
    token = world.token()
    before, _ = world.kannel.counts()
    assert world.server.stop() == 0
    try:
        for person, pin in list(zip(meter.people, meter.pins, strict=True))[:5]:
            world.air.say(person, f"bal.{pin}")
        world.air.say(meter.people[5], f"add.{meter.pins[5]}.{token}")
        eventually(lambda: world.kannel.counts()[0] - before, 6)
        time.sleep(1.5)  # so that smsbox has been refused at least once
    finally:
        world.restart()
    for person in meter.people[:5]:
        assert world.air.await_text(person, "credit 0.00", seconds=30)
    assert world.air.await_text(meter.people[5], "your token was added", seconds=30)
    for person in meter.people:
        assert [kind for kind, *_ in world.messages(person)] == ["incoming", "outgoing"]
        assert len(world.air.inbox(person)) == 1
    assert meter.credits() == [Decimal(500)]
    world.verify()


def test_bearerbox_restarted_with_texts_that_no_smsbox_has(world: Any, eventually: Any) -> None:
    meter = world.meter_new(people=4, knows_job_ids=False)
    token = world.token()
    world.kannel.stop("smsbox")
    for person, pin in list(zip(meter.people, meter.pins, strict=True))[:3]:
        world.air.say(person, f"bal.{pin}")
    world.air.say(meter.people[3], f"add.{meter.pins[3]}.{token}")
    eventually(lambda: world.kannel.counts()[1], 4)
    world.kannel.stop()
    world.kannel.start()
    for person in meter.people[:3]:
        assert world.air.await_text(person, "credit 0.00", seconds=30)
    assert world.air.await_text(meter.people[3], "your token was added", seconds=30)
    assert [len(world.outcomes(person)) for person in meter.people] == [1] * 4
    assert [len(world.air.inbox(person)) for person in meter.people] == [1] * 4
    assert meter.credits() == [Decimal(500)]
    eventually(lambda: world.kannel.counts()[1], 0)


def test_the_web_process_killed_while_phones_text(world: Any, eventually: Any) -> None:
    meter = world.meter_new(people=30, knows_job_ids=False)
    token = world.token()
    for number, (person, pin) in enumerate(zip(meter.people, meter.pins, strict=True)):
        world.air.say(person, f"add.{pin}.{token}" if number == 15 else f"bal.{pin}")
        if number in {5, 14}:
            web = world.server.child("web")
            if web is not None:
                web.kill()
    for number, person in enumerate(meter.people):
        words = "your token was added" if number == 15 else "credit 0.00"
        assert world.air.await_text(person, words, seconds=40)
    assert [len(world.outcomes(person)) for person in meter.people] == [1] * 30
    assert [len(world.air.inbox(person)) for person in meter.people] == [1] * 30
    assert meter.credits() == [Decimal(500)]
    world.verify()


def test_answers_lost_on_the_way_to_kannel(world: Any, eventually: Any) -> None:
    meter = world.meter_new(people=2, knows_job_ids=False)
    asker, buyer = meter.people
    with relay_between(world.kannel, world.server.port, lose_first=True) as relay:
        world.air.say(asker, f"bal.{meter.pins[0]}")
        world.air.say(buyer, f"add.{meter.pins[1]}.{world.token()}")
        assert world.air.await_text(asker, "credit 0.00")
        assert world.air.await_text(buyer, "your token was added")
        # The two texts and the acknowledgement: each came twice under its id, answered alike.
        eventually(lambda: sorted(relay.answers.values()), [[(200, b"")] * 2] * 3)
    assert [
        [row[1] for row in world.outcomes(phone)] for phone in (asker, buyer, meter.number)
    ] == [["balance"], ["add credit"], ["acknowledged"]]
    assert [len(world.air.inbox(phone)) for phone in (asker, buyer, meter.number)] == [1, 1, 1]
    assert meter.credits() == [Decimal(500)]


def test_a_wrong_password_is_told_where_the_operator_looks(
    world: Any, eventually: Any, interface_new: Any
) -> None:
    wrong, _ = interface_new("Mistyped", "not the password")
    number = world.number_new()
    world.service("send", interface=wrong, texts=[[number, "Hello"]])
    eventually(lambda: world.rows(STATES, number), [("failed", 1)])
    said = world.one("SELECT last_error FROM messages WHERE number = %s", number)
    assert "Kannel" in said
    assert "403" in said
    assert world.rows(
        "SELECT last_error = %s, last_sent_at FROM communication_interfaces WHERE id = %s",
        said, wrong,
    ) == [(True, None)]  # fmt: skip
    assert world.one("SELECT count(*) FROM system_logs WHERE text LIKE 'Mistyped: %%403%%'") == 1
    assert "not the password" not in world.server.said()

    # A credit on that way is not lost: its job has failed and waits for a person; the buyer knows.
    meter = world.meter_new(interface=wrong)
    token = world.token()
    world.air.say(meter.people[0], f"add.{meter.pins[0]}.{token}")
    assert world.air.await_text(meter.people[0], "has not confirmed your token yet")
    assert world.rows(
        "SELECT j.state, t.state FROM jobs j JOIN add_credit_jobs a USING (id) "
        "JOIN tokens t ON t.id = a.token_id WHERE t.number = %s", token,
    ) == [("failed", "pending")]  # fmt: skip
    assert world.one(
        "SELECT count(*) FROM alerts WHERE kind = 'unresponsive_job' AND circuit_id = %s",
        meter.circuit_ids[0],
    ) == 1  # fmt: skip
    assert world.air.inbox(meter.number) == []
    world.verify()


def test_a_wrong_key_in_the_get_url_is_refused_and_told(world: Any) -> None:
    url = world.kannel.get_url.replace("key=", "key=x").partition("&id=")[0]
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{url}&id=1&from=%2B22370008888&text=bal", timeout=5)
    refused.value.close()
    assert refused.value.code == 403
    assert world.one("SELECT count(*) FROM messages WHERE number = '+22370008888'") == 0
    assert world.one(
        "SELECT count(*) FROM system_logs WHERE text LIKE '%%wrong or missing key for Kannel%%'"
    ) == 1  # fmt: skip
