"""Workers that raise the same alert at the same moment: real transactions on real connections."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection, transaction

from gridtalk.alerts.conftest import Village, texts
from gridtalk.alerts.models import Alert
from gridtalk.alerts.services import alert_clear, alert_from_meter
from gridtalk.alerts.silence import unresponsive_circuits_check
from gridtalk.core import clock
from gridtalk.grid.models import Circuit

pytestmark = pytest.mark.django_db(transaction=True)


def together(count: int, work: Callable[[], None]) -> None:
    """Run the work in so many threads that meet before it; the first error is raised."""
    barrier = threading.Barrier(count)
    errors: list[Exception] = []

    def run() -> None:
        try:
            with transaction.atomic():
                barrier.wait(timeout=10)
                work()
        except Exception as error:  # noqa: BLE001  handed to the test's own thread
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    if errors:
        raise errors[0]


@pytest.mark.parametrize("code", ["lcw", "md"])
def test_one_is_opened_the_others_are_counted_and_one_text_goes_out(
    village: Village, code: str
) -> None:
    circuit = village.circuits[0] if code == "lcw" else None
    for _ in range(5):
        Alert.objects.all().delete()
        together(
            4, lambda: alert_from_meter(code=code, meter=village.meter, circuit=circuit) and None
        )
        alert = Alert.objects.get()
        assert alert.repeats == 3
    assert len(texts()) == (5 if circuit else 0)


def test_the_second_waits_for_the_first_and_tells_nobody_again(village: Village) -> None:
    circuit = village.circuits[0]
    raised, done = threading.Event(), threading.Event()

    def second() -> None:
        raised.wait(timeout=10)
        with transaction.atomic():
            alert_from_meter(code="lcw", meter=village.meter, circuit=circuit)
        done.set()
        connection.close()

    thread = threading.Thread(target=second)
    thread.start()
    with transaction.atomic():
        alert_from_meter(code="lcw", meter=village.meter, circuit=circuit)
        raised.set()
        assert not done.wait(timeout=0.3), "it must wait until the first has committed"
    thread.join(timeout=10)
    assert done.is_set()
    assert Alert.objects.get().repeats == 1
    assert len(texts()) == 1


def test_a_raise_that_is_rolled_back_leaves_nothing(village: Village) -> None:
    circuit = village.circuits[0]
    with transaction.atomic():
        alert_from_meter(code="lcw", meter=village.meter, circuit=circuit)
        transaction.set_rollback(True)
    assert texts() == []
    with transaction.atomic():
        assert alert_from_meter(code="lcw", meter=village.meter, circuit=circuit).created
        assert alert_clear(kind="low_credit", meter=village.meter, circuit=circuit) == 1


def test_a_circuit_that_is_being_reported_on_is_left_to_the_next_check(village: Village) -> None:
    now = clock.now()
    circuit = village.circuits[0]
    Circuit.objects.update(last_reported_at=now - timedelta(hours=3))
    found: list[list[int | None]] = []

    def check() -> None:
        found.append([alert.circuit_id for alert in unresponsive_circuits_check(now=now)])
        connection.close()

    with transaction.atomic():
        Circuit.objects.select_for_update().get(pk=circuit.pk)
        thread = threading.Thread(target=check)
        thread.start()
        thread.join(timeout=10)
    assert found == [[village.mains.pk]]
    check()
    assert found[1:] == [[circuit.pk]]
