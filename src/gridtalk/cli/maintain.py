"""``migrate``, ``verify``, ``cleanup``, ``demo``, and ``exec`` for developers."""

import os
import subprocess
import sys
import time

import click

from gridtalk.cli import environment
from gridtalk.cli.options import data_dir, data_dir_option
from gridtalk.cli.serve import follow_supervisor
from gridtalk.core.errors import SetupError

#: One migration at a time, however many machines start at once (any number will do).
MIGRATION_LOCK = 4_711_2026


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
        # A power cut now costs the last steps, which are then done again; it saves many flushes.
        cursor.execute("SET synchronous_commit = off")
    try:
        _apply()
    finally:
        # Ending the connection drops the lock, also after an error inside it.
        connection.close()


def _apply() -> None:
    from django.core.management import call_command
    from django.db import DatabaseError

    from gridtalk.cli.migrating import Migrating

    steps = _steps_missing()
    if not steps:
        return
    began = time.monotonic()
    click.echo(f"bringing the database up to date: {steps} steps")
    try:
        call_command(Migrating(steps), verbosity=0, interactive=False)
    except DatabaseError as error:
        raise SetupError(f"a migration failed: {str(error).strip()}") from error
    click.echo(f"the database is up to date ({time.monotonic() - began:.1f} s)")


def _steps_missing() -> int:
    """How many migrations are to be run; :class:`SetupError` where a newer version ran its own."""
    from django.apps import apps
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    loader = executor.loader
    ours = {config.label for config in apps.get_app_configs() if config.name.startswith("gridtalk")}
    unknown = sorted(
        f"{app} {name}"
        for app, name in set(loader.applied_migrations) - set(loader.disk_migrations)
        if app in ours
    )
    if unknown:
        raise SetupError(
            f"the database was made by a newer Gridtalk ({unknown[0]} is not known here): "
            "start that version, or restore a backup from before it"
        )
    return len(executor.migration_plan(loader.graph.leaf_nodes()))


def schema_check() -> None:
    """:class:`SetupError` where the tables are not up to date; an embedded database is updated."""
    if not _steps_missing():
        return
    if environment.is_embedded():
        _migrate()
        return
    raise SetupError("the database is not up to date; run “gridtalk migrate” first")


@click.command()
@data_dir_option
def verify() -> None:
    """Replay the ledger against circuits, tokens and jobs; exit code 1 where something differs."""
    with environment.database(data_dir(), role="verify"):
        environment.django_start()
        schema_check()
        from gridtalk.jobs.verify import main

        sys.exit(main())


@click.command()
@data_dir_option
def cleanup() -> None:
    """Remove uploads that nobody took and functions that nobody needs, older than a day."""
    with environment.database(data_dir(), role="cleanup"):
        environment.django_start()
        schema_check()
        from gridtalk.devicetalk.services.cleanup import cleanup as clean

        done = clean()
        click.echo(f"removed: {done.files} files, {done.functions} functions")


@click.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@data_dir_option
def demo(*, arguments: tuple[str, ...]) -> None:
    """Start everything and play a day of a small village against it."""
    environment.folder_make(data_dir())
    from gridtalk.demo.run import main

    sys.exit(main(list(arguments)))


@click.command(name="exec", hidden=True, context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@data_dir_option
def execute(*, command: tuple[str, ...]) -> None:
    """Run a command with the environment (secrets, database) of this data folder."""
    with environment.database(data_dir(), role="exec"):
        sys.exit(subprocess.run(command, env=os.environ, check=False).returncode)  # noqa: S603
