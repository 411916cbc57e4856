"""The pages' languages: every string of ours is translated, with its placeholders."""

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from django.utils import translation
from django.utils.translation.template import templatize

import gridtalk
from gridtalk.core import errors
from gridtalk.testing_village import Village
from gridtalk.web.words import WORDS, error_text

SOURCE = Path(gridtalk.__file__).parent
LOCALES = {"fr": "fr", "zh-hant": "zh_Hant"}
MARKS = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy"}
#: Whose errors a page shows; those of others are for devices, providers and the command line.
SHOWN = [
    "users", "grid", "prepaid/services.py", "core", "jobs", "messaging/services.py",
    "alerts/selectors.py", "iottalk/services/binding.py", "iottalk/services/forgetting.py",
    "iottalk/services/sends.py",
]  # fmt: skip
ERRORS = {
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.GridtalkError)
} - {"SetupError"}
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|<[^>]+>")


def _marked(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKS:
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value


def _errors(tree: ast.AST) -> Iterator[ast.expr]:
    """The first argument of every error of ours that is made."""
    for node in ast.walk(tree):
        named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if named and node.func.id in ERRORS and node.args:
            yield node.args[0]


def _shown_errors() -> Iterator[tuple[Path, ast.expr]]:
    for name in SHOWN:
        place = SOURCE / name
        for path in [place] if place.suffix else place.rglob("*.py"):
            if not path.name.startswith("test"):
                for text in _errors(ast.parse(path.read_text("utf-8"))):
                    yield path, text


def strings() -> set[str]:
    """All strings that our sources and templates mark for translation, and errors in pages."""
    found = {str(text.value) for _, text in _shown_errors() if isinstance(text, ast.Constant)}
    for path in SOURCE.rglob("*.py"):
        if not path.name.startswith("test"):
            found.update(_marked(ast.parse(path.read_text("utf-8"))))
    call = re.compile(r"\b(?:n?gettext|_)\((u?'(?:[^'\\]|\\.)*'|u?\"(?:[^\"\\]|\\.)*\")")
    for path in SOURCE.rglob("*.html"):
        found.update(
            ast.literal_eval(text) for text in call.findall(templatize(path.read_text("utf-8")))
        )
    return found


def catalogue(locale: str) -> dict[str, list[str]]:
    """Our compiled catalogue: each string with its translations."""
    path = SOURCE / "locale" / locale / "LC_MESSAGES" / "django.mo"
    with path.open("rb") as file:
        rows = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    found: dict[str, list[str]] = {}
    for key, text in rows.items():
        found.setdefault(key[0] if isinstance(key, tuple) else key, []).append(text)
    found.pop("")
    return found


def test_every_language_of_the_settings_has_its_catalogue() -> None:
    assert {code for code, _name in settings.LANGUAGES} == {"en", *LOCALES}


@pytest.mark.parametrize("locale", LOCALES.values())
def test_every_string_is_translated(locale: str) -> None:
    wanted, translated = strings(), catalogue(locale)
    assert len(wanted) > 400
    assert sorted(wanted - translated.keys()) == [], "run makemessages, translate, compilemessages"
    assert sorted(translated.keys() - wanted) == [], "no longer used"


def _actions() -> Iterator[str]:
    """Every action that our sources write into the audit trail under its name."""
    for path in SOURCE.rglob("*.py"):
        if path.name.startswith("test"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else (
                node.func.id if isinstance(node.func, ast.Name) else ""
            )  # fmt: skip
            for given in node.keywords if called in {"audit", "_told"} else ():
                if given.arg == "action" and isinstance(given.value, ast.Constant):
                    yield str(given.value.value)


def test_every_action_of_the_audit_trail_has_a_word() -> None:
    written = {*_actions(), *(f"job_{kind}" for kind in ("cping", "mping", "turn_on", "turn_off"))}
    assert {"library_put", "device_bind", "token_void"} <= written
    assert sorted(written - WORDS["action"].keys()) == []


def test_errors_name_what_varies() -> None:
    """A text that is put together before it is raised can be in no catalogue."""
    wrong = [
        f"{path.relative_to(SOURCE)}:{text.lineno}"
        for path, text in _shown_errors()
        if isinstance(text, ast.JoinedStr)
    ]
    assert wrong == [], "give facts: UserError('meter “%(meter)s” is retired', meter=…)"


@pytest.mark.parametrize("locale", LOCALES.values())
def test_placeholders_are_kept(locale: str) -> None:
    for text, translations in catalogue(locale).items():
        for told in translations:
            assert told
            assert sorted(PLACEHOLDER.findall(told)) == sorted(PLACEHOLDER.findall(text))


@pytest.mark.parametrize(
    ("code", "title", "state"),
    [("fr", "Aperçu", "muet"), ("zh-hant", "總覽", "回報中")],
)
def test_a_page_in(village: Village, admin: Client, code: str, title: str, state: str) -> None:
    admin.post("/profile/language", {"language": code})
    text = admin.get("/").content.decode().replace("'", "&#x27;")
    assert title in text
    if code == "zh-hant":
        assert state in text
    assert "Overview" not in text


def test_an_error_of_a_service_is_told_in_the_readers_language() -> None:
    named = errors.UserError("meter “%(meter)s” has no mains circuit", meter="ml 100%")
    with translation.override("fr"):
        assert error_text(named) == "le compteur « ml 100% » n'a pas de circuit principal"
        assert error_text(errors.UserError("the meter needs a name")) == (
            "le compteur doit avoir un nom"
        )
        assert error_text(errors.UserError("only 5% of it")) == "only 5% of it"
        assert error_text(errors.UserError()) == ""
    assert str(named) == "meter “ml 100%” has no mains circuit"
