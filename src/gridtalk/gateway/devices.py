"""The door for what meters' devices say: on disk before it is acknowledged.

A device's values become the text of ``meter-protocol.md`` (``meter/wire_device.py``) and a stored
``IncomingMessage``, as an SMS does; what follows is ``inbound.py``, the same for both. Called by
the device server through ``settings.DEVICE_VOICE``, in batches: one statement stores them all.

What becomes of a message:

========================================== ========= ==============================================
it                                         stored    acknowledged
========================================== ========= ==============================================
can be said as a meter's text              yes       yes
has a reference that was stored before     no        yes: the device has not heard of it
is nonsense                                refused   yes: the device would repeat it for ever
comes from a device without a meter now    no        no: the device keeps it until it is bound
========================================== ========= ==============================================
"""

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection

from gridtalk.core import clock
from gridtalk.core.texts import needs_care, storable
from gridtalk.gateway.bells import HANDLE
from gridtalk.gateway.meter.wire_device import device_text
from gridtalk.gateway.meter.wire_types import Malformed
from gridtalk.gateway.receive import LONGEST_PROVIDER_ID
from gridtalk.messaging.interfaces.iottalk.wire import (
    Heard,
    Misshapen,
    Said,
    reference_found,
    reference_split,
)
from gridtalk.messaging.segments import segments

#: A longer reference is known by its hash: the column of dedupe keys is narrow.
LONGEST_REFERENCE = 100

#: Where a device's message goes: to the interface of the meter that has this address.
_METERS = """
    SELECT m.device_address, m.communication_interface_id, m.name, c.kind, c.name, c.active
    FROM meters m JOIN communication_interfaces c ON c.id = m.communication_interface_id
    WHERE m.device_address = ANY(%s) AND m.retired_at IS NULL
"""
# The children first: their keys decide what there is to store; of two alike, here or in another
# process, one waits for the other. In the order of the keys, or two processes that were brought the
# same messages would wait for each other. Ids follow the order in which the messages came.
_STORE = """
    WITH said AS MATERIALIZED (
        SELECT gridtalk_next_id() AS id, d.*
        FROM unnest(%s::text[], %s::timestamptz[], %s::timestamptz[], %s::text[], %s::text[],
                    %s::text[], %s::uuid[], %s::text[], %s::int[], %s::text[], %s::int[])
            WITH ORDINALITY AS d(dedupe_key, at, handled_at, outcome, error,
                                 number, uuid, text, interface, reference, segments, place)
    ), child AS (
        INSERT INTO incoming_messages (id, dedupe_key, handled_at, outcome, error)
        SELECT id, dedupe_key, handled_at, outcome, error FROM said ORDER BY dedupe_key, place
        ON CONFLICT (dedupe_key) DO NOTHING RETURNING id
    ), parent AS (
        INSERT INTO messages (id, kind, created_at, number, uuid, text, communication_interface_id,
                              state, provider_id, segments)
        SELECT id, 'incoming', at, number, uuid, text, interface, 'received', reference, segments
        FROM said JOIN child USING (id) ORDER BY id RETURNING id
    )
    SELECT said.place FROM said JOIN parent USING (id)
"""


@dataclass(frozen=True, slots=True)
class _Row:
    """A message as it is stored; ``error`` is empty where the drain shall read it."""

    dedupe_key: str | None
    at: datetime
    number: str
    text: str
    interface: int
    reference: str
    error: str

    def columns(self, now: datetime) -> tuple[Any, ...]:
        """The values for one row of ``_STORE``."""
        return (
            self.dedupe_key,
            self.at,
            now if self.error else None,
            "refused" if self.error else "",
            self.error,
            self.number,
            uuid.uuid4(),
            self.text,
            self.interface,
            storable(self.reference)[:LONGEST_PROVIDER_ID],
            segments(self.text).count,
        )


def devices_said(said: Sequence[Said]) -> list[Heard]:
    """Store what meters' devices said; in the order given, what to acknowledge.

    Called outside transactions; when it returns, all is durable, and the drain is told. A reference
    that came before, in this batch or ever, is acknowledged and not stored again; a message without
    one is stored each time. Values that are none of the feature's are stored as refused, with the
    reason, and acknowledged. Raises the database's errors: then nothing is to be acknowledged.
    """
    if not said:
        return []
    places = _places({message.handle for message in said})
    heard: list[Heard | None] = [None] * len(said)
    rows: list[tuple[int, _Row]] = []
    for place, message in enumerate(said):
        interface = places.get(message.handle, _NO_METER)
        if isinstance(interface, str):
            heard[place] = Heard(error=interface)
        else:
            rows.append((place, _row(message, interface)))
    stored = _store([row for _, row in rows])
    for (place, row), new in zip(rows, stored, strict=True):
        heard[place] = Heard(row.reference, known=not new, error=row.error)
    if any(new and not row.error for (_, row), new in zip(rows, stored, strict=True)):
        HANDLE.ring_on_commit()
    return [answer or Heard() for answer in heard]


_NO_METER = "this device is no meter's now; bind it to its meter"


def _places(handles: set[str]) -> dict[str, int | str]:
    """The interface of each device's meter, or why it is not heard."""
    with connection.cursor() as cursor:
        cursor.execute(_METERS, [list(handles)])
        found: dict[str, int | str] = {}
        for handle, interface_id, meter, kind, interface, active in cursor.fetchall():
            if kind != "iottalk":
                found[handle] = f"meter “{meter}” is reached by “{interface}”, not as a device"
            elif not active:
                found[handle] = f"the interface “{interface}” of meter “{meter}” is switched off"
            else:
                found[handle] = interface_id
        return found


def _row(message: Said, interface: int) -> _Row:
    text, error = "", ""
    try:
        own, reference = reference_split(feature=message.feature, values=message.values)
    except Misshapen as why:
        own, reference, error = message.values, reference_found(message.values), str(why)
    else:
        try:
            text = storable(device_text(message.feature, own))
        except Malformed as why:
            error = str(why)
    if len(text) > settings.LONGEST_INBOUND_TEXT:
        error = f"too long: {len(text)} characters"
    if error:
        text = _shown(message.feature, own)
    return _Row(
        dedupe_key=_dedupe_key(message.handle, reference),
        at=message.at,
        number=message.handle,
        text=text,
        interface=interface,
        reference=reference,
        error=storable(error),
    )


def _shown(feature: str, values: tuple[Any, ...]) -> str:
    """What was said, as the operator reads it where it is no meter's text."""
    said = json.dumps(values, ensure_ascii=False, default=str)
    return storable(f"{feature} {said}")[: settings.LONGEST_INBOUND_TEXT]


def _dedupe_key(handle: str, reference: str) -> str | None:
    """``iottalk:<handle>:<reference>``; a reference is unique per device, whatever the interface.

    A meter may be given another interface, and its device says again what was not acknowledged.
    """
    if not reference:
        return None
    if len(reference) > LONGEST_REFERENCE or needs_care(reference):
        octets = reference.encode("utf-8", "surrogatepass")
        reference = f"sha256:{hashlib.sha256(octets).hexdigest()}"
    return f"iottalk:{handle}:{reference}"


def _store(rows: Sequence[_Row]) -> list[bool]:
    """Store the rows in one statement; for each, whether it is new."""
    if not rows:
        return []
    now = clock.now()
    columns = [list(column) for column in zip(*(row.columns(now) for row in rows), strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(_STORE, columns)
        new = {place for (place,) in cursor.fetchall()}
    return [place in new for place in range(1, len(rows) + 1)]
