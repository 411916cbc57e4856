"""What must hold of a device before code is made from it, said all at once. Pure."""

import keyword
import math
from collections.abc import Mapping
from urllib.parse import urlsplit

from gridtalk.devicetalk.config import Config
from gridtalk.devicetalk.render_tokens import identifier
from gridtalk.devicetalk.tree import Device, Feature, Problem, is_param_type

#: ``<name>_library`` must fit the 100 characters of a library's name.
DEVICE_NAME_CHARACTERS = 92
#: The words of C++17 that cannot be names.
_CXX_WORDS = """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t
    char32_t class compl const const_cast constexpr continue decltype default delete do double
    dynamic_cast else enum explicit export extern false float for friend goto if inline int
    long mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected
    public register reinterpret_cast return short signed sizeof static static_assert
    static_cast struct switch template this thread_local throw true try typedef typeid
    typename union unsigned using virtual void volatile wchar_t while xor xor_eq
"""
#: By the command that checks a basic file's devices, which tells their language.
_WORDS: Mapping[str | None, frozenset[str]] = {
    "python": frozenset(keyword.kwlist),
    "cxx": frozenset(_CXX_WORDS.split()),
    "avr": frozenset(_CXX_WORDS.split()),
}


def device_problems(device: Device, config: Config) -> list[Problem]:
    """Everything that is wrong with a device for a basic file; ``path`` names the part of it."""
    return [
        *_settings(device),
        *_types(device),
        *_functions(device),
        *_features(device),
        *_names(device, config),
    ]


def _types(device: Device) -> list[Problem]:
    """Types of parameters that are no names: templates write them into the code."""
    owners = [
        *((f"function {one.name}", one.df_type) for one in device.functions),
        *((f"device feature {one.name}", one.df_type) for one in device.features),
    ]
    return [
        Problem(where, f"{text[:20]!r} is no type of a parameter; write for example int")
        for where, df_type in owners
        for text in dict.fromkeys(df_type.params)
        if not is_param_type(text)
    ]


def _names(device: Device, config: Config) -> list[Problem]:
    """Features whose function would have a name that means something else in the code."""
    problems = []
    for feature in device.features:
        name = identifier(feature.name)
        if feature.in_use and name in _WORDS.get(config.check.command, ()):
            cause = f"{name} is a word of the language; give the feature another name"
        elif feature.in_use and name in config.reserved:
            cause = f"the basic file's own code uses the name {name}; give the feature another"
        else:
            continue
        problems.append(Problem(f"device feature {feature.name}", cause))
    return problems


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
