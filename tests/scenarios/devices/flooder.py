"""A hostile device: enters the broker, and says the same without end; comes back when thrown out.

``python flooder.py PORT USER PASSWORD TOPIC``, standard library alone. Prints a line each time that
it got in, and each second of refusals.
"""

import itertools
import socket
import struct
import sys
import time


def _text(text: str) -> bytes:
    return struct.pack("!H", len(text)) + text.encode()


def _packet(first: int, body: bytes) -> bytes:
    assert len(body) < 2**14
    return bytes([first, len(body) % 128 | 128, len(body) // 128]) + body


def flood(port: int, user: str, password: str, topic: str) -> bool:
    """Enter and flood until the connection ends; False where it is not let in."""
    entering = _packet(
        0x10, _text("MQTT") + b"\x04\xc2\0\0" + b"".join(map(_text, ("x", user, password)))
    )
    burst = _packet(0x30, _text(topic) + b"[1]") * 5_000
    with socket.create_connection(("127.0.0.1", port), 5) as plain:
        plain.sendall(entering)
        if plain.recv(4) != b"\x20\x02\0\0":
            return False
        print("in", flush=True)
        while True:
            plain.sendall(burst)


def main() -> None:
    """Never ends by itself."""
    port, *words = sys.argv[1:]
    said = 0.0
    for tries in itertools.count(1):
        try:
            let_in = flood(int(port), *words)
        except OSError:
            continue
        if not let_in and time.monotonic() > said + 1:
            said = time.monotonic()
            print(f"refused, try {tries}", flush=True)


if __name__ == "__main__":
    main()
