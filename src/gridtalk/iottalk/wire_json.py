"""JSON as devices send it and as they get it: pure, for both protocols.

What comes in is untrusted: its size, depth and numbers are limited, and no text in it can break
PostgreSQL's JSON. What goes out is always well formed, since malformed JSON ends the receiving
thread of some clients (spec/iottalk.md, v2, 7).
"""

import json
import re
from decimal import Decimal
from typing import Any

from gridtalk.core.errors import TooLarge, UserError
from gridtalk.core.texts import storable

#: Lists in lists; what devices say has two levels.
DEEPEST = 12
#: A double has at most 17 digits that count; longer numbers are kept as they are, up to here.
LONGEST_NUMBER = 64
#: The exponents of a double.
LARGEST_EXPONENT = 308

_OPENING = re.compile(rb"[\[{]")
_quoted = json.JSONEncoder(ensure_ascii=False).encode


def json_read(raw: bytes, *, largest_bytes: int, what: str = "the body") -> Any:
    """The value of a JSON text, with integers as ``int`` and all other numbers as ``Decimal``.

    Strings come back fit for storing (NUL and lone surrogates are replaced). Raises
    :class:`TooLarge` over ``largest_bytes``, and :class:`UserError`, naming ``what`` it was, where
    it is not UTF-8, no JSON, nested too deeply, or holds NaN or a number that no device means.
    """
    if len(raw) > largest_bytes:
        raise TooLarge(f"{what} has {len(raw)} bytes; at most {largest_bytes} are taken")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{what} is not UTF-8: a wrong byte at {error.start}") from error
    try:
        value = _decode(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{what} is not JSON: {error.msg} at character {error.pos}") from error
    except RecursionError as error:
        raise UserError(f"{what} is nested too deeply; {DEEPEST} levels are taken") from error
    except _BadNumber as error:
        raise UserError(f"{what} holds a number that is not taken: {error}") from error
    if len(_OPENING.findall(raw)) > DEEPEST and _is_deeper(value, DEEPEST):
        raise UserError(f"{what} is nested too deeply; {DEEPEST} levels are taken")
    # A surrogate or NUL can only stand there as an escape.
    return _stored(value) if b"\\u" in raw else value


def json_text(value: Any) -> str:
    """The JSON text of what :func:`json_read` gives; Decimals as numbers, as exact as they are."""
    match value:
        case None:
            return "null"
        case True:
            return "true"
        case False:
            return "false"
        case int():
            return int.__repr__(value)
        case str():
            return _quoted(storable(value))
        case Decimal() if value.is_finite():
            return str(value)
        case float() if value - value == 0:
            return float.__repr__(value)
        case list() | tuple():
            return f"[{', '.join(map(json_text, value))}]"
        case dict():
            pairs = (f"{_quoted(storable(str(k)))}: {json_text(v)}" for k, v in value.items())
            return f"{{{', '.join(pairs)}}}"
        case _:
            raise TypeError(f"no JSON: {value!r}")


def values_of(data: Any) -> list[Any]:
    """What one message says, as a plain list: scalars come as ``[x]``, tuples as ``[[a, b]]``."""
    if not isinstance(data, list):
        return [data]
    if len(data) == 1 and isinstance(data[0], list):
        return list(data[0])
    return data


class _BadNumber(Exception):  # noqa: N818  never leaves this module
    pass


def _decimal(text: str) -> Decimal:
    number = Decimal(text) if len(text) <= LONGEST_NUMBER else None
    if number is None or abs(number.adjusted()) > LARGEST_EXPONENT:
        raise _BadNumber(text[:20])
    return number


def _integer(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise _BadNumber(f"{text[:20]}…, with {len(text)} digits")
    return int(text)


def _no_constant(text: str) -> Any:
    raise _BadNumber(text)


# Made once: a decoder for each text takes as long as reading a short one.
_decode = json.JSONDecoder(
    parse_float=_decimal, parse_int=_integer, parse_constant=_no_constant
).decode


def _is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, list | dict):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(one, levels - 1) for one in inner)


def _stored(value: Any) -> Any:
    match value:
        case str():
            return storable(value)
        case list():
            return [_stored(one) for one in value]
        case dict():
            return {storable(name): _stored(one) for name, one in value.items()}
        case _:
            return value
