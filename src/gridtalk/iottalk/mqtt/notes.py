"""What devices do wrong, written down without letting them fill the log: pure, but for its clock
which the caller gives."""

from dataclasses import dataclass
from typing import NamedTuple

#: Of one kind and device a line at most so often; what comes between is counted.
EVERY_S = 60.0
#: Kinds and devices that are remembered; beyond, nothing is noted until some are forgotten.
MOST = 10_000


class Remark(NamedTuple):
    """A line for the log of a device."""

    handle: str
    text: str


@dataclass(slots=True)
class _Entry:
    text: str
    count: int
    next_at: float


class Notes:
    """Gathers what went wrong, by device and kind."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], _Entry] = {}

    def add(self, handle: str, kind: str, text: str) -> None:
        """Note that this went wrong; ``kind`` is what is counted together."""
        entry = self._entries.get((handle, kind))
        if entry is not None:
            entry.count += 1
            entry.text = text
        elif len(self._entries) < MOST:
            self._entries[(handle, kind)] = _Entry(text, 1, float("-inf"))

    def due(self, now: float) -> list[Remark]:
        """The lines to be written now; they are not told again."""
        found = []
        for key, entry in list(self._entries.items()):
            if now < entry.next_at:
                continue
            if entry.count == 0:
                del self._entries[key]
                continue
            more = f" ({entry.count} messages)" if entry.count > 1 else ""
            found.append(Remark(key[0], f"{entry.text}{more}"))
            entry.count, entry.next_at = 0, now + EVERY_S
        return found


class Floods:
    """Who sends more than ``most`` messages in ``window_s`` seconds."""

    def __init__(self, *, most: int, window_s: float) -> None:
        self._most, self._window_s = most, window_s
        self._until = float("-inf")
        self._counts: dict[str, int] = {}

    def allows(self, handle: str, now: float) -> bool:
        """Count a message; whether it is within the limit."""
        if now >= self._until:
            self._until = now + self._window_s
            self._counts.clear()
        count = self._counts[handle] = self._counts.get(handle, 0) + 1
        return count <= self._most
