"""A device object as an IoTtalk server tells of it: its model's features, and those in use. Pure.

Source: ``spec/devicetalk.md``, section 1: ``GET <server>/api/v0/project/<p>/deviceobject/<do>`` →
``data{dm_name, dm_id, df_list[{df_name, df_type: input|output, df_parameter[{param_type}]}],
do{dfo[names in use]}}``.
"""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from gridtalk.core.errors import NotFound, PeerError
from gridtalk.core.texts import needs_care
from gridtalk.devicetalk.tree import DfType, Direction

DIRECTIONS: dict[str, Direction] = {"input": "idf", "output": "odf"}
LONGEST_NAME = 100
LONGEST_TYPE = 20
MOST_FEATURES = 1000
#: So many mistakes are named, of a long list of them.
_NAMED = 10


class WrongAnswer(PeerError):  # noqa: N818  named for what came
    """The server answered, but not with a device object; the text says what came instead."""


@dataclass(frozen=True, slots=True)
class DeviceObject:
    """A device model with its features in the server's order, and the names of those in use."""

    dm_name: str
    features: tuple[tuple[str, DfType], ...]
    in_use: frozenset[str]


def request_path(project: str, device_object: str) -> str:
    """The path behind the server's address; names and numbers are taken as one part each."""
    return f"/api/v0/project/{quote(project, safe='')}/deviceobject/{quote(device_object, safe='')}"


def answer_read(*, status: int, body: bytes, location: str = "") -> DeviceObject:
    """What the server answered. ``location`` is where a redirection leads.

    Raises :class:`NotFound` for 404, :class:`WrongAnswer` with all that is wrong for anything else
    which is no device object.
    """
    _status_check(status, location)
    try:
        answer = json.loads(body.decode("utf-8-sig"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        what = "a web page" if body.lstrip()[:1] == b"<" else "something else"
        raise WrongAnswer(
            f"the server answered with {what}, not with JSON; is its address complete, and is it "
            "an IoTtalk server?"
        ) from None
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict):
        raise WrongAnswer("the server's answer has no data; is it an IoTtalk server?")
    problems: list[str] = []
    found = _device_object(data, problems)
    if problems:
        rest = f"; and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
        raise WrongAnswer(
            f"the server's device object cannot be taken: {'; '.join(problems[:_NAMED])}{rest}"
        )
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")


def _status_check(status: int, location: str) -> None:
    if status == 200:
        return
    if status == 404:
        raise NotFound("the server has no such project or device object; look at their numbers")
    if 300 <= status < 400:
        where = f" to {_shown(location)}" if location else ""
        raise WrongAnswer(f"the server sends us on{where}; give the address that it leads to")
    if status in {401, 403}:
        raise WrongAnswer(f"the server wants a sign-in for this device object (HTTP {status})")
    kind = "has a fault; try again later" if status >= 500 else "refused the request"
    raise WrongAnswer(f"the server {kind} (HTTP {status})")


def _device_object(data: dict[str, Any], problems: list[str]) -> DeviceObject:
    dm_name = _name(data.get("dm_name"), "dm_name", problems)
    features: dict[str, DfType] = {}
    rows = data.get("df_list")
    if not isinstance(rows, list) or not rows:
        problems.append("df_list, the features of the device model, is missing or empty")
        rows = []
    if len(rows) > MOST_FEATURES:
        problems.append(f"the device model has {len(rows)} features; at most {MOST_FEATURES}")
        rows = []
    for number, row in enumerate(rows, 1):
        read = _feature(row, f"feature {number}", problems)
        if read is None:
            continue
        if read[0] in features:
            problems.append(f"the feature {_shown(read[0])} is there twice")
        features[read[0]] = read[1]
    return DeviceObject(dm_name, tuple(features.items()), _in_use(data, features, problems))


def _feature(row: Any, where: str, problems: list[str]) -> tuple[str, DfType] | None:
    if not isinstance(row, dict):
        problems.append(f"{where} is no object")
        return None
    before = len(problems)
    name = _name(row.get("df_name"), f"df_name of {where}", problems)
    kind = row.get("df_type")
    direction = DIRECTIONS.get(kind) if isinstance(kind, str) else None
    if direction is None:
        problems.append(f"the df_type of {_shown(name) or where} is {_shown(kind)}, "
                        "not input or output")  # fmt: skip
    params = row.get("df_parameter")
    if not isinstance(params, list):
        problems.append(f"the df_parameter of {_shown(name) or where} is no list")
        params = []
    types = [param.get("param_type") if isinstance(param, dict) else None for param in params]
    problems += [
        f"a parameter of {_shown(name) or where} has the type {_shown(kind)}, which is none"
        for kind in types
        if not (isinstance(kind, str) and kind.isidentifier() and len(kind) <= LONGEST_TYPE)
    ]
    if direction is None or len(problems) > before:
        return None
    return name, DfType(direction, tuple(map(str, types)))


def _in_use(
    data: dict[str, Any], features: dict[str, DfType], problems: list[str]
) -> frozenset[str]:
    device_object = data.get("do")
    names = device_object.get("dfo") if isinstance(device_object, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        problems.append("do.dfo, the names of the features in use, is missing or no list of names")
        return frozenset()
    # Where a feature could not be read, its name is missing here for that.
    if not problems:
        unknown = [name for name in names if name not in features]
        problems += [f"{_shown(name)} is in use, but not in df_list" for name in unknown]
    return frozenset(names)


def _name(value: Any, what: str, problems: list[str]) -> str:
    name = value.strip() if isinstance(value, str) else ""
    if not name:
        problems.append(f"{what} is missing")
    elif len(name) > LONGEST_NAME:
        problems.append(f"{what} has {len(name)} characters; at most {LONGEST_NAME}")
    elif needs_care(name) or not name.isprintable():
        problems.append(f"{what} has a character that cannot be printed")
        return ""
    return name[:LONGEST_NAME]


def _shown(value: Any) -> str:
    """A value of the other side, fit for a message."""
    text = value if isinstance(value, str) else json.dumps(value)
    shown = "".join(c if c.isprintable() and not needs_care(c) else "�" for c in text[:200])
    return shown if len(text) <= 200 else f"{shown}…"
