"""Clearing away what a hostile device has the broker keep.

A device may publish retained messages: its online state is one. Mosquitto cannot be told on which
topics, and ``gt/+/<handle>/i/+`` leaves room for any number of them, all held in memory. So one
process listens to how many there are (``$SYS``, every 5 s); where they are far more than devices,
it takes away all that no honest device keeps, and ends the passwords of those who kept the most.
amqtt needs none of this: there our own rule stands (``embedded.py``).
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence

import aiomqtt
from django.db import connection

from gridtalk.iottalk import topics
from gridtalk.iottalk.broker import address
from gridtalk.iottalk.broker.admission import credentials_admit
from gridtalk.iottalk.broker.kinds import Kind
from gridtalk.iottalk.models import RegisteredDevice
from gridtalk.iottalk.services.expulsion import devices_expel

COUNT_TOPIC = "$SYS/broker/retained messages/count"
#: What honest devices and the broker itself (about 60) keep, beside one for each device.
SLACK = 500
#: Who keeps more than this is thrown out: an honest device keeps one.
HOSTILE = 20
#: The broker sends what it keeps without a pause.
SILENCE_SECONDS = 1.0
SWEEP_SECONDS = 30.0
_PAUSE_SECONDS = 5.0
_KEPT_BY_DEVICES = f"{topics.ROOT}/#"

logger = logging.getLogger(__name__)


async def retained_guard() -> None:
    """Watch until cancelled; to be run by one process of the device server.

    Returns at once where the broker is amqtt. Outlives the broker's restarts.
    """
    if address.kind() not in {Kind.MOSQUITTO, Kind.OUTSIDE}:
        return
    while True:
        try:
            async with _client() as client:
                await client.subscribe(COUNT_TOPIC)
                async for message in client.messages:
                    kept = _number(message.payload)
                    if kept > SLACK and kept > SLACK + await asyncio.to_thread(_devices):
                        await retained_sweep()
        except aiomqtt.MqttError:
            # Away or restarting; a restart forgets what was kept.
            await asyncio.sleep(_PAUSE_SECONDS)


async def retained_sweep() -> int:
    """Clear every retained message that is no device's own state; how many they were.

    Devices that kept more than :data:`HOSTILE` of them get another password, and are thrown out.
    """
    found: list[str] = []
    async with _client() as client:
        await client.subscribe(_KEPT_BY_DEVICES)
        ends = time.monotonic() + SWEEP_SECONDS
        heard = time.monotonic()
        while time.monotonic() < min(ends, heard + SILENCE_SECONDS):
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    message = await anext(client.messages)
            except TimeoutError:
                break
            if message.retain:
                heard = time.monotonic()
                found.append(str(message.topic))
        await client.unsubscribe(_KEPT_BY_DEVICES)
        shards = await asyncio.to_thread(_shards, {_handle(topic) for topic in found})
        wrong = [topic for topic in found if not _is_state(topic, shards)]
        # First who keeps them, else they would be there again.
        hostile = [who for who, kept in Counter(map(_handle, wrong)).items() if kept > HOSTILE]
        if hostile:
            await asyncio.to_thread(_throw_out, hostile)
        for topic in wrong:
            await client.publish(topic, b"", qos=0, retain=True)
    if wrong:
        logger.warning(
            "the broker kept %s messages that it should not; cleared, and thrown out: %s",
            len(wrong), ", ".join(hostile) or "nobody",
        )  # fmt: skip
    return len(wrong)


def _client() -> aiomqtt.Client:
    url = address.broker_url()
    return aiomqtt.Client(
        url.host,
        url.port,
        username=url.username,
        password=url.password,
        tls_params=aiomqtt.TLSParameters() if url.tls else None,
        max_queued_incoming_messages=100_000,
    )


def _number(payload: object) -> int:
    try:
        return int(payload) if isinstance(payload, bytes | str) else 0
    except ValueError:
        return 0


def _handle(topic: str) -> str:
    """The third level, whose owner alone may publish there."""
    return ([*topic.split("/"), "", "", ""])[2]


def _is_state(topic: str, shards: dict[str, int]) -> bool:
    said = topics.read(topic)
    return said is not None and said.what == "ci" and shards.get(said.handle) == said.shard


def _devices() -> int:
    try:
        return RegisteredDevice.objects.count()
    finally:
        connection.close()


def _shards(handles: set[str]) -> dict[str, int]:
    try:
        found = RegisteredDevice.objects.filter(handle__in=handles)
        return dict(found.values_list("handle", "shard"))
    finally:
        connection.close()


def _throw_out(handles: Sequence[str]) -> None:
    try:
        devices_expel(handles=handles, did="had the broker keep messages without end")
        credentials_admit(handles=handles)
    finally:
        connection.close()
