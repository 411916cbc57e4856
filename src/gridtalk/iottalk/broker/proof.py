"""Asking a broker whether it lets a user in: one CONNECT, one CONNACK (MQTT 3.1.1, 3.1 and 3.2)."""

import secrets
import socket
import ssl
import struct
from contextlib import suppress

from gridtalk.core.errors import PeerError

ACCEPTED = 0
#: Return codes 4 and 5: bad user name or password, not authorised.
REFUSED = frozenset({4, 5})
_DISCONNECT = b"\xe0\x00"


def connect_packet(
    *, client_id: str, username: str, password: str, keep_alive_s: int = 10
) -> bytes:
    """A CONNECT packet with a clean session and no will."""
    flags = 0b1100_0010
    body = _text("MQTT") + bytes([4, flags]) + struct.pack("!H", keep_alive_s)
    body += _text(client_id) + _text(username) + _text(password)
    return b"\x10" + _length(len(body)) + body


def broker_answer(
    *, host: str, port: int, tls: bool, username: str, password: str, timeout_s: float = 2.0
) -> int:
    """The CONNACK's return code for this user: :data:`ACCEPTED`, one of :data:`REFUSED`, …

    ``OSError`` where nobody answers in time; :class:`PeerError` where it is no MQTT broker.
    """
    packet = connect_packet(
        client_id=f"gridtalk-{secrets.token_hex(8)}", username=username, password=password
    )
    with socket.create_connection((host, port), timeout_s) as plain:
        plain.settimeout(timeout_s)
        if not tls:
            return _asked(plain, packet)
        with ssl.create_default_context().wrap_socket(plain, server_hostname=host) as secured:
            return _asked(secured, packet)


def _asked(connection: socket.socket, packet: bytes) -> int:
    connection.sendall(packet)
    answer = b""
    while len(answer) < 4:
        part = connection.recv(4 - len(answer))
        if not part:
            raise ConnectionResetError("the broker closed the connection without an answer")
        answer += part
    if answer[:2] != b"\x20\x02":
        raise PeerError("what answers at the MQTT broker's address does not speak MQTT 3.1.1")
    # The answer is known; a broker that has closed already has nothing more to hear.
    with suppress(OSError):
        connection.sendall(_DISCONNECT)
    return answer[3]


def _text(text: str) -> bytes:
    coded = text.encode()
    return struct.pack("!H", len(coded)) + coded


def _length(number: int) -> bytes:
    """The remaining length, seven bits a byte, the lowest first (MQTT 3.1.1, 2.2.3)."""
    coded = b""
    while True:
        number, digit = divmod(number, 128)
        coded += bytes([digit | (128 if number else 0)])
        if not number:
            return coded
