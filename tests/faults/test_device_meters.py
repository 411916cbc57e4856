"""Generated meters on a bad network, killed at any moment: all that they say, exactly once.

One in ten messages vanishes in each direction, or connections break again and again; the meters'
process groups are killed with ``SIGKILL`` and started again; meanwhile people text scratch cards.
``GRIDTALK_FAULT_SEED=7`` plays another order of things.
"""

import os
import random
import time
from collections.abc import Iterator

import pytest
from tests.conftest import Gridtalk
from tests.scenarios.generated_meters import LANGUAGES, World, workshop, world_on
from tests.scenarios.meter_books import judge_all

SEED = int(os.environ.get("GRIDTALK_FAULT_SEED", "1"))
#: How long the bad time lasts; afterwards the meters may say what is left, over the same network.
BAD_S = 12
SETTLE_S = 30

pytestmark = pytest.mark.faults


@pytest.fixture
def world(gridtalk: Gridtalk) -> Iterator[World]:
    """A server, and the meters' code, built."""
    workshop()
    with world_on(gridtalk, seed=SEED) as one:
        yield one


def bad_time(world: World, *, seed: int) -> None:
    """Kill meters, start them again, and let people text, by the seed's chance."""
    chance = random.Random(seed)
    ends = time.monotonic() + BAD_S
    turns = {id(meter): time.monotonic() + chance.uniform(1, 4) for meter in world.meters}
    texts = time.monotonic()
    while time.monotonic() < ends:
        now = time.monotonic()
        for meter in world.meters:
            if now < turns[id(meter)]:
                continue
            if meter.plug.is_in:
                meter.kill()
                turns[id(meter)] = now + chance.uniform(0, 1.5)
            else:
                meter.start()
                turns[id(meter)] = now + chance.uniform(1, 6)
        if now >= texts:
            texts = now + chance.uniform(0.1, 0.4)
            person = chance.choice(chance.choice(world.meters).people)
            match chance.choice(("add", "add", "add", "on", "off", "bal")):
                case "add" if len(world.redeemed) < len(world.tokens):
                    world.redeem(person)
                case word if word != "add":
                    world.say(person, word)
        time.sleep(0.02)
    for meter in world.meters:
        if not meter.plug.is_in:
            meter.start()


@pytest.mark.parametrize(
    ("label", "loss", "cut_after_s"), [("loses one in ten", 0.1, 0.0), ("breaks", 0.0, 3.0)]
)
def test_everything_exactly_once(label: str, loss: float, cut_after_s: float, world: World) -> None:
    world.add(workshop(), LANGUAGES, tokens=60)
    world.lossy.loss, world.lossy.cut_after_s = loss, cut_after_s
    for meter in world.meters:
        world.redeem(meter.people[0])
    bad_time(world, seed=SEED)
    world.settle(seconds=SETTLE_S)
    sent = world.rows("SELECT count(*), count(DISTINCT job_id) FROM job_messages")
    print(label, vars(world.lossy)["lost"], world.lossy.cuts, "cuts", sent, len(world.redeemed))
    judge_all(world)
    assert all(meter.starts > 3 for meter in world.meters)
    assert bool(loss) == bool(world.lossy.lost["up"]) == bool(world.lossy.lost["down"])
    assert bool(cut_after_s) == bool(world.lossy.cuts)
