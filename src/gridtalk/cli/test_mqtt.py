"""The broker as ``up`` plans it; started for real in tests/scenarios/brokers."""

import os
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gridtalk.cli import mqtt
from gridtalk.cli.up import ports_differ
from gridtalk.core.errors import SetupError
from gridtalk.iottalk import credentials
from gridtalk.iottalk.broker import kinds
from gridtalk.iottalk.broker.kinds import Kind


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the children are told is forgotten again."""
    kept = dict(os.environ)
    for name in [name for name in kept if name.startswith(("GRIDTALK_MQTT", "GRIDTALK_BROKER"))]:
        del os.environ[name]
    monkeypatch.setattr(kinds, "mosquitto_binary", lambda: "/x/mosquitto")
    yield
    os.environ.clear()
    os.environ.update(kept)


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Ports that are taken; no socket is opened."""
    taken: list[int] = []

    class Probe(socket.socket):
        def bind(self, address: Any) -> None:
            if address[1] in taken:
                raise OSError(98, "Address already in use")
            self.bound = address

        def getsockname(self) -> Any:
            return self.bound

    monkeypatch.setattr("gridtalk.cli.mqtt.socket.socket", Probe)
    monkeypatch.setattr("gridtalk.cli.up.socket.socket", Probe)
    return taken


def told() -> dict[str, str]:
    """What the children see of the broker."""
    return {name: value for name, value in os.environ.items() if "MQTT" in name or "BROKER" in name}


def test_what_it_assumes_without_django_is_so(settings: Any) -> None:
    assert settings.DEVICE_MESSAGE_LARGEST_BYTES == mqtt.LARGEST_PAYLOAD_BYTES
    assert credentials.SERVER_USER == mqtt.SERVER_USER


@pytest.mark.enable_socket
def test_a_private_mosquitto(tmp_path: Path, bound: list[int]) -> None:
    bound.append(1884)
    plan = mqtt.broker_plan(tmp_path, host="127.0.0.1", port=1883, wanted=True)
    assert (plan.kind, plan.has_devices) == (Kind.MOSQUITTO, True)
    assert told() == {
        "GRIDTALK_BROKER": "mosquitto", "GRIDTALK_MQTT_HOST": "127.0.0.1",
        "GRIDTALK_MQTT_PORT": "1883", "GRIDTALK_MQTT_SERVER_PORT": "1885",
    }  # fmt: skip
    text = (tmp_path / "broker" / "mosquitto.conf").read_text()
    assert "listener 1883 127.0.0.1" in text
    assert "listener 1885 127.0.0.1" in text
    assert (tmp_path / "broker" / "passwd").exists()


@pytest.mark.enable_socket
def test_the_servers_own_port_is_none_that_is_ours_already(
    tmp_path: Path, bound: list[int]
) -> None:
    bound.append(1885)
    ours = {"--port": 8000, "--iottalk-v1-port": 1884}
    mqtt.broker_plan(tmp_path, host="127.0.0.1", port=1883, wanted=True, taken=ours)
    assert told()["GRIDTALK_MQTT_SERVER_PORT"] == "1886"


def test_the_brokers_port_is_another_where_the_broker_is_ours(
    tmp_path: Path, bound: list[int]
) -> None:
    plan = partial(mqtt.broker_plan, tmp_path, host="127.0.0.1", port=1883)
    with pytest.raises(SetupError, match="--port and --mqtt-port are both 1883"):
        plan(wanted=True, taken={"--port": 1883})
    os.environ.pop("GRIDTALK_BROKER")
    os.environ["GRIDTALK_MQTT_URL"] = "mqtts://grid:secret@broker"
    assert plan(wanted=True, taken={"--port": 1883}).kind is Kind.OUTSIDE
    assert plan(wanted=False, taken={"--port": 1883}).kind is Kind.NONE


def test_two_options_with_one_port() -> None:
    ports_differ({"--port": 8000, "--iottalk-v1-port": 9999, "--mqtt-port": 1883})
    with pytest.raises(SetupError, match="--port and --iottalk-v2-port are both 8000"):
        ports_differ({"--port": 8000, "--iottalk-v1-port": 9999, "--iottalk-v2-port": 8000})


@pytest.mark.enable_socket
def test_amqtt_says_what_it_is_for(
    tmp_path: Path, bound: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds, "mosquitto_binary", lambda: "")
    plan = mqtt.broker_plan(tmp_path, host="127.0.0.1", port=1883, wanted=True)
    assert plan.kind is Kind.AMQTT
    assert plan.private is None
    assert "for the demo and for development only" in plan.told
    assert told()["GRIDTALK_BROKER"] == "amqtt"
    assert not (tmp_path / "broker").exists()


def test_an_outside_broker(tmp_path: Path) -> None:
    os.environ["GRIDTALK_MQTT_URL"] = "mqtts://grid:secret@broker"
    plan = mqtt.broker_plan(tmp_path, host="127.0.0.1", port=1883, wanted=True)
    assert plan.kind is Kind.OUTSIDE
    assert plan.told == "devices use the broker at broker:8883"


def test_without_devices(tmp_path: Path) -> None:
    os.environ["GRIDTALK_MQTT_URL"] = "mqtts://grid:secret@broker"
    plan = mqtt.broker_plan(tmp_path, host="127.0.0.1", port=1883, wanted=False)
    assert (plan.kind, plan.has_devices) == (Kind.NONE, False)
    assert told()["GRIDTALK_BROKER"] == "none"


@pytest.mark.enable_socket
def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path, bound: list[int]) -> None:
    bound.append(1883)
    with pytest.raises(SetupError) as caught:
        mqtt.broker_plan(tmp_path, host="127.0.0.1", port=1883, wanted=True)
    for part in ("1883", "--mqtt-port", "GRIDTALK_MQTT_URL", "--no-devices"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_url_is_said_before_anything_starts(tmp_path: Path) -> None:
    os.environ["GRIDTALK_MQTT_URL"] = "http://broker"
    with pytest.raises(SetupError, match="GRIDTALK_MQTT_URL"):
        mqtt.broker_plan(tmp_path, host="127.0.0.1", port=1883, wanted=True)
