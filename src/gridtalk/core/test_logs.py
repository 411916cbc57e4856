"""Log lines without tracebacks."""

import io
import logging

from gridtalk.core.logs import ShortHandler


def test_a_line_has_no_traceback() -> None:
    out = io.StringIO()
    log = logging.getLogger("gridtalk.core.test_logs")
    log.propagate = False
    log.addHandler(ShortHandler(out))
    try:
        raise ValueError("inside")
    except ValueError:
        log.exception("what happened")
    assert out.getvalue() == "what happened\n"
