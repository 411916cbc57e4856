"""Writing down what the gateway noticed."""

from gridtalk.core.models import SystemLog
from gridtalk.core.texts import storable

LONGEST_TEXT = 2000


def system_log_create(
    *, source: str, text: str, level: SystemLog.Level = SystemLog.Level.WARNING
) -> SystemLog:
    """Store a line for the operator; a longer text is cut at 2,000 characters."""
    return SystemLog.objects.create(source=source, level=level, text=storable(text)[:LONGEST_TEXT])
