"""``migrate``, ``verify``, ``demo``, and ``exec`` for developers."""

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from gridtalk.cli import environment
from gridtalk.cli.options import data_dir, data_dir_option
from gridtalk.cli.serve import follow_supervisor
from gridtalk.core.errors import SetupError

if TYPE_CHECKING:
    from django.db.migrations.executor import MigrationExecutor

#: One migration at a time, however many machines start at once (any number will do).
MIGRATION_LOCK = 4_711_2026
PROGRESS_EVERY = 25


@click.command()
@data_dir_option
def migrate() -> None:
    """Bring the database's tables up to date."""
    follow_supervisor()
    with environment.database(data_dir(), role="migrate"):
        environment.django_start()
        _migrate()


def _migrate() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
    try:
        _apply()
    finally:
        # Ending the connection drops the lock, also after an error inside it.
        connection.close()


def _apply() -> None:
    from django.db import DatabaseError

    done = 0

    def progress(action: str, _migration: object = None, _fake: bool = False) -> None:
        nonlocal done
        if action == "apply_success":
            done += 1
            if done % PROGRESS_EVERY == 0:
                click.echo(f"  {done} of {len(plan)}")

    executor = _executor(progress)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not plan:
        return
    began = time.monotonic()
    click.echo(f"bringing the database up to date: {len(plan)} steps")
    from django.apps import apps
    from django.core.management.sql import emit_post_migrate_signal, emit_pre_migrate_signal

    state = executor._create_project_state(with_applied_migrations=True)  # noqa: SLF001
    emit_pre_migrate_signal(0, interactive=False, db="default", apps=state.apps, plan=plan)
    try:
        executor.migrate(executor.loader.graph.leaf_nodes(), plan=plan)
    except DatabaseError as error:
        raise SetupError(f"a migration failed: {str(error).strip()}") from error
    emit_post_migrate_signal(0, interactive=False, db="default", apps=apps, plan=plan)
    click.echo(f"the database is up to date ({time.monotonic() - began:.1f} s)")


def _executor(progress: Any = None) -> "MigrationExecutor":
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    return MigrationExecutor(connection, progress)


def schema_check() -> None:
    """:class:`SetupError` where the tables are not up to date; an embedded database is updated."""
    executor = _executor()
    if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return
    if environment.is_embedded():
        _migrate()
        return
    raise SetupError("the database is not up to date; run “gridtalk migrate” first")


@click.command()
@click.argument("arguments", nargs=-1)
@data_dir_option
def verify(*, arguments: tuple[str, ...]) -> None:
    """Replay the ledger against circuits, tokens and jobs; exit code 1 where something differs."""
    with environment.database(data_dir(), role="verify"):
        environment.django_start()
        schema_check()
        from gridtalk.jobs.verify import main

        sys.exit(main(list(arguments)))


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@data_dir_option
def demo(*, arguments: tuple[str, ...]) -> None:
    """Start everything and play a day of a small village against it."""
    environment.folder_prepare(data_dir())
    from gridtalk.demo.run import main

    sys.exit(main(list(arguments)))


@click.command(name="exec", hidden=True, context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@data_dir_option
def execute(*, command: tuple[str, ...]) -> None:
    """Run a command with the environment (secrets, database) of this data folder."""
    with environment.database(data_dir(), role="exec"):
        sys.exit(subprocess.run(command, env=os.environ, check=False).returncode)  # noqa: S603
