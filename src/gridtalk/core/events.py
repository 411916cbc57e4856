"""Telling open pages that something changed: PostgreSQL's NOTIFY, ids only.

A page never learns what changed: it asks for itself again. So an event may be lost, repeated or
coarse, and nobody is wrong for longer than the page's next look. Topics: ``meter:<id>``,
with its circuits and jobs, ``number:<phone>``, ``device:<id>`` and :data:`DEVICES_TOPIC`;
:data:`ALL` means everybody. Listened to by ``web/events.py``.
"""

from collections.abc import Iterable

from django.db import connection

CHANNEL = "gridtalk_events"
#: Everybody looks: what is said where the topics are too many.
ALL = "*"
#: The list of registered devices: who is there, who has gone.
DEVICES_TOPIC = "devices"
#: PostgreSQL takes less than 8,000 bytes.
LONGEST_PAYLOAD = 7_500


def events_notify(topics: Iterable[str]) -> None:
    """Tell, when the present transaction commits, that these topics changed; once per batch.

    One statement on the caller's connection, nothing where there is no topic. In a transaction
    PostgreSQL drops what is said twice. Topics hold no spaces; they need not exist.
    """
    wanted = sorted(set(topics))
    if not wanted:
        return
    payload = " ".join(wanted)
    if len(payload.encode()) > LONGEST_PAYLOAD:
        payload = ALL
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, payload])


def meter_topic(meter_id: int) -> str:
    """The topic of a meter and all its circuits."""
    return f"meter:{meter_id}"


def device_topic(device_id: int) -> str:
    """The topic of a registered device and what it says."""
    return f"device:{device_id}"


def number_topic(number: str) -> str:
    """The topic of what is said with a phone or a meter's SIM."""
    return f"number:{''.join(number.split())}"
