"""Every text in every language: complete, alike, and one segment long with the largest values."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import product

import pytest

from gridtalk.messaging import texts
from gridtalk.messaging.models import Language
from gridtalk.messaging.segments import segments
from gridtalk.messaging.texts import CATALOGUES, KEYS, LANGUAGES, Estimated, placeholders, render

#: The largest that is real: pins have 8 digits, E.164 numbers at most 15.
LARGEST: dict[str, object] = {
    "account": "99999999",
    "credit": Decimal("-99999999.99"),
    "wh": Decimal("24000.4"),
    "status": 1,
    "phone": "+22370008888",
    "old": "+22370008888",
    "new": "+22370009999",
}
ESTIMATED = Estimated(Decimal("-99999999.99"))
TIMES = [datetime(2026, month, 23, 14, 5, tzinfo=UTC) for month in range(1, 13)]


def test_languages_are_those_of_the_accounts() -> None:
    assert set(LANGUAGES) == set(Language.values)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("key", KEYS)
def test_text(lang: str, key: str) -> None:
    text = CATALOGUES[lang].texts[key]
    assert placeholders(text) == placeholders(CATALOGUES["en"].texts[key])
    assert placeholders(text) <= {*LARGEST, "time", "languages"}
    assert text == " ".join(text.split())
    for time in TIMES:
        for status, credit in product((0, 1), (LARGEST["credit"], ESTIMATED)):
            values = LARGEST | {"time": time, "status": status, "credit": credit}
            shown = render(lang, key, **values)
            cost = segments(shown)
            assert (cost.encoding, cost.count) == ("gsm7", 1), f"{cost}: {shown}"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_catalogue(lang: str) -> None:
    catalogue = CATALOGUES[lang]
    assert list(catalogue.texts) == list(KEYS)
    assert len(set(catalogue.months)) == 12
    assert catalogue.off != catalogue.on
    assert placeholders(catalogue.estimated) == {""}
    for other in set(LANGUAGES) - {lang}:
        same = [key for key in KEYS if catalogue.texts[key] == CATALOGUES[other].texts[key]]
        assert not same, f"not translated: {same}"


@pytest.mark.parametrize(
    ("lang", "key", "values", "shown"),
    [
        (
            "en",
            "balance",
            {"account": "23456789", "credit": Decimal("20.1"), "time": TIMES[10]},
            "Account 23456789: credit 20.10. Last report 23 Nov 2026 14:05.",
        ),
        (
            "fr",
            "balance",
            {"account": "23456789", "credit": "20.10", "time": TIMES[1]},
            "Compte 23456789: crédit 20.10. Dernier relevé le 23 févr. 2026 14:05.",
        ),
        (
            "sw",
            "turn_off_done",
            {"account": "23456789", "credit": Decimal(0), "status": 0, "amount": None},
            "Akaunti 23456789: umeme umezimwa. Salio ni 0.00.",
        ),
        (
            "fr",
            "turn_on_done",
            {"account": "23456789", "credit": Estimated(Decimal("520.1")), "status": 1},
            "Compte 23456789: courant allumé. Crédit environ 520.10 (estimation).",
        ),
        (
            "en",
            "usage",
            {"account": "a{0}b", "credit": Decimal("3.005"), "wh": Decimal("120.5")},
            "Account a{0}b, last 30 days: credit used 3.00, on average 120 Wh a day.",
        ),
        (
            "en",
            "language_unknown",
            {"account": "23456789"},
            "We do not have this language. Choose from: en, fr, sw. Example: lang.23456789.en",
        ),
    ],
)
def test_render(lang: str, key: str, values: dict[str, object], shown: str) -> None:
    assert render(lang, key, **values) == shown


@pytest.mark.parametrize(
    ("lang", "key", "values", "part"),
    [
        ("tlh", "help", {}, "language 'tlh'"),
        ("", "help", {}, "language ''"),
        ("en", "greeting", {}, "'greeting'"),
        ("en", "token_spent_here", {"account": "1"}, "value for time"),
        ("en", "token_spent_here", {"account": None, "time": TIMES[0]}, "value for account"),
    ],
)
def test_render_refuses(lang: str, key: str, values: dict[str, object], part: str) -> None:
    with pytest.raises(LookupError, match=part):
        render(lang, key, **values)


def test_nobody_else_learns_a_pin_from_a_spent_token() -> None:
    for lang in texts.LANGUAGES:
        assert not placeholders(CATALOGUES[lang].texts["token_spent"])
