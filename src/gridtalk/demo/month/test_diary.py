"""Simulated time."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise

import pytest

from gridtalk.demo.month.diary import Diary
from gridtalk.demo.month.troubles import CALM, LAST_WORDS, Troubles, spans_draw, troubles_draw

START = datetime(2026, 11, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_errands_run_in_order_of_their_time_and_then_of_their_entry() -> None:
    diary, done = Diary(START), []
    for name, delay in (("late", 60), ("first", 5), ("second", 5)):
        diary.post(lambda name=name: done.append((name, diary.now)), delay_s=delay)
    diary.run_until(START + timedelta(seconds=30))
    assert done == [(name, START + timedelta(seconds=5)) for name in ("first", "second")]
    assert diary.now == START + timedelta(seconds=30)
    diary.run_until(START + HOUR)
    assert done[-1] == ("late", START + timedelta(minutes=1))


def test_what_repeats_repeats_and_the_past_is_now() -> None:
    diary, hours = Diary(START), []
    diary.every(HOUR, lambda: hours.append(diary.now), first=START - HOUR)
    diary.run_until(START + 3 * HOUR)
    assert hours == [START + n * HOUR for n in range(4)]


def test_an_errand_that_fails_is_kept_and_stops_nothing() -> None:
    diary, done = Diary(START), []
    diary.post(lambda: 1 / 0)
    diary.post(lambda: done.append(1))
    diary.run_until(START)
    assert done == [1]
    assert [type(error) for error in diary.failures] == [ZeroDivisionError]


def test_threads_enter_in_an_order_that_does_not_depend_on_them() -> None:
    orders = set()
    for _ in range(5):
        diary, done = Diary(START), []

        def enter(key: str, diary: Diary = diary, done: list[str] = done) -> None:
            diary.key(key)
            for part in "12":
                diary.post(partial(done.append, key + part))

        with diary.gathering(), ThreadPoolExecutor(8) as pool:
            list(pool.map(enter, random.sample("abcdefgh", 8)))
        diary.run_until(START)
        orders.add("".join(done))
    assert orders == {"".join(key + part for key in "abcdefgh" for part in "12")}


def test_troubles_come_of_the_seed_and_end_before_the_calm() -> None:
    end = START + timedelta(days=30)
    one, same, other = (
        troubles_draw(seed=seed, start=START, end=end, faults=True) for seed in (1, 1, 2)
    )
    assert one == same
    assert one.server_down != other.server_down
    assert one.calm == end - CALM
    assert one.server_down
    assert all(START < off < on < one.calm for off, on in one.server_down + one.kannel_down)
    without = troubles_draw(seed=1, start=START, end=end, faults=False)
    assert without == Troubles(seed=1, calm=START, last=end - LAST_WORDS)


@pytest.mark.parametrize("hours", [1, 40])
def test_spans_do_not_overlap(hours: int) -> None:
    chance = random.Random(4)
    spans = spans_draw(chance, START, START + 40 * HOUR, every_hours=hours, longest_minutes=120)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
