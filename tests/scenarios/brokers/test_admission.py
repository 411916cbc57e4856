"""Letting devices into a real Mosquitto: at once, together, and without hurting who is inside."""

import base64
import hashlib
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import wait_until
from tests.scenarios.brokers.conftest import ADA, EVE, MosquittoWorld
from tests.scenarios.brokers.peers import Peer, password_of

from gridtalk.core.errors import PeerError
from gridtalk.iottalk import credentials, topics
from gridtalk.iottalk.broker import admission, private
from gridtalk.iottalk.broker.admission import credentials_admit, credentials_end, credentials_sync
from gridtalk.iottalk.broker.passwords import PasswordFile, password_line
from gridtalk.iottalk.models import RegisteredDevice

pytestmark = [pytest.mark.scenario, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def broker(mosquitto: MosquittoWorld, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Mosquitto where the settings say that it is."""
    settings.DATA_DIR = mosquitto.folder
    settings.GRIDTALK_BROKER = "mosquitto"
    settings.GRIDTALK_MQTT_URL = ""
    settings.GRIDTALK_MQTT_PORT = mosquitto.port
    settings.GRIDTALK_MQTT_SERVER_PORT = mosquitto.server_port
    monkeypatch.setattr(admission, "_rounds", admission._Rounds())
    return mosquitto


def device(number: int, *, epoch: int = 0) -> RegisteredDevice:
    """A registered v2 device."""
    return RegisteredDevice.objects.create(
        protocol="v2", address=f"address-{number}", handle=f"d{number:020d}", shard=3,
        name=f"device {number}", key_epoch=epoch,
    )  # fmt: skip


def enters(broker: MosquittoWorld, one: RegisteredDevice, *, epoch: int = 0) -> Peer:
    """That device's client, let in or not."""
    return broker.peer(one.handle, password=password_of(one.handle, epoch=epoch)).connect()


def test_a_new_device_is_let_in_when_the_call_returns(broker: MosquittoWorld) -> None:
    for number in range(5):
        one = device(number)
        began = time.monotonic()
        credentials_admit(handles=[one.handle])
        assert time.monotonic() - began < 1
        assert enters(broker, one).connects == 1


def test_who_is_inside_stays_while_others_are_let_in(broker: MosquittoWorld) -> None:
    credentials_admit(handles=[(one := device(0)).handle])
    inside = enters(broker, one)
    server = broker.server()
    server.subscribe("gt/#")
    for number in range(1, 40):
        credentials_admit(handles=[device(number).handle])
        inside.publish(topics.idf(3, one.handle, 0), str(number).encode(), 0)
    server.wait(lambda: len(server.heard) == 39, "all that was said meanwhile")
    assert (inside.losses, server.losses) == (0, 0)


def test_many_at_once_share_few_rewrites(
    broker: MosquittoWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = [device(number) for number in range(200)]
    passwords = {one.handle: password_of(one.handle) for one in devices}
    # The threads ask no database: a connection of each would outlive the test.
    monkeypatch.setattr(
        admission, "_passwords", lambda handles: {name: passwords[name] for name in handles}
    )
    reloads: list[float] = []
    reload = private.reload
    monkeypatch.setattr(
        private, "reload", lambda path: reloads.append(time.monotonic()) or reload(path)
    )
    failed: list[Exception] = []

    def admit(one: RegisteredDevice) -> None:
        try:
            credentials_admit(handles=[one.handle])
        except PeerError as error:
            failed.append(error)

    threads = [threading.Thread(target=admit, args=[one]) for one in devices]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - began
    print(f"200 devices at once: {took:.2f} s, {len(reloads)} reloads")
    assert failed == []
    assert len(reloads) < 100, "every second one at most has a reload of its own"
    assert took < 4
    for one in devices[::20]:
        assert enters(broker, one).connects == 1


def test_a_device_that_it_knows_costs_no_rewrite(broker: MosquittoWorld) -> None:
    one = device(0)
    credentials_admit(handles=[one.handle])
    inside = enters(broker, one)
    before = broker.passwords.path.stat().st_ino
    for _time in range(20):
        credentials_admit(handles=[one.handle])
    assert broker.passwords.path.stat().st_ino == before
    assert inside.losses == 0, "the proof does not throw the device out"


def test_a_new_epoch_ends_the_old_password_at_once(broker: MosquittoWorld) -> None:
    one = device(0)
    credentials_admit(handles=[one.handle])
    inside = enters(broker, one)
    RegisteredDevice.objects.update(key_epoch=1)
    credentials_admit(handles=[one.handle])
    inside.wait(lambda: inside.losses, "the old password's connection to end")
    assert enters(broker, one, epoch=0).connects == 0
    assert enters(broker, one, epoch=1).connects == 1


@pytest.mark.parametrize("how", ["deregistered", "deleted"])
def test_a_device_that_is_gone_is_let_in_no_more(broker: MosquittoWorld, how: str) -> None:
    one, other = device(0), device(1)
    credentials_admit(handles=[one.handle, other.handle])
    inside, stays = enters(broker, one), enters(broker, other)
    gone = RegisteredDevice.objects.filter(pk=one.pk)
    if how == "deleted":
        gone.delete()
    else:
        gone.update(deregistered_at=one.created_at)
    credentials_end(handles=[one.handle])
    inside.wait(lambda: inside.losses, "its connection to end")
    assert stays.losses == 0
    wait_until(lambda: not enters(broker, one).connects, what="the device to be kept out")


def test_the_whole_file_is_made_from_the_database(broker: MosquittoWorld) -> None:
    one, gone = device(0), device(1)
    credentials_admit(handles=[gone.handle])
    RegisteredDevice.objects.filter(pk=gone.pk).delete()
    assert credentials_sync()
    assert not credentials_sync(), "nothing to do the second time"
    assert set(PasswordFile(broker.broker.folder).read()) == {"gridtalk", one.handle}
    wait_until(lambda: enters(broker, one).connects, what="the device to be let in")
    assert broker.peer(ADA).connect().connects == 0, "Ada is in no database"
    assert broker.server().is_in()


def test_a_restarted_broker_still_lets_them_in(broker: MosquittoWorld) -> None:
    one = device(0)
    credentials_admit(handles=[one.handle])
    broker.stop()
    late = device(1)
    began = time.monotonic()
    with pytest.raises(PeerError, match="does not answer"):
        credentials_admit(handles=[late.handle])
    with pytest.raises(PeerError, match="does not answer"):
        credentials_admit(handles=[late.handle])
    assert time.monotonic() - began < 3, "a broker that is down holds nobody for long"
    broker.start()
    assert enters(broker, one).connects == 1
    assert enters(broker, late).connects == 1, "its line was written all the same"


def test_a_restart_during_an_admission_is_waited_for(
    broker: MosquittoWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = device(0)
    passwords = {one.handle: password_of(one.handle)}
    monkeypatch.setattr(admission, "_passwords", lambda _handles: passwords)
    broker.stop()
    done: list[bool] = []

    def admit() -> None:
        credentials_admit(handles=[one.handle])
        done.append(True)

    # Not the broker in the thread: it ends with the thread that started it.
    waiting = threading.Thread(target=admit)
    waiting.start()
    time.sleep(0.1)
    broker.start()
    waiting.join()
    assert done == [True]
    assert enters(broker, one).connects == 1


def test_without_the_brokers_process_id_it_says_so(broker: MosquittoWorld) -> None:
    broker.broker.forget()
    one = device(0)
    with pytest.raises(PeerError, match="does not let the device"):
        credentials_admit(handles=[one.handle], timeout_s=0.3)
    began = time.monotonic()
    with pytest.raises(PeerError, match="does not let the device"):
        credentials_admit(handles=[one.handle])
    assert time.monotonic() - began < 2, "the next one is not waited for as long"
    assert broker.broker.is_ready(broker.process.pid)  # which notes the process id again
    for number in (1, 2):
        credentials_admit(handles=[device(number).handle])


def test_our_lines_are_what_mosquitto_passwd_writes(tmp_path: Path) -> None:
    path = tmp_path / "passwd"
    path.touch(mode=0o600)
    command = ["mosquitto_passwd", "-b", str(path), "ada", "secret"]
    subprocess.run(command, check=True, capture_output=True)
    user, _, theirs = path.read_text().strip().partition(":")
    assert user == "ada"
    ours = password_line(user="ada", password="secret").partition(":")[2]
    _, kind, rounds, salt, digest = theirs.split("$")
    assert kind == "7"
    assert ours.split("$")[1] == kind
    again = hashlib.pbkdf2_hmac("sha512", b"secret", base64.b64decode(salt), int(rounds))
    assert base64.b64encode(again).decode() == digest
    for theirs_part, ours_part in zip(theirs.split("$")[3:], ours.split("$")[3:], strict=True):
        assert len(ours_part) == len(theirs_part)


def test_who_it_runs_as_is_not_root(mosquitto: MosquittoWorld) -> None:
    import psutil

    assert mosquitto.process is not None
    assert 0 not in psutil.Process(mosquitto.process.pid).uids()
    for path in (*mosquitto.broker.folder.iterdir(),):
        assert not path.stat().st_mode & 0o077 or path.name == "mosquitto.pid", path
    assert {EVE, credentials.SERVER_USER} <= set(mosquitto.passwords.read())
