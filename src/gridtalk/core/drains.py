"""Drains: the tasks that do the work which waits in rows, and the bells that call them.

Every drain has a name, a bell (:func:`drain_bell`, rung by whoever stores work) and a task
(:func:`drain_task`, in the app's ``tasks.py``). The name is the queueing lock: one drain that waits
is enough. It has no ``lock``, which a killed holder would block for long, and no ``retry``, which
would clash with a bell rung meanwhile: the clock rings again in 5 seconds anyway.

A new drain is added to ``BELLS`` (its bell) and ``PROCRASTINATE_IMPORT_PATHS`` (its tasks) in
``settings.py``.
"""

import time
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.utils.module_loading import import_string
from procrastinate import exceptions
from procrastinate.contrib.django import app

from gridtalk.core.bells import Bell
from gridtalk.core.runs import RUNS

QUEUE = "drains"
#: After so long a run that finds ever more work lets a new task go on, so that a worker can stop.
LONGEST_RUN_S = 10.0
_WAITING = "SELECT 1 FROM procrastinate_jobs WHERE queueing_lock = %s AND status = 'todo' LIMIT 1"
# A bell need not wait for the disk: one that a crash of the database takes away rings again.
_UNHURRIED = "SELECT set_config('synchronous_commit', 'off', true)"


def drain_task(name: str) -> Callable[[Callable[[], Any]], Any]:
    """Decorator: register a function without arguments as the drain of that name.

    In a process it runs once at a time (``runs.py``), and again where word was left meanwhile.
    """

    def decorate(function: Callable[[], Any]) -> Any:
        @wraps(function)
        def run() -> None:
            if RUNS.begin(name):
                _run(name, function)

        return app.task(name=name, queue=QUEUE, queueing_lock=name)(run)

    return decorate


def _run(name: str, function: Callable[[], Any]) -> None:
    hand_over_at = time.monotonic() + LONGEST_RUN_S
    try:
        while True:
            function()
            if RUNS.may_end(name):
                return
            if time.monotonic() > hand_over_at:
                break
    except BaseException:
        RUNS.end(name)  # word that was left is not lost for long: the clock rings
        raise
    RUNS.end(name)
    drain_enqueue(name)


def drain_bell(name: str) -> Bell:
    """The bell of the drain of that name; its task need not be imported."""
    return Bell(name, partial(drain_enqueue, name))


def drain_enqueue(name: str) -> None:
    """Put the drain into the queue, unless it waits there already.

    Called outside transactions. Raises Django's ``DatabaseError`` where the database fails.
    """
    own = not connection.in_atomic_block
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            # Looking first spares PostgreSQL's log an error for each bell rung in vain.
            cursor.execute(_WAITING, [name])
            if cursor.fetchone():
                return
            if own:
                cursor.execute(_UNHURRIED)
            app.configure_task(name, queue=QUEUE, queueing_lock=name).defer()
    except exceptions.AlreadyEnqueued:
        return  # somebody rang between our look and our bell
    except exceptions.ConnectorException as error:
        raise DatabaseError(f"{name} could not be enqueued: {error}") from error


def bells() -> list[Bell]:
    """The bells of all drains, from the explicit list in settings."""
    return [import_string(path) for path in settings.BELLS]
