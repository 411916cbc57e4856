"""How many SMS a text costs: GSM 03.38 and UCS-2 (3GPP TS 23.038, 23.040). Pure.

A text whose every character is in the GSM 7-bit alphabet takes one septet a character, two for
those of the extension table. Any other text goes as UCS-2, in 16-bit units; a character outside the
basic plane takes two (a surrogate pair). A single message holds 160 septets or 70 units; parts of a
longer one 153 or 67, since the header that joins them takes 6 octets. Neither an escape with its
character nor a surrogate pair is split between two parts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")
_GSM = _BASIC | _EXTENSION

#: The most parts that are sent as one text: Kannel cuts what is longer without a word.
MOST_SEGMENTS = 10


class Encoding(StrEnum):
    """How the text goes over the air."""

    GSM7 = "gsm7"
    UCS2 = "ucs2"


@dataclass(frozen=True, slots=True)
class Segments:
    """What a text costs: ``count`` messages, ``units`` septets (GSM-7) or 16-bit units (UCS-2)."""

    encoding: Encoding
    count: int
    units: int


def is_gsm(text: str) -> bool:
    """Whether every character is in the GSM 7-bit alphabet or its extension table."""
    return _GSM.issuperset(text)


def segments(text: str) -> Segments:
    """Count the SMS of a text; an empty text is one message."""
    if is_gsm(text):
        return _counted(Encoding.GSM7, (2 if c in _EXTENSION else 1 for c in text), 160, 153)
    return _counted(Encoding.UCS2, (2 if c > "\uffff" else 1 for c in text), 70, 67)


def _counted(encoding: Encoding, widths: Iterable[int], single: int, part: int) -> Segments:
    total, count, room = 0, 1, part
    for width in widths:
        total += width
        if width > room:
            count += 1
            room = part
        room -= width
    return Segments(encoding, 1 if total <= single else count, total)
