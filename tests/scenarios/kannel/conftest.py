"""A real Kannel between phones and a real ``gridtalk up``.

Phones reach Kannel through its fake SMSC: a TCP port on which each line is a text; one connection
carries all phones and meters (``air.py``). ``boxes.py`` starts and stops bearerbox and smsbox,
``world.py`` holds all of it together, ``relay.py`` stands between Kannel and the server where a
test wants to see, or lose, what they say.
"""

import contextlib
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import psycopg
import pytest
from tests.scenarios.kannel.air import Air
from tests.scenarios.kannel.boxes import PASSWORD, Kannel, is_installed
from tests.scenarios.kannel.relay import Relay, relay_between
from tests.scenarios.kannel.world import PATIENCE, World, interface_add


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With a failure, what the database and the server have to say of it."""
    report = yield
    world = getattr(item, "funcargs", {}).get("world")
    if report.failed and world is not None:
        with contextlib.suppress(psycopg.Error):
            rows = world.rows(
                """SELECT created_at::time(1), now()::time(1), kind, number, text, state, attempts,
                last_error, handled_at::time(1), outcome, error
                FROM messages LEFT JOIN incoming_messages USING (id) ORDER BY id DESC LIMIT 20"""
            )
            lines = [" | ".join(str(value) for value in row) for row in reversed(rows)]
            report.sections.append(("the last messages", "\n".join(lines)))
        report.sections.append(("gridtalk up", world.server.said()[-3000:]))
        report.sections.append(("bearerbox", world.kannel.said("bearerbox")))
    return report


@pytest.fixture(scope="package")
def world(gridtalk_new: Callable[[], Any]) -> Iterator[World]:
    """One server, one Kannel; whoever stops one of them starts it again."""
    if not is_installed():
        pytest.skip("bearerbox and smsbox are not installed: Debian's package kannel")
    server = gridtalk_new()
    kannel = Kannel(server.folder / "kannel")
    server.up(**PATIENCE)
    air = Air(kannel.ports["air"])
    try:
        interface, kannel.get_url = interface_add(server, kannel, "Kannel", PASSWORD)
        kannel.start()
        yield World(server, kannel, air, interface)
    finally:
        air.end()
        kannel.stop()
        server.end()


@pytest.fixture(scope="module")
def watched(world: World) -> Iterator[Relay]:
    """Kannel's texts go over a relay as long as the module's tests run."""
    with relay_between(world.kannel, world.server.port, lose_first=False) as relay:
        yield relay


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Poll until the probe gives what is wanted; a failure shows what it gave instead."""

    def poll(probe: Callable[[], Any], wanted: Any, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while (found := probe()) != wanted:
            assert time.monotonic() < deadline, f"{found} instead of {wanted}"
            time.sleep(0.05)

    return poll


@pytest.fixture
def interface_new(world: World) -> Callable[[str, str], tuple[int, str]]:
    """Makes one more interface to the same Kannel: name, password → id, ``get-url``."""
    return lambda name, password: interface_add(world.server, world.kannel, name, password)
