"""``gridtalk broker-config``: the files of a Mosquitto of the operator's own."""

import os
import signal
import threading
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import click

from gridtalk.cli import environment
from gridtalk.cli.options import data_dir, data_dir_option
from gridtalk.core.errors import SetupError
from gridtalk.iottalk.broker.mosquitto import Listener

#: The net below NOTIFY.
LOOK_EVERY_SECONDS = 5.0
#: A SIGHUP that reaches Mosquitto while it reloads is lost: each is sent once more.
AGAIN_SECONDS = 0.5
_PORT = click.IntRange(0, 65535)


@click.command(name="broker-config")
@click.option(
    "--for", "broker", type=click.Choice(["mosquitto"]), default="mosquitto", show_default=True,
    help="Which broker (EMQX: docs/howto/use-a-broker).",
)  # fmt: skip
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False),
    help="Folder for mosquitto.conf, acl and passwd; made where it is missing.",
)  # fmt: skip
@click.option("--host", default="", help="Address for devices [default: all].")
@click.option("--port", default=1883, show_default=True, type=_PORT,
              help="Port for devices without TLS; 0: none.")  # fmt: skip
@click.option("--tls-cert", type=click.Path(path_type=Path, dir_okay=False, exists=True),
              help="The broker's certificate (PEM): devices may use TLS.")  # fmt: skip
@click.option("--tls-key", type=click.Path(path_type=Path, dir_okay=False, exists=True),
              help="Its key (PEM).")  # fmt: skip
@click.option("--tls-port", default=8883, show_default=True, type=_PORT,
              help="Port for devices with TLS.")  # fmt: skip
@click.option("--server-host", default="127.0.0.1", show_default=True,
              help="Address for Gridtalk's own processes; keep devices away from it.")  # fmt: skip
@click.option("--server-port", default=1884, show_default=True, type=_PORT,
              help="Port for Gridtalk's own processes.")  # fmt: skip
@click.option("--server-tls", is_flag=True,
              help="Gridtalk's own processes use TLS, too, with the same certificate.")  # fmt: skip
@click.option("--pid-file", type=click.Path(path_type=Path, dir_okay=False),
              help="Where Mosquitto writes its process id.")  # fmt: skip
@click.option("--watch", is_flag=True,
              help="Go on, and let new devices in as they register.")  # fmt: skip
@data_dir_option
def broker_config(
    *,
    broker: str,  # noqa: ARG001  one choice as yet
    out: Path,
    host: str,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_port: int,
    server_host: str,
    server_port: int,
    server_tls: bool,
    pid_file: Path | None,
    watch: bool,
) -> None:
    """Write the configuration, access rules and passwords of a Mosquitto of your own."""
    if (tls_cert is None) != (tls_key is None):
        raise SetupError("--tls-cert and --tls-key belong together; give both or none")
    if server_tls and tls_cert is None:
        raise SetupError("--server-tls needs --tls-cert and --tls-key")
    listeners = [Listener(port, host)] if port else []
    server = Listener(server_port, server_host, for_devices=False)
    if tls_cert is not None and tls_key is not None:
        certificate, key = str(tls_cert.absolute()), str(tls_key.absolute())
        listeners.append(Listener(tls_port, host, certificate=certificate, key=key))
        if server_tls:
            server = replace(server, certificate=certificate, key=key)
    if not listeners:
        raise SetupError("no device could connect: give --port, or --tls-cert and --tls-key")
    listeners.append(server)
    if len({listener.port for listener in listeners}) < len(listeners):
        raise SetupError("--port, --tls-port and --server-port must differ")
    with environment.database(data_dir(), role="broker-config"):
        environment.django_start()
        from gridtalk.cli.maintain import schema_check

        schema_check()
        files = _Files(out.absolute(), pid_file.absolute() if pid_file else None)
        files.write_rules(listeners)
        files.write_passwords()
        _tell(files, server)
        if watch:
            click.echo("watching for new devices; Ctrl-C ends it")
            _watch(files)


class _Files:
    """The folder that is written, and the broker that is told."""

    def __init__(self, folder: Path, pid_file: Path | None) -> None:
        from gridtalk.iottalk.broker.passwords import PasswordFile

        self.folder = folder
        self.pid_file = pid_file
        self.username, self.password = _server()
        self._passwords = PasswordFile(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SetupError(
                f"the folder {folder} cannot be made ({error.strerror}); choose another with --out"
            ) from error

    def write_rules(self, listeners: list[Listener]) -> None:
        """mosquitto.conf and acl."""
        from django.conf import settings

        from gridtalk.iottalk.broker import mosquitto
        from gridtalk.iottalk.broker.passwords import file_write

        text = mosquitto.configuration(
            listeners,
            largest_payload_bytes=settings.DEVICE_MESSAGE_LARGEST_BYTES,
            folder=f"{self.folder}/",
            pid_file=str(self.pid_file or ""),
            quiet=False,
        )
        try:
            file_write(self.folder / mosquitto.CONFIGURATION_FILE, text)
            file_write(self.folder / mosquitto.ACL_FILE, mosquitto.acl(server_user=self.username))
        except OSError as error:
            raise SetupError(f"{self.folder} cannot be written: {error.strerror}") from error

    def write_passwords(self) -> bool:
        """Passwd, from the database; whether it changed."""
        from gridtalk.iottalk.broker.admission import password_lines

        try:
            with self._passwords.held():
                lines = password_lines(username=self.username, password=self.password)
                return self._passwords.replace(lines)
        except OSError as error:
            raise SetupError(f"{self.folder} cannot be written: {error.strerror}") from error

    def reload(self, *, tell: bool) -> None:
        """Have Mosquitto read passwd again, or say that it must."""
        from gridtalk.iottalk.broker.private import reload

        if self.pid_file is None:
            if tell:
                click.echo("passwd has changed: reload Mosquitto (systemctl reload mosquitto)")
        elif not reload(self.pid_file) and tell:
            click.echo(f"passwd has changed, and no Mosquitto runs by {self.pid_file}", err=True)


def _server() -> tuple[str, str]:
    """User name and password of Gridtalk's own client: those of GRIDTALK_MQTT_URL, else ours."""
    from django.conf import settings

    from gridtalk.iottalk import credentials
    from gridtalk.iottalk.broker.address import read_url

    if settings.GRIDTALK_MQTT_URL:
        url = read_url(settings.GRIDTALK_MQTT_URL)
        if url.username and url.password:
            return url.username, url.password
    return credentials.SERVER_USER, credentials.server_password()


def _tell(files: _Files, server: Listener) -> None:
    user, password = quote(files.username, safe=""), quote(files.password, safe="")
    click.echo(f"written: mosquitto.conf, acl and passwd in {files.folder}")
    click.echo(f"start it with: mosquitto -c {files.folder / 'mosquitto.conf'}")
    scheme, place = "mqtts" if server.certificate else "mqtt", f"{server.host}:{server.port}"
    click.echo(f"for Gridtalk: GRIDTALK_MQTT_URL={scheme}://{user}:{password}@{place}")
    if not server.certificate and server.host not in {"localhost", "127.0.0.1", "::1"}:
        click.echo(
            f"Gridtalk's password goes to {server.host} as it is: add --server-tls, or keep that "
            "network closed to others",
            err=True,
        )


def _watch(files: _Files) -> None:
    """Write passwd again whenever the devices have changed, until a signal asks for the end."""
    import psycopg
    from django.db import DatabaseError, connection

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    while not stop.is_set():
        try:
            _watch_connected(files, stop)
        except (psycopg.Error, DatabaseError) as error:
            click.echo(f"the database went away ({type(error).__name__}); waiting", err=True)
            connection.close()
            stop.wait(1)


def _watch_connected(files: _Files, stop: threading.Event) -> None:
    import psycopg

    from gridtalk.iottalk import notices

    with psycopg.connect(os.environ["GRIDTALK_DATABASE_URL"], autocommit=True) as bell:
        bell.execute(f"LISTEN {notices.CHANNEL}")
        again = True
        while not stop.is_set():
            if files.write_passwords():
                files.reload(tell=True)
                again = True
                wait = AGAIN_SECONDS
            else:
                if again:
                    files.reload(tell=False)
                again = False
                wait = LOOK_EVERY_SECONDS
            # A signal wakes nobody here: short naps, each ended by the first notice.
            for _nap in range(int(wait / AGAIN_SECONDS)):
                if stop.is_set() or any(bell.notifies(timeout=AGAIN_SECONDS, stop_after=1)):
                    break
