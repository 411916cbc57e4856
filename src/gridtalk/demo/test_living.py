"""The villages that live on in real time: what they say is true, and the seed's."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from gridtalk.demo.living import PLACES, Living, neighbours_make
from gridtalk.demo.network import Carried, Network
from gridtalk.demo.village import interface_make
from gridtalk.gateway.consumer.wire import Command, parse_command
from gridtalk.gateway.meter import wire
from gridtalk.telemetry.models import PrimaryLog

pytestmark = [pytest.mark.django_db, pytest.mark.enable_socket]
NOW = datetime(2026, 11, 23, 18, 30, tzinfo=UTC)
SECONDS = 300


@pytest.fixture
def network() -> Iterator[Network]:
    made = Network()
    yield made
    made.close()


def live(network: Network, seed: int) -> list[Carried]:
    interface, gateway = interface_make(
        network,
        server_url="http://127.0.0.1:1",
        name=f"n{seed}",
        phone="+256770010000",
        region="UG",
    )
    with time_machine.travel(NOW, tick=False) as clock:
        villages = neighbours_make(
            network, interface=interface, gateway=gateway, prefix=f"+2567700{seed}",
            time_zone="UTC", now=NOW.replace(tzinfo=None), named=lambda name: f"{name}-{seed}",
            seed=1,
        )  # fmt: skip
        assert [village.row.location for village in villages] == [place.name for place in PLACES]
        living = Living(villages, network, "UTC", 5, lambda text: None)
        first = len(network.carried)
        for _ in range(SECONDS):
            clock.shift(timedelta(seconds=1))
            living.second()
    return network.carried[first:]


def test_reports_and_texts_are_true_and_come_of_the_seed(network: Network) -> None:
    said = live(network, 1)
    reports = [wire.parse(one.text) for one in said if one.text.startswith("(job=pp")]
    assert len(reports) > SECONDS / 10
    times = [entry.meter_time for report in reports for entry in report.entries]
    assert len(times) == len(reports), "each is one circuit's"
    assert min(times) > NOW.replace(tzinfo=None)
    assert max(times) <= NOW.replace(tzinfo=None) + timedelta(seconds=SECONDS)
    texts = [one.text for one in said if not one.text.startswith("(")]
    assert texts
    assert all(isinstance(parse_command(text), Command) for text in texts)
    again = live(network, 2)
    assert [one.sender[-4:] for one in again] == [one.sender[-4:] for one in said]


def test_they_have_a_past(network: Network) -> None:
    live(network, 3)
    logs = PrimaryLog.objects.filter(circuit__meter__name=f"{PLACES[0].name}-3")
    assert logs.count() == 7 * 24 * (len(PLACES[0].names) + 1)
