"""The hub's own connection, against the real database."""

import asyncio

import pytest

from gridtalk.core.events import CHANNEL
from gridtalk.web import events


@pytest.mark.django_db(transaction=True)
def test_the_hubs_own_connection_listens() -> None:
    async def story() -> list[str]:
        listening = await events._listening_connection()
        async with listening:
            await listening.execute(f"LISTEN {CHANNEL}")
            await listening.execute("SELECT pg_notify(%s, 'meter:1')", [CHANNEL])
            return [n.payload async for n in listening.notifies(timeout=2, stop_after=1)]

    assert asyncio.run(story()) == ["meter:1"]
