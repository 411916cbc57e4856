"""What Vite built (``frontend/``, by ``make setup``): which files an entry of ours is made of."""

import json
import logging
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.templatetags.static import static

log = logging.getLogger(__name__)

BUILD = Path(__file__).parent / "static/web/build"
NOT_BUILT = "the pages' styles and scripts are not built: run “make setup”"


@dataclass(frozen=True)
class Entry:
    """The addresses of an entry: its script, its style sheets, the scripts that it imports."""

    script: str
    styles: tuple[str, ...]
    imports: tuple[str, ...]


@cache
def _manifest() -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((BUILD / "manifest.json").read_text("utf-8"))
    except FileNotFoundError:
        # The pages still work, plainly: they are forms and links.
        log.error(NOT_BUILT)
        return {}
    return found


def entry(name: str) -> Entry:
    """The entry of that name, all empty where nothing is built. ``KeyError``: no such entry."""
    manifest = _manifest()
    if not manifest:
        return Entry("", (), ())
    built = manifest[name]
    return Entry(
        _address(built["file"]),
        tuple(_address(file) for file in built["css"]),
        tuple(_address(file) for file in built["imports"]),
    )


def _address(file: str) -> str:
    return static(f"web/build/{file}")
