"""A generated meter's day, with Mosquitto and with amqtt, while the server's parts are killed.

Bound, credit by SMS, off, on, too strong a lamp, broker and server killed, unplugged, credit
meanwhile, plugged in: in Python under an unmodified iottalk-py, and in C++, side by side.
"""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import pytest
from tests.conftest import Gridtalk, wait_until
from tests.scenarios.generated_meters import (
    LANGUAGES,
    TOO_STRONG,
    GeneratedMeter,
    World,
    workshop,
    world_on,
)
from tests.scenarios.meter_books import judge_all

from gridtalk.demo.people import Person
from gridtalk.iottalk.broker.kinds import mosquitto_binary

pytestmark = pytest.mark.scenario

#: Another process holds a killed one's devices after so long.
TAKEN_OVER_S = 10
CUT_OFF = """
    SELECT count(*) FROM alerts a JOIN circuits c ON c.id = a.circuit_id
    WHERE a.kind = 'power_max' AND c.ip_address = %s
"""
LARGEST_SHARE = """
    SELECT max(n) FROM (SELECT count(*) AS n FROM device_shards WHERE lease_until > now()
                        GROUP BY holder) AS each
"""


@pytest.fixture
def world(request: pytest.FixtureRequest, gridtalk: Gridtalk) -> Iterator[World]:
    """A server with the broker that is asked for, and one meter in each language."""
    kind = getattr(request, "param", "mosquitto")
    if kind == "mosquitto" and not mosquitto_binary():
        pytest.skip("Mosquitto is not installed")
    code = workshop()
    with world_on(gridtalk, seed=1, GRIDTALK_BROKER=kind) as one:
        one.add(code, LANGUAGES)
        yield one


def process_of(world: World, *words: str) -> psutil.Process:
    """The first process of the server that has one of these names; waits for it."""
    found: psutil.Process = wait_until(lambda: find(world, *words), what=f"a process {words}")
    return found


def kill(world: World, *words: str) -> None:
    """``kill -9`` of that process."""
    process_of(world, *words).kill()


def find(world: World, *words: str) -> psutil.Process | None:
    """The first live process of the server that has one of these names."""
    for process in world.gridtalk.processes():
        with contextlib.suppress(psutil.Error):
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            if process.name() in words or set(words) & set(process.cmdline()[2:5]):
                return process
    return None


def heard(world: World, person: Person, words: str, act: Callable[[], None]) -> None:
    """Do it, and wait until the person is answered with these words."""
    since = len(person.inbox)
    act()
    assert person.await_text(lambda text: words in text, since=since, timeout_s=30), (
        f"{person.name} was not told “{words}”, but {[one.text for one in person.inbox[since:]]}"
    )


def buys(world: World, person: Person) -> None:
    """A scratch card, and the answer that the meter has it."""
    heard(world, person, "token was added", lambda: world.redeem(person))


def offlines(world: World) -> int:
    """How often a meter was shown offline."""
    return int(world.ask("SELECT count(*) FROM device_events WHERE kind = 'offline'"))


def wait_shown(world: World, *, online: bool) -> None:
    """Until the pages show all meters so."""
    wait_until(
        lambda: all(world.is_online(meter) == online for meter in world.meters),
        what=f"all meters to be {'on' if online else 'off'}line", seconds=30,
    )  # fmt: skip


def is_on(meter: GeneratedMeter, person: Person) -> bool:
    """Whether the person has light, by the meter's own word."""
    return meter.line(person.address)[1]


@pytest.mark.parametrize("world", ["mosquitto", "amqtt"], indirect=True)
def test_a_meters_day(world: World) -> None:
    wait_shown(world, online=True)
    pairs = [(meter, meter.people[0]) for meter in world.meters]
    for meter, person in pairs:
        buys(world, person)
        assert is_on(meter, person)
        heard(world, person, "now off", lambda person=person: world.say(person, "off"))
        assert not is_on(meter, person)
        heard(world, person, "now on", lambda person=person: world.say(person, "on"))
        assert is_on(meter, person)

    # Too strong a lamp: it is cut off, and the operator told.
    for meter in world.meters:
        buys(world, meter.people[2])
    wait_until(lambda: world.ask(CUT_OFF, TOO_STRONG) == 2, what="both alerts")

    # The broker, the device server and the web process are killed; credit is bought meanwhile.
    kill(world, "mosquitto", "devices")  # amqtt is a part of the latter
    people = [meter.people[1] for meter in world.meters]
    for person in people:
        world.redeem(person)
    kill(world, "web")
    kill(world, "devices")
    for person in people:
        heard(world, person, "now off", lambda person=person: world.say(person, "off"))
    assert offlines(world) == 0

    # Unplugged: shown at once; what is bought waits; the plug is put in.
    for meter in world.meters:
        meter.kill()
    wait_shown(world, online=False)
    for _meter, person in pairs:
        world.redeem(person)
    wait_until(lambda: world.open_jobs() == 2, what="both credits to wait")
    for meter, person in pairs:
        heard(world, person, "token was added", meter.start)
    wait_shown(world, online=True)
    assert offlines(world) == 2
    world.settle(seconds=20)
    judge_all(world)


def test_another_process_takes_over(world: World) -> None:
    """Two processes; the one that holds the meters' shards is killed in the middle of a sale."""
    wait_shown(world, online=True)
    kept = process_of(world, "devices").environ()
    for name in ("GRIDTALK_SUPERVISOR", "GRIDTALK_READY_FILE"):
        kept.pop(name, None)  # it is nobody's child
    command = ["--data-dir", str(world.gridtalk.data_dir), "devices"]
    second = subprocess.Popen([sys.executable, "-m", "gridtalk.cli", *command], env=kept)
    try:
        wait_until(
            lambda: world.ask(LARGEST_SHARE) == 8, what="half of the shards each", seconds=20
        )
        for meter in world.meters:
            buys(world, meter.people[0])
        for process in (second, process_of(world, "devices")):
            buyer = [meter.people[1] for meter in world.meters]
            since = [len(person.inbox) for person in buyer]
            began = time.monotonic()
            for person in buyer:
                world.redeem(person)
            process.kill()
            if process is second:
                second.wait()
            for person, start in zip(buyer, since, strict=True):
                left = began + TAKEN_OVER_S + 3 - time.monotonic()
                assert person.await_text(
                    lambda text: "token was added" in text, since=start, timeout_s=left
                ), f"{person.name} waits"
        assert offlines(world) == 0
        world.settle(seconds=20)
        judge_all(world)
    finally:
        second.kill()
        second.wait()
