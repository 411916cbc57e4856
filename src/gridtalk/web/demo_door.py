"""The demo's door: what the pages ask of the process that plays the demo's village.

There only where the server runs for ``gridtalk demo``; ``GRIDTALK_DEMO_PHONES`` is the address of
its phones, with a key, and that of its plugs is beside it.
"""

import json
from enum import StrEnum
from typing import Any

import urllib3
from django.conf import settings
from django.http import Http404

from gridtalk.core.errors import PeerError

_http = urllib3.PoolManager(retries=False)


class Part(StrEnum):
    """What is behind the door."""

    PHONES = "phones"
    PLUGS = "plugs"


def demo_only() -> None:
    """Raise :class:`Http404` where the server does not run for the demo."""
    if not settings.GRIDTALK_DEMO_PHONES:
        raise Http404


def demo_ask(
    *, part: Part, wanted: dict[str, Any], seconds: float, silent: str
) -> urllib3.BaseHTTPResponse:
    """What the demo answers; 202 where it does what is wanted.

    Raises :class:`PeerError`, saying ``silent``, where none comes within so many seconds.
    """
    try:
        return _http.request(
            "POST",
            settings.GRIDTALK_DEMO_PHONES.replace("/phones/", f"/{part}/"),
            body=json.dumps(wanted).encode(),
            headers={"Content-Type": "application/json"},
            redirect=False,
            timeout=seconds,
        )
    except urllib3.exceptions.HTTPError as error:
        raise PeerError(silent) from error
