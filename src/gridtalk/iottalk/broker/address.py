"""Where the broker is: for the server's own client, and for devices."""

from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from django.conf import settings

from gridtalk.core import secrets
from gridtalk.core.errors import SetupError
from gridtalk.iottalk import credentials, topics
from gridtalk.iottalk.broker.kinds import Kind, broker_kind

PLAIN_PORT = 1883
TLS_PORT = 8883
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_EXAMPLE = "for example mqtt://gridtalk:password@broker.example.org:1883"


class BrokerUrl(NamedTuple):
    """How the server's own MQTT client enters the broker."""

    host: str
    port: int
    tls: bool
    username: str
    password: str


def kind() -> Kind:
    """Which broker is used; :class:`SetupError` where the settings contradict each other."""
    return broker_kind(asked=settings.GRIDTALK_BROKER, url=settings.GRIDTALK_MQTT_URL)


def is_embedded() -> bool:
    """Whether the broker is amqtt, in the process of ``gridtalk devices``."""
    return kind() is Kind.AMQTT


def broker_url() -> BrokerUrl:
    """The broker for our own client; :class:`SetupError` where there is none or the URL is wrong.

    Of the private Mosquitto it is the server's own port, on loopback.
    """
    match kind():
        case Kind.NONE:
            raise SetupError(
                "this server runs without an MQTT broker (GRIDTALK_BROKER=none, or --no-devices)"
            )
        case Kind.OUTSIDE:
            return read_url(settings.GRIDTALK_MQTT_URL)
    return BrokerUrl(
        host="127.0.0.1",
        port=settings.GRIDTALK_MQTT_SERVER_PORT or settings.GRIDTALK_MQTT_PORT,
        tls=False,
        username=credentials.SERVER_USER,
        password=credentials.server_password(),
    )


def public_address(*, request_host: str) -> tuple[str, int, bool]:
    """Host, port and TLS of the broker as a device reaches it.

    GRIDTALK_MQTT_PUBLIC, else that of GRIDTALK_MQTT_URL unless it is a loopback address, else the
    host by which the device reached us (``request_host``, with or without a port).
    """
    asked_host = _host_of(request_host)
    if settings.GRIDTALK_MQTT_PUBLIC:
        return _public(settings.GRIDTALK_MQTT_PUBLIC, asked_host)
    if kind() is Kind.OUTSIDE:
        url = read_url(settings.GRIDTALK_MQTT_URL)
        return asked_host if url.host in _LOOPBACK else url.host, url.port, url.tls
    return asked_host, settings.GRIDTALK_MQTT_PORT, False


def read_url(text: str) -> BrokerUrl:
    """The parts of GRIDTALK_MQTT_URL; :class:`SetupError` where it is none."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise SetupError(f"GRIDTALK_MQTT_URL cannot be read ({error}); {_EXAMPLE}") from error
    if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname:
        raise SetupError(f"GRIDTALK_MQTT_URL must begin with mqtt:// or mqtts://; {_EXAMPLE}")
    tls = parts.scheme == "mqtts"
    return BrokerUrl(
        host=parts.hostname,
        port=port or (TLS_PORT if tls else PLAIN_PORT),
        tls=tls,
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def _public(text: str, asked_host: str) -> tuple[str, int, bool]:
    """``host``, ``host:port``, ``:port``, or one of them after ``mqtt://`` or ``mqtts://``."""
    scheme, found, rest = text.rpartition("://")
    try:
        parts = urlsplit(f"//{rest}")
        port, host = parts.port, parts.hostname or ""
    except ValueError as error:
        raise SetupError(f"GRIDTALK_MQTT_PUBLIC is “{text}”: {error}") from error
    if found and scheme not in {"mqtt", "mqtts"}:
        raise SetupError(
            f"GRIDTALK_MQTT_PUBLIC is “{text}”; it must be host:port, or mqtts://host:port for TLS"
        )
    tls = scheme == "mqtts"
    default = TLS_PORT if tls else settings.GRIDTALK_MQTT_PORT
    return host or asked_host, port or default, tls


def _host_of(request_host: str) -> str:
    return urlsplit(f"//{request_host}").hostname or "127.0.0.1"


def data_subscription() -> str:
    """What every process of the device server subscribes to for the data of all devices.

    A shared subscription whose group is a secret: Mosquitto lets everybody join a group (2.0 does
    not check subscriptions), gives each message to one member, and drops it where that one may not
    read it. A device that knew the group would swallow what others say.
    """
    group = secrets.signature("mqtt-group", topics.ROOT)
    return f"$share/{group}/{topics.idf('+', '+', '+')}"
