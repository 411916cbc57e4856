"""The text of Mosquitto's files: configuration and access rules. Pure; 2.0 and newer.

Directives: mosquitto.conf(5). Two listeners. On the devices' one the user name becomes the client
id, so that no device can take another's session or throw it out; the server's processes, which
share a user name, enter by the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gridtalk.iottalk import topics

CONFIGURATION_FILE = "mosquitto.conf"
ACL_FILE = "acl"
PASSWORD_FILE = "passwd"  # noqa: S105  a file's name
PID_FILE = "mosquitto.pid"

#: What stands around a payload in a packet: topic, lengths, packet id.
_PACKET_OVERHEAD_BYTES = 1024
#: Messages for one client that wait above those in flight: what our own intake may lag behind.
_QUEUED_BYTES = 16 * 2**20
#: Of all that it holds; clients that want more are refused instead of the machine running out.
_MEMORY_BYTES = 512 * 2**20


@dataclass(frozen=True)
class Listener:
    """A port of the broker. ``certificate``, ``key`` are paths; TLS where they are given."""

    port: int
    host: str = ""
    for_devices: bool = True
    certificate: str = ""
    key: str = ""


def configuration(
    listeners: Sequence[Listener],
    *,
    largest_payload_bytes: int,
    folder: str = "",
    pid_file: str = "",
    quiet: bool = True,
) -> str:
    """The text of mosquitto.conf.

    ``folder`` of the other files, with a slash at its end; empty: they are found in the folder in
    which Mosquitto is started. ``quiet``: warnings and errors only, on standard error.
    """
    lines = [
        "# Written by Gridtalk; what is changed here is lost when it is written again.",
        "per_listener_settings false",
        "allow_anonymous false",
        f"password_file {folder}{PASSWORD_FILE}",
        f"acl_file {folder}{ACL_FILE}",
        "# Devices say again what was not acknowledged: nothing here is worth a disk.",
        "persistence false",
        "persistent_client_expiration 1h",
        f"max_packet_size {largest_payload_bytes + _PACKET_OVERHEAD_BYTES}",
        "max_inflight_messages 100",
        "max_queued_messages 0",
        f"max_queued_bytes {_QUEUED_BYTES}",
        f"memory_limit {_MEMORY_BYTES}",
        "set_tcp_nodelay true",
        "sys_interval 5",
    ]
    if pid_file:
        lines.append(f"pid_file {pid_file}")
    if quiet:
        lines += [
            "connection_messages false",
            "log_dest stderr",
            "log_timestamp false",
            "log_type error",
            "log_type warning",
        ]
    for listener in listeners:
        lines += ["", f"listener {listener.port} {listener.host}".rstrip()]
        if listener.for_devices:
            lines.append("use_username_as_clientid true")
        if listener.certificate:
            lines += [f"certfile {listener.certificate}", f"keyfile {listener.key}"]
    return "\n".join(lines) + "\n"


def acl(*, server_user: str) -> str:
    """The text of the access rules: what :mod:`gridtalk.iottalk.topics` says of a device.

    ``%u`` is the user name. A publication that they refuse is acknowledged and dropped; a
    subscription is refused (Mosquitto 2.0).
    """
    return "\n".join(
        [
            "# Written by Gridtalk; what is changed here is lost when it is written again.",
            f"user {server_user}",
            f"topic readwrite {topics.ROOT}/#",
            "topic read $SYS/#",
            "",
            "# Every device: its own topics, by its user name.",
            f"pattern write {topics.control_in('+', '%u')}",
            f"pattern write {topics.idf('+', '%u', '+')}",
            f"pattern read {topics.control_out('+', '%u')}",
            f"pattern read {topics.odf('+', '%u', '+')}",
            "",
        ]
    )
