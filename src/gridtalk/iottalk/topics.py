"""MQTT topics: ``gt/<shard>/<handle>/…``, so that one ACL pattern on the user name holds a device.

``ci``, ``co``: control from and to the device; ``i/<number>``, ``o/<number>``: data of an IDF, ODF.
A device may write its ``ci`` and ``i/+``, and read its ``co`` and ``o/+``, nothing else.
"""

from typing import NamedTuple

ROOT = "gt"


def control_in(shard: int | str, handle: str) -> str:
    """Where a device says that it is online, offline, or has connected a feature."""
    return f"{ROOT}/{shard}/{handle}/ci"


def control_out(shard: int | str, handle: str) -> str:
    """Where we tell a device to connect or disconnect a feature."""
    return f"{ROOT}/{shard}/{handle}/co"


def idf(shard: int | str, handle: str, number: int | str) -> str:
    """Where a device says the data of the IDF of that number."""
    return f"{ROOT}/{shard}/{handle}/i/{number}"


def odf(shard: int | str, handle: str, number: int | str) -> str:
    """Where we send the data of the ODF of that number."""
    return f"{ROOT}/{shard}/{handle}/o/{number}"


class Topic(NamedTuple):
    """A topic, read. ``what`` is ``ci``, ``co``, ``i`` or ``o``; ``number`` of a feature or -1."""

    shard: int
    handle: str
    what: str
    number: int


def read(topic: str) -> Topic | None:
    """The parts of a topic of ours; None for any other."""
    match topic.split("/"):
        case [root, shard, handle, what] if root == ROOT and what in {"ci", "co"}:
            number = "-1"
        case [root, shard, handle, what, number] if root == ROOT and what in {"i", "o"}:
            if not (number.isascii() and number.isdigit() and len(number) <= 5):
                return None
        case _:
            return None
    if not (shard.isascii() and shard.isdigit() and len(shard) <= 4) or not handle:
        return None
    return Topic(int(shard), handle, what, int(number))
