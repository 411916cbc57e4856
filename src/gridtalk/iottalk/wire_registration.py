"""What a device says of itself when it registers, checked: pure, shared by v2 and v1."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from gridtalk.core.errors import UserError
from gridtalk.iottalk.wire_json import json_text

#: Characters of a device's or feature's name, or a device model's.
LONGEST_NAME = 100
LONGEST_TYPE = 40
#: Parameters of one feature.
MOST_PARAMS = 50
LARGEST_PROFILE_BYTES = 16 * 1024
LONGEST_VERSION = 64


@dataclass(frozen=True, slots=True)
class Feature:
    """A device feature: ``kind`` is idf or odf, ``params`` the types, null where none is named."""

    name: str
    kind: str
    params: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Registration:
    """One registration, ready to be stored.

    ``address`` is a uuid (v2) or a MAC in small letters (v1); ``name`` and ``dm_name`` may be
    empty. ``features`` are in the order that the device gave.
    """

    protocol: str
    address: str
    name: str = ""
    dm_name: str = ""
    version: str = ""
    profile: dict[str, Any] = field(default_factory=dict)
    features: tuple[Feature, ...] = ()


def name_read(value: Any, *, what: str, may_be_empty: bool = False) -> str:
    """A name as it stands; :class:`UserError` where it is none that a person could read."""
    if value is None and may_be_empty:
        return ""
    if not isinstance(value, str):
        raise UserError(f"{what} is {_shown(value)}; it must be a text")
    if len(value) > LONGEST_NAME:
        raise UserError(f"{what} has {len(value)} characters; at most {LONGEST_NAME} are taken")
    if not value.isprintable():
        raise UserError(f"{what} holds characters that cannot be printed")
    if not value.strip() and not may_be_empty:
        raise UserError(f"{what} is empty")
    return value


def params_read(value: Any, *, what: str) -> tuple[str | None, ...]:
    """The types of a feature's parameters, given as a list, one text, or null."""
    types = value if isinstance(value, list) else [value]
    if len(types) > MOST_PARAMS:
        raise UserError(f"{what} has {len(types)} parameters; at most {MOST_PARAMS} are taken")
    for one in types:
        if one is not None and not (
            isinstance(one, str) and len(one) <= LONGEST_TYPE and one.isprintable()
        ):
            raise UserError(
                f"{what} has the type {_shown(one)}; write a short text such as float, or null"
            )
    return tuple(types)


def features_check(features: list[Feature], *, most: int) -> tuple[Feature, ...]:
    """The features, if none stands there twice."""
    counts = Counter((feature.kind, feature.name) for feature in features)
    for (kind, name), count in counts.items():
        if count > 1:
            raise UserError(f"the {kind.upper()} “{name}” is named {count} times; name it once")
    count_check(len(features), most=most)
    return tuple(features)


def count_check(count: int, *, most: int) -> None:
    """:class:`UserError` where a device has more features than we take."""
    if count > most:
        raise UserError(f"the device has {count} features; at most {most} are taken")


def profile_read(value: Any) -> dict[str, Any]:
    """The profile, its numbers as they go into the database; an absent one is empty."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UserError(f"profile is {_shown(value)}; it must be an object")
    text = json_text(value)
    if len(text.encode()) > LARGEST_PROFILE_BYTES:
        raise UserError(f"profile is too large; at most {LARGEST_PROFILE_BYTES} bytes are taken")
    profile: dict[str, Any] = json.loads(text)
    return profile


def version_of(profile: dict[str, Any]) -> str:
    """The content hash that generated code carries in its profile; empty where it has none."""
    version = profile.get("version")
    if isinstance(version, str) and len(version) <= LONGEST_VERSION and version.isprintable():
        return version
    return ""


def _shown(value: Any) -> str:
    text = json_text(value)
    return text if len(text) <= LONGEST_TYPE else f"{text[:LONGEST_TYPE]}…"
