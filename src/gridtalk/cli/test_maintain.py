"""A database that a newer Gridtalk made is not touched by an older one."""

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from gridtalk.cli.maintain import schema_check
from gridtalk.core.errors import SetupError

pytestmark = pytest.mark.django_db


def test_tables_of_this_version_are_taken() -> None:
    schema_check()


def test_tables_of_a_newer_version_are_refused() -> None:
    MigrationRecorder(connection).record_applied("grid", "9999_of_the_future")
    with pytest.raises(SetupError, match="grid 9999_of_the_future is not known"):
        schema_check()


def test_what_other_programs_migrate_is_theirs() -> None:
    MigrationRecorder(connection).record_applied("somebody_elses", "0001_initial")
    schema_check()
