"""The bodies of IoTtalk v2's HTTP side (spec/iottalk.md, v2): pure."""

from typing import Any
from uuid import UUID

from gridtalk.core.errors import UserError
from gridtalk.iottalk.wire_json import json_read
from gridtalk.iottalk.wire_registration import (
    Feature,
    Registration,
    count_check,
    features_check,
    name_read,
    params_read,
    profile_read,
    version_of,
)

#: 200 features with long names, and a profile, are less.
LARGEST_BODY_BYTES = 128 * 1024
PROTOCOL = "mqtt"


def address_read(text: str) -> str:
    """The uuid of an address, in its canonical form; :class:`UserError` where it is none."""
    try:
        return str(UUID(text))
    except ValueError:
        raise UserError(
            "the address does not end in a UUID; a device's own is made once, "
            "for example with Python's uuid.uuid4()"
        ) from None


def registration_read(raw: bytes, *, address: str, features_most: int) -> Registration:
    """What ``PUT <base>/<uuid>`` says. ``address`` is what :func:`address_read` gave.

    Raises :class:`UserError` with the reason where the body will not do.
    """
    body = _object(raw)
    _protocols_check(body.get("accept_protos"))
    lists = {kind: _entries(body, f"{kind}_list") for kind in ("idf", "odf")}
    count_check(sum(map(len, lists.values())), most=features_most)
    features = [
        _feature(entry, kind, number)
        for kind, entries in lists.items()
        for number, entry in enumerate(entries, start=1)
    ]
    profile = profile_read(body.get("profile"))
    model = profile.get("model", profile.get("dm_name"))
    return Registration(
        protocol="v2",
        address=address,
        name=name_read(body.get("name"), what="name", may_be_empty=True).strip(),
        dm_name=name_read(model, what="profile.model", may_be_empty=True).strip(),
        version=version_of(profile),
        profile=profile,
        features=features_check(features, most=features_most),
    )


def deregistration_read(raw: bytes) -> UUID:
    """The revision that ``DELETE <base>/<uuid>`` ends."""
    rev = _object(raw).get("rev")
    try:
        return UUID(rev)
    except (ValueError, TypeError, AttributeError):
        raise UserError("rev is missing, or not the one that the registration answered") from None


def _object(raw: bytes) -> dict[str, Any]:
    body = json_read(raw, largest_bytes=LARGEST_BODY_BYTES)
    if not isinstance(body, dict):
        raise UserError("the body must be a JSON object")
    return body


def _protocols_check(value: Any) -> None:
    if value is None:
        return
    named = value if isinstance(value, list) else [value]
    if PROTOCOL not in named:
        shown = ", ".join(str(one)[:20] for one in named[:5]) or "nothing"
        raise UserError(f"accept_protos names {shown}; this server speaks {PROTOCOL}")


def _entries(body: dict[str, Any], key: str) -> list[Any]:
    entries = body.get(key)
    if entries is None:
        return []
    if not isinstance(entries, list):
        raise UserError(f"{key} must be a list of [name, [types]]")
    return entries


def _feature(entry: Any, kind: str, number: int) -> Feature:
    what = f"entry {number} of {kind}_list"
    if isinstance(entry, str):
        entry = [entry]
    if not isinstance(entry, list) or len(entry) not in {1, 2}:
        raise UserError(f"{what} must be [name, [types]]")
    name = name_read(entry[0], what=f"the name in {what}")
    params = params_read(entry[1] if len(entry) == 2 else None, what=f"“{name}”")
    return Feature(name, kind, params)
