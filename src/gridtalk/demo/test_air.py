"""The network's faults and Kannel's small words."""

import pytest

from gridtalk.demo.air import Air, Faults, decoded, expanded


def test_without_faults_each_text_arrives_once_at_once() -> None:
    air = Air()
    assert [air.arrivals() for _ in range(100)] == [[0.0]] * 100


@pytest.mark.parametrize(
    ("label", "faults", "count", "longest"),
    [
        ("all are lost", Faults(loss=1), 0, 0),
        ("all come twice", Faults(duplicates=1), 2, 0),
        ("delayed", Faults(delay_s=3), 1, 3),
        ("held back", Faults(reordering=1, hold_s=5), 1, 5),
        ("delayed and held back, twice", Faults(1, 0, 1, 1, 2), 2, 3),
    ],
)
def test_fault(label: str, faults: Faults, count: int, longest: float) -> None:
    found = [Air(faults, seed=n).arrivals() for n in range(200)]
    assert {len(arrivals) for arrivals in found} == {count}, label
    times = [time for arrivals in found for time in arrivals]
    assert max(times, default=0) <= longest, label
    if faults.reordering:
        assert min(times) >= faults.hold_s, label


def test_the_same_seed_tells_the_same() -> None:
    faults = Faults(delay_s=2, loss=0.3, duplicates=0.3, reordering=0.3)
    one, two, three = Air(faults, seed=7), Air(faults, seed=7), Air(faults, seed=8)
    told = [one.arrivals() for _ in range(50)]
    assert told == [two.arrivals() for _ in range(50)]
    assert told != [three.arrivals() for _ in range(50)]
    assert 5 <= told.count([]) <= 30


@pytest.mark.parametrize(
    ("raw", "coding", "charset", "text"),
    [
        (b"bal", "0", "UTF-8", "bal"),
        ("é".encode(), "0", "", "é"),
        (b"\x20\xa6", "2", "", "₦"),
        ("₦".encode(), "2", "UTF-8", "₦"),
        (b"\xff", "0", "UTF-8", "�"),
    ],
)
def test_decoded(raw: bytes, coding: str, charset: str, text: str) -> None:
    assert decoded(raw, coding=coding, charset=charset) == text


def test_expanded() -> None:
    url = "http://h/r?type=%d&text=a%20b&answer=%A&other=%z&end=%"
    assert (
        expanded(url, {"d": "8", "A": "a b"})
        == "http://h/r?type=8&text=a%20b&answer=a%20b&other=%z&end=%"
    )
