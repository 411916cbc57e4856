"""Keeps the pages true to the tree: what they name must be there.

* An inline literal that looks like a file of the repository (``src/gridtalk/urls.py``) must exist;
  one with ``<…>`` in it stands for a file that the reader will make.
* Every environment variable that the code reads is listed in ``operations.md``, and none else.
* What the README and the change log link to or name exists.
"""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
FILE = re.compile(r"^(?:src|docs|bench|tests|\.ci)/[\w./-]*$")
VARIABLE = re.compile(r"GRIDTALK_[A-Z0-9_]+")
#: How the code reads one: os.environ, the helpers of settings.py, click's envvar.
READ = re.compile(
    r"""(?:environ(?:\.\w+)?[\[(]|_flag\(|_number\(|_list\(|_networks\(|getenv\(|envvar=)\s*"(GRIDTALK_[A-Z0-9_]+)\""""
)
#: Set by ``gridtalk up`` for its own children, or read by the tests' plugin alone.
INTERNAL = {"GRIDTALK_READY_FILE", "GRIDTALK_SUPERVISOR", "GRIDTALK_TEST_DATABASE_URL"}
LITERAL = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


def variables_read() -> set[str]:
    """The environment variables that the package reads."""
    found: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        if path.name.startswith("test") or "/tests/" in path.as_posix():
            continue
        found |= set(READ.findall(path.read_text(encoding="utf-8")))
    return found - INTERNAL


def files_named(app: Sphinx, doctree: nodes.document) -> None:
    """Warn of files that a page names and that do not exist."""
    for literal in doctree.findall(nodes.literal):
        text = literal.astext()
        if FILE.match(text) and not (ROOT / text).exists():
            log.warning("there is no %s", text, location=literal, type="checks")


def variables_listed(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn where ``operations.md`` and the code disagree on the environment."""
    page = Path(env.doc2path("operations"))
    listed = set(VARIABLE.findall(page.read_text(encoding="utf-8")))
    read = variables_read()
    for name in sorted(read - listed):
        log.warning("the code reads %s, which operations.md does not list", name, type="checks")
    for name in sorted(listed - read):
        log.warning("operations.md lists %s, which the code does not read", name, type="checks")


def front_page(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of files that the README and the change log name and that do not exist."""
    for name in ("README.md", "CHANGELOG.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        named = {path for path in LITERAL.findall(text) if FILE.match(path)} | set(
            LINK.findall(text)
        )
        for path in sorted(named):
            if not (ROOT / path).exists():
                log.warning("%s names %s, which is not there", name, path, type="checks")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the checks."""
    app.connect("doctree-read", files_named)
    app.connect("env-check-consistency", variables_listed)
    app.connect("env-check-consistency", front_page)
    return {"version": "1", "parallel_read_safe": True}
