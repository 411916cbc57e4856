"""Django's ``migrate``, telling how far it is in one line now and then."""

from typing import Any

import click
from django.core.management.commands.migrate import Command

TELL_EVERY = 25


class Migrating(Command):
    """Applies what is missing; tells after every 25 of ``steps``."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.done = 0

    def migration_progress_callback(
        self, action: str, migration: Any | None = None, fake: bool = False
    ) -> None:
        """Count what is applied; Django calls it before and after each step."""
        del migration, fake
        if action == "apply_success":
            self.done += 1
            if self.done % TELL_EVERY == 0:
                click.echo(f"  {self.done} of {self.steps}")
