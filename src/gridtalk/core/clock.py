"""What time it is, and how a meter's local time becomes ours."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.utils import timezone

from gridtalk.core.errors import UserError

_source: Callable[[], datetime] | None = None


def now() -> datetime:
    """The present instant, aware, in UTC. Tests travel with ``time_machine``."""
    return _source() if _source else timezone.now()


@contextmanager
def travelling(source: Callable[[], datetime]) -> Iterator[None]:
    """In this block it is, in the whole process, what ``source`` says: for the simulated month."""
    global _source  # noqa: PLW0603  there is one time
    before, _source = _source, source
    try:
        yield
    finally:
        _source = before


def zone(name: str) -> ZoneInfo:
    """The time zone of that IANA name; :class:`UserError` if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UserError(
            "“%(name)s” is no IANA time zone; write for example Africa/Bamako", name=name
        ) from error


def from_meter(local: datetime, zone_name: str) -> datetime:
    """A meter's naive local time as an aware instant.

    In the hour that a clock change repeats, the first of the two is meant; an hour that a clock
    change leaves out is read as if the clock had not changed.
    """
    return local.replace(tzinfo=zone(zone_name))
