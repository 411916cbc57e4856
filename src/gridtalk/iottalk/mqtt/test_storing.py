"""From data messages to rows, the gateway's ears and acknowledgements; and what is dropped."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest
from django.db import DataError, OperationalError

from gridtalk.iottalk import topics
from gridtalk.iottalk.models import DfSample, RegisteredDevice, RegisteredFeature
from gridtalk.iottalk.mqtt import intake as intake_module
from gridtalk.iottalk.mqtt import storing as module
from gridtalk.iottalk.mqtt.conftest import FakeDatabase, ListOutbox, TestDatabase
from gridtalk.iottalk.mqtt.intake import MOST_A_SECOND, Intake
from gridtalk.iottalk.mqtt.notes import EVERY_S, Floods, Notes
from gridtalk.iottalk.mqtt.storing import Arrived, Batch, Storing
from gridtalk.iottalk.services.testing_meters import device_make, device_meter_make
from gridtalk.messaging.interfaces.iottalk.wire import Heard, Said
from gridtalk.messaging.models import IncomingMessage

pytestmark = pytest.mark.django_db


def arrived(device: RegisteredDevice, feature: str, payload: str, **change: Any) -> Arrived:
    number = RegisteredFeature.objects.get(device=device, name=feature).number
    topic = topics.Topic(device.shard, device.handle, "i", number)
    return Arrived(topic._replace(**change), payload.encode(), time.time())


def told(notes: Notes) -> list[str]:
    return [remark.text for remark in notes.due(time.monotonic())]


def store(*messages: Arrived, notes: Notes | None = None) -> Batch:
    batch = Batch(messages)
    Storing(notes or Notes()).store(batch)
    return batch


def test_data_become_samples_and_what_is_wrong_is_noted() -> None:
    """Of one batch; the good is stored whatever stands beside it."""
    device, notes = device_make(idfs=("A-I", "B-I"), odfs=("C-O",)), Notes()
    store(
        arrived(device, "A-I", "[1.50]"),
        arrived(device, "A-I", "[NaN]"),
        arrived(device, "B-I", "[[1, 2]]"),
        arrived(device, "B-I", "[1]", number=77),
        arrived(device, "C-O", "[1]"),
        arrived(device, "B-I", "[1]", shard=(device.shard + 1) % 16),
        arrived(device, "B-I", "[1]", handle="nobody"),
        notes=notes,
    )
    assert [row.value for row in DfSample.objects.order_by("id")] == [[1.5], [1, 2]]
    lines = told(notes)
    assert len(lines) == 2
    assert any("A-I: " in line and "NaN" in line for line in lines)
    assert any("feature" in line and "3 messages" in line for line in lines)


def test_a_feature_that_came_with_a_new_registration_is_known_at_once() -> None:
    """What was read of the device a moment ago is read again."""
    device = device_make(idfs=("A-I",), odfs=())
    RegisteredDevice.objects.update(online=True)
    RegisteredFeature.objects.update(state="ok")
    storing = Storing(Notes())
    storing.store(Batch([arrived(device, "A-I", "[1]")]))
    RegisteredFeature.objects.create(device=device, name="N-I", kind="idf", number=9)
    storing.store(Batch([arrived(device, "N-I", "[2]")]))
    assert DfSample.objects.count() == 2


def test_a_meters_words_are_stored_before_they_are_acknowledged() -> None:
    """Only to an Ack-O that the device has taken."""
    meter = device_meter_make()
    said = arrived(meter.device, "Message-I", '["ping", "r-1"]')
    assert store(said).acknowledgements == [], "it does not listen yet"
    RegisteredFeature.objects.filter(name="Ack-O").update(state="ok")
    batch = store(said, arrived(meter.device, "Message-I", '["ping", "r-2"]'))
    number = RegisteredFeature.objects.get(device=meter.device, name="Ack-O").number
    topic = topics.odf(meter.device.shard, meter.handle, number)
    assert batch.acknowledgements == [(topic, b'["r-1"]'), (topic, b'["r-2"]')]
    assert IncomingMessage.objects.count() == 2, "the repetition is known"


def test_a_device_without_a_meter_says_nothing_to_the_gateway(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "devices_said", lambda said: pytest.fail("it must not be asked"))
    device = device_make()
    assert store(arrived(device, "Message-I", '["ping", "r-1"]')).acknowledgements == []
    assert DfSample.objects.count() == 1


def test_one_message_that_breaks_the_gateway_keeps_no_other_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    meter = device_meter_make()
    RegisteredFeature.objects.filter(name="Ack-O").update(state="ok")

    def hear(said: Sequence[Said]) -> list[Heard]:
        if any(one.values[0] == "bad" for one in said):
            raise ZeroDivisionError
        return [Heard(reference=one.values[1]) for one in said]

    monkeypatch.setattr(module, "devices_said", hear)
    texts = ["good", "bad", "good"]
    notes = Notes()
    batch = store(
        *[arrived(meter.device, "Message-I", f'["{t}", "r{n}"]') for n, t in enumerate(texts)],
        notes=notes,
    )
    assert [payload for _, payload in batch.acknowledgements] == [b'["r0"]', b'["r2"]']
    assert "ZeroDivisionError" in told(notes)[0]
    assert "could not be heard" in caplog.text


def test_a_value_that_the_database_refuses_keeps_no_other_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    device = device_make(idfs=("A-I",), odfs=())
    real = module.samples_store

    def choosy(*, rows: Any, **more: Any) -> None:
        if any(row.text == "[13]" for row in rows):
            raise DataError("unlucky")
        real(rows=rows, **more)

    monkeypatch.setattr(module, "samples_store", choosy)
    store(*[arrived(device, "A-I", f"[{number}]") for number in range(11, 16)])
    assert [row.value for row in DfSample.objects.order_by("id")] == [[11], [12], [14], [15]]
    assert "unlucky" in caplog.text


def test_a_batch_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples are not stored twice when only the gateway's part has to be done again."""
    meter = device_meter_make()
    answers: list[Any] = [OperationalError("away"), [Heard()]]

    def hear(said: Sequence[Said]) -> list[Heard]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return list(answer)

    monkeypatch.setattr(module, "devices_said", hear)
    storing, batch = Storing(Notes()), Batch([arrived(meter.device, "Message-I", '["x"]')])
    with pytest.raises(OperationalError):
        storing.store(batch)
    storing.store(batch)
    assert DfSample.objects.count() == 1
    assert answers == []


@pytest.mark.parametrize(
    ("label", "online", "state", "doubted"),
    [
        ("known to be there", True, "ok", False),
        ("shown offline", False, "ok", True),
        ("its feature has no answer yet", True, "asked", True),
    ],
)
def test_the_holder_of_the_shard_is_told_of_unexpected_data(
    monkeypatch: pytest.MonkeyPatch, label: str, online: bool, state: str, doubted: bool
) -> None:
    """Once in some seconds."""
    device = device_make(idfs=("A-I",), odfs=(), online=online)
    RegisteredFeature.objects.update(state=state)
    sent: list[Any] = []
    monkeypatch.setattr(module, "notices_send", lambda **notice: sent.append(notice["devices"]))
    storing = Storing(Notes())
    for _ in range(3):
        storing.store(Batch([arrived(device, "A-I", "[1]")]))
    assert sent == ([[(device.shard, device.pk)]] if doubted else []), label


# --- the queue before it -------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_flood_is_cut_off_and_others_are_not(outbox: ListOutbox) -> None:
    loud, calm = (device_make(name, idfs=("A-I",), odfs=()) for name in ("loud", "calm"))
    messages = [arrived(loud, "A-I", "[1]")] * (MOST_A_SECOND + 50) + [arrived(calm, "A-I", "[2]")]
    notes = Notes()

    async def story() -> None:
        database = TestDatabase()
        intake = Intake(database=database, notes=notes, outbox=outbox)
        for message in messages:
            intake.receive(message.topic, message.payload)
        await intake.close()
        assert intake.counts() == (MOST_A_SECOND + 51, MOST_A_SECOND + 1, 50)
        await database.close()

    asyncio.run(story())
    assert told(notes) == [f"over {MOST_A_SECOND} messages in a second; dropped (50 messages)"]
    assert DfSample.objects.filter(feature__device=calm).count() == 1


def test_what_is_too_large_is_not_even_queued(outbox: ListOutbox, settings: Any) -> None:
    settings.DEVICE_MESSAGE_LARGEST_BYTES = 10
    notes, database = Notes(), FakeDatabase()

    async def story() -> None:
        intake = Intake(database=database, notes=notes, outbox=outbox)
        intake.receive(topics.Topic(1, "d", "i", 1), b"[1234567890]")
        await intake.close()
        assert intake.counts().dropped == 1

    asyncio.run(story())
    assert "at most 10" in told(notes)[0]


@pytest.mark.django_db(transaction=True)
def test_messages_wait_for_the_database(
    outbox: ListOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the queue has room; then they are dropped, which is said once."""
    monkeypatch.setattr(intake_module, "PAUSES_S", (0.01,))
    monkeypatch.setattr(intake_module, "LONGEST_QUEUE", 3)
    device, notes = device_make(idfs=("A-I",), odfs=()), Notes()
    messages = [arrived(device, "A-I", f"[{number}]") for number in range(5)]

    async def story() -> None:
        database = TestDatabase()
        database.away = OperationalError("gone")
        intake = Intake(database=database, notes=notes, outbox=outbox)
        for message in messages:
            intake.receive(message.topic, message.payload)
        task = asyncio.create_task(intake.run())
        await asyncio.sleep(0.2)
        assert intake.counts().stored == 0
        database.away = None
        while intake.counts().stored < 3:
            await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await database.close()

    asyncio.run(story())
    assert [row.value for row in DfSample.objects.order_by("id")] == [[0], [1], [2]]
    assert "too much to do" in told(notes)[0]


# --- notes and floods ----------------------------------------------------------------------------


def test_notes_are_counted_and_told_once_a_minute() -> None:
    notes = Notes()
    for _ in range(3):
        notes.add("d1", "json", "malformed")
    notes.add("d2", "json", "malformed")
    assert [tuple(remark) for remark in notes.due(0)] == [
        ("d1", "malformed (3 messages)"), ("d2", "malformed"),
    ]  # fmt: skip
    notes.add("d1", "json", "malformed again")
    assert notes.due(EVERY_S - 1) == []
    assert [remark.text for remark in notes.due(EVERY_S)] == ["malformed again"]
    assert notes.due(3 * EVERY_S) == []
    assert notes._entries == {}, "forgotten"


def test_floods_are_judged_by_the_window() -> None:
    floods = Floods(most=2, window_s=1.0)
    assert [floods.allows("a", 0.0) for _ in range(3)] == [True, True, False]
    assert floods.allows("b", 0.5)
    assert floods.allows("a", 1.0)
