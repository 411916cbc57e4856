"""Which broker this installation uses. No Django: ``gridtalk up`` asks before it is there."""

import os
import shutil
from enum import StrEnum

from gridtalk.core.errors import SetupError

#: Debian keeps the broker where an ordinary user's PATH does not look.
_SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/opt/homebrew/sbin")


class Kind(StrEnum):
    """Whose broker it is."""

    MOSQUITTO = "mosquitto"  # a private one, a child of ``gridtalk up``
    AMQTT = "amqtt"  # in the process of ``gridtalk devices``: demo and development only
    OUTSIDE = "outside"  # the operator's, at GRIDTALK_MQTT_URL
    NONE = "none"  # no MQTT: v1 devices alone


def mosquitto_binary() -> str:
    """The path of Mosquitto; empty where it is not installed."""
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SYSTEM_FOLDERS])
    return shutil.which("mosquitto", path=places) or ""


def broker_kind(*, asked: str, url: str) -> Kind:
    """The broker for GRIDTALK_BROKER (``asked``) and GRIDTALK_MQTT_URL.

    :class:`SetupError` where they contradict each other or ask for what is not there.
    """
    asked = asked or "auto"
    if asked not in {"auto", "mosquitto", "amqtt", "none"}:
        raise SetupError(f"GRIDTALK_BROKER is “{asked}”; it must be auto, mosquitto, amqtt or none")
    if asked == "none":
        return Kind.NONE
    if url:
        if asked != "auto":
            raise SetupError(
                f"GRIDTALK_MQTT_URL names a broker of yours, and GRIDTALK_BROKER asks for {asked}; "
                "leave one of them empty"
            )
        return Kind.OUTSIDE
    if asked == "amqtt":
        return Kind.AMQTT
    if mosquitto_binary():
        return Kind.MOSQUITTO
    if asked == "mosquitto":
        raise SetupError(
            "GRIDTALK_BROKER asks for mosquitto, which is not installed; install it (on Debian: "
            "apt-get install mosquitto), or leave GRIDTALK_BROKER empty"
        )
    return Kind.AMQTT
