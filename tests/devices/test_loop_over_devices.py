"""The stories of the prepaid loop once more, over devices: one set of rules.

All of ``gateway/test_loop.py`` are played; the ones below, under the same names, differ for a
device and say how.
"""

import pytest
from tests.devices.village import DeviceVillage, v1_village, v2_village

from gridtalk.alerts.models import Alert
from gridtalk.gateway import test_loop as over_sms
from gridtalk.gateway.conftest import FRIEND
from gridtalk.gateway.test_loop import *  # noqa: F403  the stories
from gridtalk.gateway.test_loop import _clean_at_the_end
from gridtalk.iottalk import limits
from gridtalk.messaging.models import OutgoingMessage

__all__ = ["_clean_at_the_end"]

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["v2", "v1"])
def village(
    db: None, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> DeviceVillage:
    """v2 by the bytes that go over MQTT, v1 over HTTP; both register as devices do."""
    limits.forget()
    return v2_village(monkeypatch) if request.param == "v2" else v1_village()


def test_all_stories_are_played() -> None:
    stories = {name for name in vars(over_sms) if name.startswith("test_")}
    assert len(stories) > 30
    assert stories <= globals().keys()


def test_a_ping_is_answered_to_everybody_but_not_for_ever(village: DeviceVillage) -> None:
    """A device hears that we are here in the acknowledgement."""
    ping = "(job=gateway-ping&meter-time=2011-09-07 12:34:56)"
    assert village.meter_says(ping).outcome == "ping"
    assert not OutgoingMessage.objects.exists()
    for _ in range(14):
        village.consumer(ping, FRIEND)
    assert len(village.answers(FRIEND)) == 12


def test_a_meters_sim_may_send_consumer_commands(village: DeviceVillage) -> None:
    """A device has no SIM: it is refused."""
    said = village.meter_says(f"bal.{village.pin}")
    assert said.outcome == "refused"
    assert "not a meter's message" in said.error


def test_a_meter_comes_on_and_reports_its_batteries(village: DeviceVillage) -> None:
    """The same report by two messages is one; the same message twice is told apart at the door."""
    assert village.meter_says("ml01 online").outcome == "power on"
    assert village.meter_says("(pcu#11062200#0,0,0,0,48.01,0,0,0,25.5)").outcome == "pcu log"
    assert village.meter_says("(pcu#11062200#0,0,0,0,48.01,0,0,0,25.5)").outcome == "duplicate"
    assert Alert.objects.filter(kind="power_on", cleared_at__isnull=False).count() == 1
