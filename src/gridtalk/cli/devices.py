"""``gridtalk devices``: the MQTT side of the device server."""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import click

from gridtalk.cli import environment
from gridtalk.cli.options import data_dir, data_dir_option
from gridtalk.cli.serve import follow_supervisor


@click.command()
@data_dir_option
def devices() -> None:
    """Speak with devices over MQTT; start several, here or on other machines, to share the load."""
    follow_supervisor()
    with environment.database(data_dir(), role="devices"):
        environment.django_start()
        if not os.environ.get(environment.SUPERVISED):
            from gridtalk.cli.maintain import schema_check

            schema_check()
        asyncio.run(_serve())
    sys.stdout.flush()
    sys.stderr.flush()


async def _serve() -> None:
    from gridtalk.core.collector import collector_tune
    from gridtalk.iottalk.mqtt.process import DeviceServer

    # It warns of messages under way, of which there are many.
    logging.getLogger("mqtt").setLevel(logging.ERROR)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    collector_tune()
    await DeviceServer(ready=_say_ready).run(stop)


def _say_ready() -> None:
    if path := os.environ.get("GRIDTALK_READY_FILE"):
        Path(path).touch()
