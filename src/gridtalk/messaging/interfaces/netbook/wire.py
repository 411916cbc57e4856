"""The modem bridge on a netbook, which polls us. Pure.

Source: providers.md, "Netbook": it asks ``/sms/received`` for what is to be sent, sends it, and
says ``/message/remove/<uuid>``. What it hears it posts as the generic address takes it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from gridtalk.messaging.interfaces.generic.wire import parse_inbound

__all__ = ["WaitingSms", "listing", "parse_inbound"]

Entry = dict[str, str | int]


@dataclass(frozen=True, slots=True)
class WaitingSms:
    """A text that waits for the bridge; ``time`` is aware."""

    id: int
    number: str
    time: datetime
    uuid: UUID
    text: str


def listing(waiting: Iterable[WaitingSms]) -> list[Entry]:
    """The answer to ``/sms/received``; times in UTC. A text without a number would spoil the
    bridge's whole batch, so it is left out."""
    return [
        {
            "number": sms.number,
            "time": sms.time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
            "uuid": str(sms.uuid),
            "text": sms.text,
            "id": sms.id,
        }
        for sms in waiting
        if sms.number
    ]
