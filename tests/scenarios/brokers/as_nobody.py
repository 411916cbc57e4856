"""Run by ``test_plain_user.py`` as an ordinary user: the private broker, from start to end."""

import json
import subprocess
import sys
import time
from pathlib import Path

from gridtalk.iottalk.broker import proof
from gridtalk.iottalk.broker.passwords import password_line
from gridtalk.iottalk.broker.private import PasswordFile, PrivateBroker, reload


def main(folder: Path, port: int, server_port: int) -> None:
    """Start it, let Ada in, ask for her and for a stranger, end it; what was answered."""
    broker = PrivateBroker(
        folder, host="127.0.0.1", port=port, server_port=server_port, largest_payload_bytes=16_384
    )
    broker.prepare(server_user="gridtalk")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(broker.command(), cwd=broker.folder, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while not broker.is_ready(process.pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        passwords = PasswordFile(broker.folder)
        with passwords.held():
            passwords.change({"ada": password_line(user="ada", password="x")})
        reloaded = reload(broker.folder / "mosquitto.pid")
        time.sleep(0.5)
        codes = [
            proof.broker_answer(
                host="127.0.0.1", port=port, tls=False, username="ada", password=password
            )
            for password in ("x", "y")
        ]
    finally:
        process.terminate()
        process.wait(10)
    said = {"user": broker.user(), "reloaded": reloaded, "codes": codes}
    print(json.dumps(said | {"log": (folder / "log").read_text()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
