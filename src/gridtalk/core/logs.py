"""How log lines are written."""

import copy
import logging
from typing import Any


class ShortHandler(logging.StreamHandler[Any]):
    """To standard error, without tracebacks: for what others do wrong, not we."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line alone."""
        short = copy.copy(record)
        short.exc_info = short.exc_text = short.stack_info = None
        super().emit(short)
