"""From a batch of data messages to rows, to the gateway's ears, and to acknowledgements.

Called in one thread with Django's connection. A batch may be stored again after an error: it knows
how far it came.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from django.conf import settings
from django.db import DataError, InterfaceError, OperationalError

from gridtalk.core.errors import UserError
from gridtalk.core.events import device_topic, events_notify
from gridtalk.iottalk import topics
from gridtalk.iottalk.mqtt.notes import Notes
from gridtalk.iottalk.notices import Notice, notices_send
from gridtalk.iottalk.services.directory import KnownDevice, KnownFeature, devices_by_handle
from gridtalk.iottalk.services.samples import NewSample, samples_store
from gridtalk.iottalk.voice import devices_said
from gridtalk.iottalk.wire_mqtt import data_read, data_write
from gridtalk.messaging.interfaces.iottalk.wire import ACK_FEATURE, SPOKEN, Heard, Said

log = logging.getLogger(__name__)

#: What was read of a device is believed so long; of one that is not all connected, shorter.
BELIEVED_S = 2.0
DOUBTED_S = 0.2
MOST_KNOWN = 50_000
#: The holder of a device's shard is told so often that its data come.
DOUBT_EVERY_S = 2.0
TOLD_EVERY_S = 0.5


#: What Django raises when the database is away, or asks to try again (a deadlock).
AWAY = (OperationalError, InterfaceError)


class Arrived(NamedTuple):
    """A message as it came; ``at`` in seconds since 1970."""

    topic: topics.Topic
    payload: bytes
    at: float


@dataclass(slots=True)
class Batch:
    """Messages, and what became of them so far."""

    messages: Sequence[Arrived]
    rows: list[NewSample] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    acknowledgements: list[tuple[str, bytes]] = field(default_factory=list)
    read: bool = False
    stored: bool = False


class Storing:
    """Reads, stores and tells. ``untold`` are devices whose pages were not told yet."""

    def __init__(self, notes: Notes) -> None:
        self.untold: set[int] = set()
        self._notes = notes
        self._known: dict[str, tuple[KnownDevice, float]] = {}
        self._told_at: dict[int, float] = {}
        self._doubted_at: dict[int, float] = {}
        self._doubts: dict[int, int] = {}

    def store(self, batch: Batch) -> None:
        """Store the samples, hand what meters say to the gateway, and note what to acknowledge.

        Raises one of :data:`AWAY` where the database is away; call it again then.
        """
        if not batch.read:
            self._read(batch)
            batch.read = True
        if not batch.stored:
            _store(batch.rows, self._refused)
            batch.stored = True
        self.untold.update(row.device_id for row in batch.rows)
        self._hand_over(batch)
        self._send_doubts()
        self.tell()

    def tell(self) -> None:
        """Tell the pages of devices with news, each at most twice a second."""
        now = time.monotonic()
        due = {one for one in self.untold if now >= self._told_at.get(one, 0.0) + TOLD_EVERY_S}
        if not due:
            return
        events_notify(device_topic(device_id) for device_id in due)
        self.untold -= due
        if len(self._told_at) > MOST_KNOWN:
            self._told_at.clear()
        self._told_at.update(dict.fromkeys(due, now))

    # --- reading --------------------------------------------------------------------------------

    def _read(self, batch: Batch) -> None:
        self._look_up({message.topic.handle for message in batch.messages})
        self._look_up_missing(batch.messages)
        largest = settings.DEVICE_MESSAGE_LARGEST_BYTES
        for message in batch.messages:
            topic = message.topic
            device, feature = self._find(topic)
            if device is None:
                continue  # it has gone; who has no row has no log either
            if feature is None:
                self._notes.add(topic.handle, "feature", "data of a feature that it has not")
                continue
            try:
                values, text = data_read(message.payload, largest_bytes=largest)
            except UserError as error:
                self._notes.add(topic.handle, feature.name, f"{feature.name}: {error}")
                continue
            at = datetime.fromtimestamp(message.at, UTC)
            batch.rows.append(NewSample(device.id, feature.id, at, text))
            if device.meter_id is not None and feature.name in SPOKEN:
                batch.said.append(Said(device.handle, feature.name, tuple(values), at))
            if not device.online or feature.state != "ok":
                self._doubts[device.id] = device.shard

    def _find(self, topic: topics.Topic) -> tuple[KnownDevice | None, KnownFeature | None]:
        known = self._known.get(topic.handle)
        if known is None:
            return None, None
        device = known[0]
        if device.shard != topic.shard:
            return device, None
        feature = device.features.get(topic.number)
        return device, feature if feature is not None and feature.kind == "idf" else None

    def _look_up(self, handles: Iterable[str]) -> None:
        """Know these devices, as they were at most some moments ago."""
        now = time.monotonic()
        old = [h for h in handles if (known := self._known.get(h)) is None or known[1] <= now]
        if not old:
            return
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
            old = list(handles)
        found = devices_by_handle(handles=old)
        for handle in old:
            device = found.get(handle)
            if device is None or device.deregistered_at is not None:
                self._known.pop(handle, None)
                continue
            sure = device.online and all(f.state == "ok" for f in device.features.values())
            self._known[handle] = (device, now + (BELIEVED_S if sure else DOUBTED_S))

    def _look_up_missing(self, messages: Sequence[Arrived]) -> None:
        """A device may have registered with more features since we looked."""
        missing = {m.topic.handle for m in messages if self._find(m.topic)[1] is None}
        missing &= self._known.keys()
        for handle in missing:
            self._known[handle] = (self._known[handle][0], 0.0)
        if missing:
            self._look_up(missing)

    def _refused(self, row: NewSample, error: DataError) -> None:
        log.error("a value of feature %s could not be stored: %s", row.feature_id, error)

    # --- telling --------------------------------------------------------------------------------

    def _hand_over(self, batch: Batch) -> None:
        if not batch.said:
            return
        heard = _heard(batch.said)
        self._look_up({said.handle for said in batch.said})
        for said, one in zip(batch.said, heard, strict=True):
            self._acknowledge(batch, said, one)

    def _acknowledge(self, batch: Batch, said: Said, heard: Heard) -> None:
        if heard.error:
            self._notes.add(said.handle, f"said {said.feature}", f"{said.feature}: {heard.error}")
        known = self._known.get(said.handle)
        if not heard.reference or known is None:
            return
        device = known[0]
        for feature in device.features.values():
            # Only to a device that listens; another one says it again when it does.
            if feature.name == ACK_FEATURE and feature.kind == "odf" and feature.state == "ok":
                topic = topics.odf(device.shard, device.handle, feature.number)
                batch.acknowledgements.append((topic, data_write([heard.reference])))

    def _send_doubts(self) -> None:
        """Tell who holds the shards that data come of devices not known to be there."""
        now = time.monotonic()
        doubts, self._doubts = self._doubts, {}
        if len(self._doubted_at) > MOST_KNOWN:
            self._doubted_at.clear()
        news = [
            (shard, device_id)
            for device_id, shard in doubts.items()
            if now >= self._doubted_at.get(device_id, 0.0) + DOUBT_EVERY_S
        ]
        if news:
            notices_send(notice=Notice.DATA, devices=news)
            self._doubted_at.update((device_id, now) for _, device_id in news)


def _store(rows: Sequence[NewSample], refused: Callable[[NewSample, DataError], None]) -> None:
    """Store what can be stored: a value which PostgreSQL refuses does not keep others out."""
    try:
        samples_store(rows=rows, tell=False)
    except DataError as error:
        if len(rows) == 1:
            refused(rows[0], error)
            return
        middle = len(rows) // 2
        _store(rows[:middle], refused)
        _store(rows[middle:], refused)


def _heard(said: Sequence[Said]) -> list[Heard]:
    """What the gateway says to these; a fault over one message does not keep others out."""
    try:
        return devices_said(said)
    except AWAY:
        raise
    except Exception as error:
        if len(said) > 1:
            middle = len(said) // 2
            return _heard(said[:middle]) + _heard(said[middle:])
        log.exception("what %s said on %s could not be heard", said[0].handle, said[0].feature)
        return [Heard(error=f"the server failed over it ({type(error).__name__})")]
