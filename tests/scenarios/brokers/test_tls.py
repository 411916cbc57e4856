"""A Mosquitto with TLS on every port: Gridtalk and a device of the workshop go through it."""

import contextlib
import ipaddress
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.conftest import Gridtalk, clean_environment, port_free, wait_until
from tests.scenarios.device_server import generated
from tests.scenarios.test_generated_devices import compiled

from gridtalk.iottalk.broker.kinds import mosquitto_binary

pytestmark = pytest.mark.scenario


def certificate_make(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine that only who is told of it trusts, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a broker of the tests")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "broker.pem", folder / "broker.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    paths[1].chmod(0o644)  # Mosquitto reads it as a user of its own
    return paths


def is_online(server: Gridtalk) -> bool:
    with server.database() as database:
        return bool(database.execute("SELECT 1 FROM registered_devices WHERE online").fetchone())


def test_devices_and_server_enter_by_tls(
    gridtalk_new: Callable[[], Gridtalk], tmp_path: Path
) -> None:
    if not mosquitto_binary():
        pytest.skip("Mosquitto is not installed")
    server = gridtalk_new()
    certificate, key = certificate_make(server.folder)
    out, port = server.folder / "mqtt", port_free()
    device_folder = tmp_path / "device"
    generated("dummy-cpp", device_folder)
    compiled(device_folder)
    arguments = [
        "broker-config", "--out", str(out), "--host", "127.0.0.1", "--port", "0",
        "--tls-cert", str(certificate), "--tls-key", str(key), "--tls-port", str(port),
        "--server-port", str(port_free()), "--server-tls", "--pid-file", str(out / "pid"),
    ]  # fmt: skip
    server.up("--no-devices")
    done = server.command(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (url,) = [word for word in done.stdout.split() if word.startswith("GRIDTALK_MQTT_URL=")]
    url = url.partition("=")[2]
    assert url.startswith("mqtts://")
    assert server.stop() == 0
    out.chmod(0o777)  # Mosquitto gives up root before it writes its process id
    trusting = {"SSL_CERT_FILE": str(certificate)}
    with contextlib.ExitStack() as started:

        def start(command: list[str], **options: object) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, **options
            )
            started.callback(process.wait, 20)
            started.callback(os.killpg, process.pid, signal.SIGTERM)
            return process

        log = started.enter_context((server.folder / "mqtt.log").open("wb"))
        start([mosquitto_binary(), "-c", str(out / "mosquitto.conf")])
        public = f"mqtts://127.0.0.1:{port}"
        server.up(GRIDTALK_MQTT_URL=url, GRIDTALK_MQTT_PUBLIC=public, **trusting)
        started.callback(server.end)
        start(
            [sys.executable, "-m", "gridtalk.cli", "--data-dir", str(server.data_dir), *arguments,
             "--watch"],
            cwd=server.folder, env=clean_environment(GRIDTALK_MQTT_URL=url, **trusting),
        )  # fmt: skip
        wait_until(
            lambda: b"watching" in (server.folder / "mqtt.log").read_bytes(), what="the watch",
            seconds=30,
        )  # fmt: skip
        place = {"IOTTALK_URL": f"http://127.0.0.1:{server.port}/iottalk/v2"}
        start(["./device"], cwd=device_folder, env=os.environ | place | trusting)
        try:
            wait_until(lambda: is_online(server), what="the device to be online", seconds=40)
        finally:
            print((server.folder / "mqtt.log").read_text(errors="replace"), server.said())


def test_what_tls_needs(gridtalk_new: Callable[[], Gridtalk]) -> None:
    server = gridtalk_new()
    done = server.command("broker-config", "--out", str(server.folder / "out"), "--server-tls")
    assert done.returncode == 2
    assert "--server-tls needs --tls-cert and --tls-key" in done.stderr
