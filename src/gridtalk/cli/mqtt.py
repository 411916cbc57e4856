"""The MQTT broker as ``gridtalk up`` starts it: which one, on which ports, and as whom."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from gridtalk.cli import environment, launch
from gridtalk.cli.supervisor import Child
from gridtalk.core.errors import SetupError
from gridtalk.iottalk.broker.kinds import Kind, broker_kind
from gridtalk.iottalk.broker.private import LOOPBACK, PrivateBroker

DEFAULT_PORT = 1883
#: As settings.DEVICE_MESSAGE_LARGEST_BYTES; ``up`` runs without Django.
LARGEST_PAYLOAD_BYTES = 16 * 1024
#: As iottalk.credentials.SERVER_USER.
SERVER_USER = "gridtalk"
#: The server's own port of the private broker is looked for right above the devices' one: below
#: the range from which the system gives ports to outgoing connections.
_PORTS_ABOVE = 50


@dataclass(frozen=True)
class BrokerPlan:
    """Which broker is used, the private one where it is, and a line about it for the operator."""

    kind: Kind
    private: PrivateBroker | None = None
    told: str = ""

    @property
    def has_devices(self) -> bool:
        """Whether there is a device server (``gridtalk devices``) to start."""
        return self.kind is not Kind.NONE


def broker_plan(
    folder: Path, *, host: str, port: int, wanted: bool, taken: Mapping[str, int] | None = None
) -> BrokerPlan:
    """Choose the broker, check its port, write its files, and tell the children by environment.

    ``taken`` are ports that are ours already, by option, where nobody listens yet.
    :class:`SetupError` where the settings contradict each other or the port is taken.
    """
    url = os.environ.get("GRIDTALK_MQTT_URL", "").strip()
    asked = os.environ.get("GRIDTALK_BROKER", "") if wanted else "none"
    kind = broker_kind(asked=asked, url=url)
    if kind is Kind.OUTSIDE:
        from gridtalk.iottalk.broker.address import read_url

        outside = read_url(url)
        return BrokerPlan(kind, told=f"devices use the broker at {outside.host}:{outside.port}")
    os.environ["GRIDTALK_BROKER"] = str(kind)
    if kind is Kind.NONE:
        return BrokerPlan(kind, told="without MQTT: no IoTtalk v2 devices")
    _port_check(host, port, taken or {})
    os.environ["GRIDTALK_MQTT_HOST"] = host
    os.environ["GRIDTALK_MQTT_PORT"] = str(port)
    if kind is Kind.AMQTT:
        os.environ["GRIDTALK_MQTT_SERVER_PORT"] = "0"
        return BrokerPlan(
            kind,
            told=f"Mosquitto is not in use: devices talk to amqtt at {host}:{port}, which loses "
            "messages now and then. It is for the demo and for development only; on Debian: "
            "apt-get install mosquitto",
        )
    server_port = _port_above(port, (taken or {}).values())
    os.environ["GRIDTALK_MQTT_SERVER_PORT"] = str(server_port)
    broker = PrivateBroker(
        folder,
        host=host,
        port=port,
        server_port=server_port,
        largest_payload_bytes=LARGEST_PAYLOAD_BYTES,
    )
    broker.prepare(server_user=SERVER_USER)
    return BrokerPlan(kind, broker, f"devices talk to Mosquitto at {host}:{port}")


def broker_child(broker: PrivateBroker, folder: Path) -> Child:
    """Mosquitto as a child of the supervisor: never as root, and gone when we are."""
    uid, gid = broker.user()
    through = [sys.executable, "-I", "-S", launch.__file__, uid, gid, os.getpid()]
    command = [*through, int(signal.SIGTERM), *broker.command()]

    async def is_ready() -> bool:
        return child.process is not None and await asyncio.to_thread(
            broker.is_ready, child.process.pid
        )

    child = Child(
        "mqtt",
        [str(word) for word in command],
        {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C",
            environment.SUPERVISED: str(folder),
        },
        is_ready=is_ready,
        before_start=broker.forget,
        folder=str(broker.folder),
    )
    return child


def _port_check(host: str, port: int, taken: Mapping[str, int]) -> None:
    from gridtalk.cli.up import port_check, ports_differ

    ports_differ({**taken, "--mqtt-port": port})
    try:
        port_check(host, port, option="--mqtt-port", host_option="--mqtt-host")
    except SetupError as error:
        raise SetupError(
            f"the MQTT broker cannot start: {error} (is it the Mosquitto of the system? "
            "GRIDTALK_MQTT_URL uses a broker that runs already; --no-devices goes without)"
        ) from error


def _port_above(port: int, taken: Collection[int]) -> int:
    """A free loopback port, close above that one if there is one."""
    for candidate in (*range(port + 1, min(port + 1 + _PORTS_ABOVE, 65_536)), 0):
        if candidate in taken:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, candidate))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SetupError("no port is free on 127.0.0.1")
