"""Which broker, where it is, and what is written for it; the real ones are in tests/scenarios."""

import json
from pathlib import Path
from typing import Any

import pytest
from amqtt.contexts import Action
from django.test import Client

from gridtalk.core.errors import PeerError, SetupError
from gridtalk.iottalk import credentials, topics
from gridtalk.iottalk.broker import address, kinds, mosquitto
from gridtalk.iottalk.broker.admission import credentials_admit, password_lines
from gridtalk.iottalk.broker.embedded import Doorman
from gridtalk.iottalk.broker.http_auth import broker_auth
from gridtalk.iottalk.broker.kinds import Kind, broker_kind
from gridtalk.iottalk.broker.passwords import PasswordFile, password_line
from gridtalk.iottalk.broker.private import reload
from gridtalk.iottalk.broker.proof import connect_packet
from gridtalk.iottalk.models import RegisteredDevice

URL = "mqtt://grid:pw@broker.example.org"
ADA, EVE = "d" + "a" * 20, "d" + "e" * 20


@pytest.mark.parametrize(
    ("asked", "url", "installed", "expected"),
    [
        pytest.param("", "", True, Kind.MOSQUITTO, id="installed"),
        pytest.param("auto", "", False, Kind.AMQTT, id="not installed"),
        pytest.param("auto", URL, True, Kind.OUTSIDE, id="a URL wins over what is installed"),
        pytest.param("amqtt", "", True, Kind.AMQTT, id="amqtt forced"),
        pytest.param("mosquitto", "", True, Kind.MOSQUITTO, id="Mosquitto forced"),
        pytest.param("none", URL, True, Kind.NONE, id="none wins over all"),
    ],
)
def test_which_broker(
    asked: str, url: str, installed: bool, expected: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds, "mosquitto_binary", lambda: "/x/mosquitto" if installed else "")
    assert broker_kind(asked=asked, url=url) is expected


@pytest.mark.parametrize(
    ("asked", "url", "says"),
    [
        pytest.param("emqx", "", "must be auto", id="unknown"),
        pytest.param("mosquitto", "", "apt-get install mosquitto", id="not installed"),
        pytest.param("amqtt", URL, "leave one of them empty", id="contradiction"),
    ],
)
def test_which_broker_cannot_be(
    asked: str, url: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds, "mosquitto_binary", lambda: "")
    with pytest.raises(SetupError, match=says):
        broker_kind(asked=asked, url=url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mqtt://grid:pw@broker", ("broker", 1883, False, "grid", "pw")),
        ("mqtts://broker.example.org", ("broker.example.org", 8883, True, "", "")),
        ("mqtt://a%40b:p%2Fw@[::1]:1999", ("::1", 1999, False, "a@b", "p/w")),
    ],
)
def test_the_url_of_an_outside_broker(url: str, expected: tuple[Any, ...], settings: Any) -> None:
    settings.GRIDTALK_BROKER, settings.GRIDTALK_MQTT_URL = "auto", url
    assert tuple(address.broker_url()) == expected


@pytest.mark.parametrize("url", ["http://broker", "mqtt://", "broker:1883", "mqtt://b:x", "mqtt"])
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(SetupError, match="GRIDTALK_MQTT_URL"):
        address.read_url(url)


def test_the_server_enters_its_own_broker_by_its_own_port(settings: Any) -> None:
    settings.GRIDTALK_BROKER, settings.GRIDTALK_MQTT_URL = "amqtt", ""
    settings.GRIDTALK_MQTT_PORT, settings.GRIDTALK_MQTT_SERVER_PORT = 1883, 1884
    url = address.broker_url()
    assert url[:4] == ("127.0.0.1", 1884, False, "gridtalk")
    assert url.password == credentials.server_password()
    settings.GRIDTALK_MQTT_SERVER_PORT = 0
    assert address.broker_url().port == 1883
    settings.GRIDTALK_BROKER = "none"
    with pytest.raises(SetupError, match="without an MQTT broker"):
        address.broker_url()


@pytest.mark.parametrize(
    ("public", "url", "host", "expected"),
    [
        pytest.param("", "", "grid.local:8000", ("grid.local", 1883, False), id="as it reached us"),
        pytest.param("", "", "[fe80::1]:8000", ("fe80::1", 1883, False), id="IPv6"),
        pytest.param("", "", "10.0.0.5", ("10.0.0.5", 1883, False), id="without a port"),
        pytest.param("", URL, "x", ("broker.example.org", 1883, False), id="the outside broker"),
        pytest.param("", "mqtts://b:99", "x", ("b", 99, True), id="the outside broker, TLS"),
        pytest.param("", "mqtt://127.0.0.1:99", "x:1", ("x", 99, False), id="beside us"),
        pytest.param("mq.example.org", URL, "x", ("mq.example.org", 1883, False), id="a host"),
        pytest.param("mq:77", "", "x", ("mq", 77, False), id="host and port"),
        pytest.param(":77", "", "x:8000", ("x", 77, False), id="a port"),
        pytest.param("mqtts://mq", "", "x", ("mq", 8883, True), id="TLS"),
        pytest.param("mqtts://mq:9", "", "x", ("mq", 9, True), id="TLS and port"),
    ],
)
def test_where_devices_find_it(
    public: str, url: str, host: str, expected: tuple[str, int, bool], settings: Any
) -> None:
    settings.GRIDTALK_BROKER = "auto"
    settings.GRIDTALK_MQTT_PUBLIC, settings.GRIDTALK_MQTT_URL = public, url
    settings.GRIDTALK_MQTT_PORT = 1883
    assert address.public_address(request_host=host) == expected


@pytest.mark.parametrize("public", ["http://mq:77", "mq:port", "[mq"])
def test_a_public_address_that_is_none(public: str, settings: Any) -> None:
    settings.GRIDTALK_MQTT_PUBLIC = public
    with pytest.raises(SetupError, match="GRIDTALK_MQTT_PUBLIC"):
        address.public_address(request_host="x")


def test_the_configuration_has_two_listeners_and_no_way_around_the_passwords() -> None:
    text = mosquitto.configuration(
        [
            mosquitto.Listener(8883, "0.0.0.0", certificate="/c.pem", key="/k.pem"),
            mosquitto.Listener(1884, "127.0.0.1", for_devices=False),
        ],
        largest_payload_bytes=16_384,
        folder="/etc/gridtalk/",
    )
    general, devices, server = text.split("\nlistener ")
    lines = general.splitlines()
    for line in (
        "allow_anonymous false", "password_file /etc/gridtalk/passwd", "acl_file /etc/gridtalk/acl",
        "max_packet_size 17408", "per_listener_settings false", "persistence false",
    ):  # fmt: skip
        assert line in lines
    assert devices.split("\n") == [
        "8883 0.0.0.0", "use_username_as_clientid true", "certfile /c.pem", "keyfile /k.pem", "",
    ]  # fmt: skip
    assert server.split() == ["1884", "127.0.0.1"]


def test_the_rules_are_those_of_the_topics() -> None:
    rules = mosquitto.acl(server_user="gridtalk").splitlines()
    assert [line for line in rules if line.startswith("pattern")] == [
        "pattern write gt/+/%u/ci",
        "pattern write gt/+/%u/i/+",
        "pattern read gt/+/%u/co",
        "pattern read gt/+/%u/o/+",
    ]
    assert rules[1:3] == ["user gridtalk", "topic readwrite gt/#"]


def test_the_group_of_the_data_is_a_secret_of_this_installation(settings: Any) -> None:
    before = address.data_subscription()
    share, group, topic = before.split("/", 2)
    assert (share, topic) == ("$share", "gt/+/+/i/+")
    assert len(group) == 32
    settings.SECRET_KEY = "another"
    assert address.data_subscription() != before


class TestPasswordFile:
    def test_only_what_differs_is_written(self, tmp_path: Path) -> None:
        passwords = PasswordFile(tmp_path)
        assert passwords.change({"ada": password_line(user="ada", password="x")})
        assert not passwords.change({"ada": password_line(user="ada", password="x")})
        assert passwords.change({"ada": password_line(user="ada", password="y"), "eve": "eve:1"})
        assert passwords.change({"eve": None, "nobody": None})
        assert list(passwords.read()) == ["ada"]
        assert passwords.path.stat().st_mode & 0o777 == 0o600
        assert [path.name for path in tmp_path.iterdir()] == ["passwd"]

    def test_an_empty_file_is_made_too(self, tmp_path: Path) -> None:
        assert PasswordFile(tmp_path).replace({})
        assert (tmp_path / "passwd").read_text() == ""

    def test_a_line_tells_nothing_of_the_password(self) -> None:
        line = password_line(user="ada", password="secret")
        assert line.startswith("ada:$7$1$")
        assert "secret" not in line
        assert line == password_line(user="ada", password="secret")
        assert line.split("$")[3] != password_line(user="eve", password="secret").split("$")[3]


@pytest.mark.parametrize("said", ["", "x", "0", "99999999", "1"])
def test_nobody_elses_process_is_signalled(said: str, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text(said)
    assert not reload(path)
    assert not reload(tmp_path / "none")


def test_a_connect_packet() -> None:
    packet = connect_packet(client_id="c", username="u", password="p" * 200)
    assert packet[:3] == b"\x10\xda\x01", "218 bytes follow, in two digits of seven bits"
    assert packet[3:13] == b"\x00\x04MQTT\x04\xc2\x00\x0a"
    assert packet[13:21] == b"\x00\x01c\x00\x01u\x00\xc8"
    assert packet[21:] == b"p" * 200


@pytest.mark.parametrize(
    ("topic", "publish", "receive"),
    [
        (topics.control_in(3, ADA), True, False),
        (topics.idf(3, ADA, 0), True, False),
        (topics.control_out(3, ADA), False, True),
        (topics.odf(3, ADA, 1), False, True),
        (topics.control_in(3, EVE), False, False),
        (topics.odf(3, EVE, 1), False, False),
        (topics.control_in(99, ADA), False, False),
        (topics.idf(3, ADA, "+"), False, False),
        (topics.odf("+", ADA, 1), False, False),
        ("gt/#", False, False),
        ("#", False, False),
        ("", False, False),
        (f"$share/x/gt/3/{ADA}/o/1", False, False),
    ],
)
def test_what_amqtt_allows_a_device(topic: str, publish: bool, receive: bool) -> None:
    assert Doorman.allows(ADA, topic, Action.PUBLISH) is publish
    assert Doorman.allows(ADA, topic, Action.RECEIVE) is receive
    assert Doorman.allows(ADA, topic, Action.SUBSCRIBE) is receive
    assert Doorman.allows(credentials.SERVER_USER, topic, Action.PUBLISH)


def register(handle: str, **more: Any) -> RegisteredDevice:
    """A registered device."""
    fields = {"protocol": "v2", "address": handle, "shard": 3, "name": handle} | more
    return RegisteredDevice.objects.create(handle=handle, **fields)


@pytest.mark.django_db
def test_without_a_broker_nobody_is_let_in(settings: Any) -> None:
    settings.GRIDTALK_BROKER = "none"
    with pytest.raises(PeerError, match="v1 devices alone"):
        credentials_admit(handles=[register(ADA).handle])
    settings.GRIDTALK_BROKER, settings.GRIDTALK_MQTT_URL = "amqtt", ""
    credentials_admit(handles=[ADA])  # it looks for itself


@pytest.mark.django_db
def test_the_lines_of_all_who_may_enter() -> None:
    kept = register(ADA, key_epoch=2)
    register("dv1", protocol="v1")
    register("dgone", deregistered_at=kept.created_at)
    assert password_lines() == {
        "gridtalk": password_line(user="gridtalk", password=credentials.server_password()),
        ADA: password_line(user=ADA, password=credentials.device_password(handle=ADA, key_epoch=2)),
    }


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "allowed", "is_superuser"),
    [
        pytest.param({"username": ADA, "password": "right"}, True, False, id="a device"),
        pytest.param({"username": "grid", "password": "pw"}, True, True, id="our own client"),
        pytest.param({"username": ADA, "password": "x"}, False, False, id="wrong password"),
        pytest.param({"username": "grid", "password": "x"}, False, False, id="wrong, ours"),
        pytest.param({"username": EVE, "password": "right"}, False, False, id="unknown"),
        pytest.param({"username": ADA}, False, False, id="no password"),
        pytest.param({"username": ADA, "password": None}, False, False, id="null"),
        pytest.param({"username": [ADA], "password": "right"}, False, False, id="a list"),
        pytest.param({"username": "\ud800", "password": "x"}, False, False, id="half a character"),
        pytest.param({"username": "a\0", "password": "x"}, False, False, id="a zero byte"),
        pytest.param({"username": ADA, "password": "\ud800"}, False, False, id="half, password"),
        pytest.param([], False, False, id="no object"),
        pytest.param("x" * 5000, False, False, id="too long"),
        pytest.param(b"{", False, False, id="no JSON"),
        pytest.param(b"[" * 4000, False, False, id="deep"),
        pytest.param(b"\xff", False, False, id="no UTF-8"),
    ],
)
def test_an_outside_broker_asks(
    body: Any, allowed: bool, is_superuser: bool, rf: Any, settings: Any
) -> None:
    settings.GRIDTALK_MQTT_URL = "mqtt://grid:pw@broker"
    register(ADA)
    register(EVE, deregistered_at=RegisteredDevice.objects.get().created_at)
    if isinstance(body, dict) and body.get("password") == "right":
        body["password"] = credentials.device_password(handle=ADA, key_epoch=0)
    data = body if isinstance(body, bytes) else json.dumps(body)
    answer = broker_auth(rf.post("/x", data, content_type="application/json"))
    assert answer.status_code == 200
    assert json.loads(answer.content) == {
        "result": "allow" if allowed else "deny",
        "is_superuser": is_superuser,
    }


def test_without_an_outside_broker_nobody_is_the_server(rf: Any, settings: Any, db: None) -> None:
    settings.GRIDTALK_MQTT_URL = ""
    body = {"username": "gridtalk", "password": credentials.server_password()}
    answer = broker_auth(rf.post("/x", json.dumps(body), content_type="application/json"))
    assert json.loads(answer.content)["result"] == "deny"


def test_only_post(client: Client, rf: Any) -> None:
    assert broker_auth(rf.get("/x")).status_code == 405
