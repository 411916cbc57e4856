"""What must hold of a device before code is made from it, said all at once. Pure."""

import math
from urllib.parse import urlsplit

from gridtalk.devicetalk.render_tokens import identifier
from gridtalk.devicetalk.tree import Device, Feature, Problem

#: ``<name>_library`` must fit the 100 characters of a library's name.
DEVICE_NAME_CHARACTERS = 92


def device_problems(device: Device) -> list[Problem]:
    """Everything that is wrong with a device; ``path`` names the part of it."""
    return [*_settings(device), *_functions(device), *_features(device)]


def _settings(device: Device) -> list[Problem]:
    problems = []
    for what, text in (
        ("name", device.name),
        ("device model", device.device_model),
        ("device address", device.device_address),
    ):
        if not text.isprintable():
            problems.append(Problem(what, "it holds a line break or another unprintable character"))
    if not device.name.strip():
        problems.append(Problem("name", "the device has no name"))
    if len(device.name) > DEVICE_NAME_CHARACTERS:
        cause = f"it is longer than {DEVICE_NAME_CHARACTERS} characters"
        problems.append(Problem("name", cause))
    if not device.device_model.strip():
        problems.append(Problem("device model", "the device has none"))
    if device.server_url and not _is_address(device.server_url):
        cause = f"{device.server_url!r} is no address such as http://example.org/iottalk/v2"
        problems.append(Problem("server URL", cause))
    if not (math.isfinite(device.push_interval_s) and device.push_interval_s > 0):
        cause = f"{device.push_interval_s} is not a number of seconds above zero"
        problems.append(Problem("push interval", cause))
    return problems


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and url.isprintable()
    except ValueError:
        return False


def _functions(device: Device) -> list[Problem]:
    problems = []
    seen = set()
    for function in device.functions:
        key = (function.df_type, function.name)
        if key in seen:
            cause = f"the function {function.name!r} is there twice for one DF type"
            problems.append(Problem("functions", cause))
        seen.add(key)
        if not (function.name.strip() and function.name.isprintable()):
            cause = f"{function.name!r} is no name: it is blank or holds a line break"
            problems.append(Problem("functions", cause))
    return problems


def _features(device: Device) -> list[Problem]:
    problems: list[Problem] = []
    functions = {(function.df_type, function.name) for function in device.functions}
    identifiers: dict[str, Feature] = {}
    in_use = [feature for feature in device.features if feature.in_use]
    if not in_use:
        problems.append(Problem("device features", "none is in use; choose at least one"))
    for feature in in_use:
        where = f"device feature {feature.name}"
        name = identifier(feature.name)
        if not (name.isidentifier() and name.isascii()):
            cause = "its name must be letters, digits, '-' and '_', and not begin with a digit"
            problems.append(Problem(where, cause))
        elif (other := identifiers.setdefault(name, feature)) is not feature:
            cause = f"in code its name would be {name}, as that of {other.name}"
            problems.append(Problem(where, cause))
        if feature.function is None:
            problems.append(Problem(where, "no function is selected"))
        elif (feature.df_type, feature.function) not in functions:
            kinds = sorted(str(t.direction) for t, n in functions if n == feature.function)
            cause = f"there is no function {feature.function!r} for its type"
            if kinds:
                cause += f" {feature.df_type.direction}({', '.join(feature.df_type.params)})"
            problems.append(Problem(where, cause))
    return problems
