"""The bodies of IoTtalk v1 (spec/iottalk.md, v1): pure.

A v1 device names its features without saying which way their data go: see :func:`kind_by_name`.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from gridtalk.core.errors import NotFound, UserError
from gridtalk.iottalk.wire_json import json_read, values_of
from gridtalk.iottalk.wire_registration import (
    Feature,
    Registration,
    count_check,
    features_check,
    name_read,
    profile_read,
    version_of,
)

LARGEST_REGISTRATION_BYTES = 64 * 1024
LONGEST_ADDRESS = 64
#: The device reads commands from the first, and answers on the second.
CONTROL_OUT, CONTROL_IN = "__Ctl_O__", "__Ctl_I__"
PROFILE = "profile"
#: First parts of other addresses.
RESERVED = frozenset({"tree", "get_alias", "set_alias"})
#: Clients look for these words, and register again.
NOT_REGISTERED = "mac_addr not found:"
_DIRECTION = re.compile(r"[-_~]([IO])\d*$")


def address_read(text: str) -> str:
    """The MAC of an address, in small letters; many devices write another name of their own.

    Raises :class:`UserError` where it cannot be one.
    """
    address = text.strip().lower()
    if not 0 < len(address) <= LONGEST_ADDRESS or not address.isprintable():
        raise UserError(f"the device's address must have 1 to {LONGEST_ADDRESS} characters")
    if address in RESERVED:
        raise UserError(f"“{address}” cannot be a device's address")
    return address


def not_registered(address: str) -> NotFound:
    """The error that makes a v1 device register again."""
    return NotFound(f"{NOT_REGISTERED} {address}")


def kind_by_name(name: str) -> str | None:
    """idf or odf where the name ends in -I or -O, perhaps with a number; None where it does not."""
    found = _DIRECTION.search(name)
    return f"{found[1].lower()}df" if found else None


def registration_read(raw: bytes, *, address: str, features_most: int) -> Registration:
    """What ``POST /<mac>`` says. Features whose name tells no direction are idf.

    Raises :class:`UserError` with the reason where the body will not do.
    """
    body = json_read(raw, largest_bytes=LARGEST_REGISTRATION_BYTES)
    if not isinstance(body, dict) or not isinstance(body.get("profile"), dict):
        raise UserError('the body must be {"profile": {"dm_name": …, "df_list": […]}}')
    names = body["profile"].get("df_list")
    if not isinstance(names, list):
        raise UserError("profile.df_list must be a list of the features' names")
    count_check(len(names), most=features_most)
    profile = profile_read(body["profile"])
    features = []
    for number, given in enumerate(names, start=1):
        name = name_read(given, what=f"entry {number} of df_list")
        if name in {CONTROL_IN, CONTROL_OUT, PROFILE}:
            raise UserError(f"“{name}” cannot be a feature's name: it is an address of its own")
        features.append(Feature(name, kind_by_name(name) or "idf"))
    return Registration(
        protocol="v1",
        address=address,
        name=name_read(profile.get("d_name"), what="profile.d_name", may_be_empty=True).strip(),
        dm_name=name_read(
            profile.get("dm_name"), what="profile.dm_name", may_be_empty=True
        ).strip(),
        version=version_of(profile),
        profile=profile,
        features=features_check(features, most=features_most),
    )


def data_read(raw: bytes, *, largest_bytes: int) -> list[Any]:
    """What ``PUT /<mac>/<df>`` says: the values of ``{"data": …}`` as a plain list."""
    body = json_read(raw, largest_bytes=largest_bytes)
    if not isinstance(body, dict) or "data" not in body:
        raise UserError('the body must be {"data": […]}')
    return values_of(body["data"])


def alias_read(text: str) -> str:
    """The new alias of a feature, empty to remove it."""
    return name_read(text, what="name", may_be_empty=True).strip()


def time_text(at: datetime) -> str:
    """How a sample's time is written; devices compare it with that of the last one."""
    return f"{at:%Y-%m-%d %H:%M:%S.%f}"


def samples_value(samples: Sequence[tuple[datetime, Any]]) -> dict[str, Any]:
    """The answer to ``GET /<mac>/<df>``; ``samples`` are newest first."""
    return {"samples": [[time_text(at), value] for at, value in samples]}
