"""Handing what meters' devices say to the gateway: the one function named in settings."""

from collections.abc import Callable, Sequence
from typing import cast

from django.conf import settings
from django.utils.module_loading import import_string

from gridtalk.messaging.interfaces.iottalk.wire import Heard, Said


def devices_said(said: Sequence[Said]) -> list[Heard]:
    """Store what devices bound to meters said; in the order given, what to acknowledge.

    Called outside transactions; when it returns, all is durable. Raises the database's errors:
    then nothing is acknowledged, and the devices say it again.
    """
    hear = cast("Callable[[Sequence[Said]], list[Heard]]", import_string(settings.DEVICE_VOICE))
    return hear(said)
