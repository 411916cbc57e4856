"""SMS texts to people, in their languages: :func:`render`. Pure.

Source: ``spec/gateway.md`` 2, 4 and 6. A language is a module beside this one and a line in
:data:`CATALOGUES`; every language has every key with the same placeholders, and every text fits one
GSM-7 segment with the largest real values (``test_texts.py`` holds it). So French goes without the
letters that GSM 03.38 lacks: the wording avoids them, no accent is dropped.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from string import Formatter

from gridtalk.core import money
from gridtalk.messaging.texts import en, fr, sw
from gridtalk.messaging.texts.catalogue import Catalogue

#: By code, as ``messaging.models.Language`` lists them.
CATALOGUES: dict[str, Catalogue] = {"en": en.CATALOGUE, "fr": fr.CATALOGUE, "sw": sw.CATALOGUE}

LANGUAGES = tuple(CATALOGUES)
KEYS = tuple(en.CATALOGUE.texts)


@dataclass(frozen=True, slots=True)
class Estimated:
    """An amount that no meter has said; texts say so."""

    amount: Decimal


def render(lang: str, key: str, **values: object) -> str:
    """The text ``key`` in a language, with its values.

    An amount (``credit``, ``amount``: Decimal, or :class:`Estimated`) gets two decimals, ``wh``
    (Decimal or int, Wh) none, a time (datetime, in the zone in which it is to be read) the
    language's months, ``status`` (0 or 1) its word for off and on; other values are shown as they
    are. ``{languages}``, the codes of all languages, needs no value. Values which the text does not
    use are left out. Raises ``LookupError`` for an unknown language or key and for a value that is
    missing or null.
    """
    catalogue = CATALOGUES.get(lang)
    if catalogue is None:
        raise LookupError(f"no texts in the language {lang!r}; there are {', '.join(LANGUAGES)}")
    text = catalogue.texts.get(key)
    if text is None:
        raise LookupError(f"no text is called {key!r}")
    shown = {"languages": ", ".join(LANGUAGES)}
    for name in placeholders(text) - shown.keys():
        value = values.get(name)
        if value is None:
            raise LookupError(f"the text {key} needs a value for {name}")
        shown[name] = _shown(catalogue, name, value)
    return text.format_map(shown)


def placeholders(text: str) -> set[str]:
    """The names in braces."""
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def _shown(catalogue: Catalogue, name: str, value: object) -> str:
    if name == "status" and isinstance(value, int):
        return catalogue.on if value else catalogue.off
    if name == "wh" and isinstance(value, Decimal):
        return f"{value.to_integral_value(rounding=ROUND_HALF_EVEN):f}"
    if isinstance(value, Estimated):
        return catalogue.estimated.format(money.shown(value.amount))
    if isinstance(value, Decimal):
        return money.shown(value)
    if isinstance(value, datetime):
        return f"{value.day} {catalogue.months[value.month - 1]} {value:%Y %H:%M}"
    return str(value)
