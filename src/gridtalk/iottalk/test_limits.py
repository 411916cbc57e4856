"""How often devices may ask."""

from typing import Any

import pytest

from gridtalk.iottalk import limits


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(limits.time, "monotonic", lambda: now[0])
    return now


def test_a_source_waits_and_others_do_not(clock: list[float], settings: Any) -> None:
    settings.DEVICE_REGISTRATIONS_PER_MINUTE = 6
    for _ in range(6):
        limits.registration_admit(source="10.0.0.1")
    with pytest.raises(limits.Wait, match="wait 10 s") as refused:
        limits.registration_admit(source="10.0.0.1")
    assert refused.value.seconds == 10
    limits.registration_admit(source="10.0.0.2")
    clock[0] += 10
    limits.registration_admit(source="10.0.0.1")
    with pytest.raises(limits.Wait):
        limits.registration_admit(source="10.0.0.1")


def test_all_sources_together_are_limited(clock: list[float], settings: Any) -> None:
    settings.DEVICE_REGISTRATIONS_PER_MINUTE_IN_ALL = 20
    for number in range(20):
        limits.registration_admit(source=f"10.0.0.{number}")
    with pytest.raises(limits.Wait, match="too many registrations; wait 3 s"):
        limits.registration_admit(source="10.0.1.1")


def test_a_device_is_limited(clock: list[float], settings: Any) -> None:
    settings.DEVICE_REQUESTS_PER_SECOND = 2
    for _ in range(10):
        limits.request_admit(address="aa", source="10.0.0.1")
    with pytest.raises(limits.Wait, match="of this device; wait 1 s"):
        limits.request_admit(address="aa", source="10.0.0.1")
    limits.request_admit(address="bb", source="10.0.0.1")


def test_invented_devices_of_one_source_are_limited(clock: list[float], settings: Any) -> None:
    settings.DEVICE_REQUESTS_PER_SECOND_OF_SOURCE = 4
    for number in range(20):
        limits.request_admit(address=str(number), source="10.0.0.1")
    with pytest.raises(limits.Wait, match="from this address"):
        limits.request_admit(address="new", source="10.0.0.1")
    limits.request_admit(address="new", source="10.0.0.2")


def test_the_log_is_not_filled(clock: list[float]) -> None:
    assert [limits.note_admit(name="a") for _ in range(3)] == [True, False, False]
    assert sum(limits.note_admit(name=str(number)) for number in range(500)) == 99
    clock[0] += 60
    assert limits.note_admit(name="a")


def test_invented_names_do_not_fill_the_memory(clock: list[float]) -> None:
    limiter = limits.Limiter()
    for number in range(limits.MOST_BUCKETS + 10):
        clock[0] += 0.001
        limiter.take("a", str(number), rate=1, burst=1)
    assert len(limiter._buckets) <= limits.MOST_BUCKETS
    # The newest are remembered.
    assert limiter.take("a", str(number), rate=1, burst=1) > 0
