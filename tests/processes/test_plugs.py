"""Pulling plugs: the whole device is gone at once, its helpers too, and it can be put in again."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
import urllib3

from gridtalk.core.errors import NotFound
from gridtalk.demo import power_strip
from gridtalk.demo.network import Network
from gridtalk.demo.plugs import Plug, PlugBoard

#: A device that starts a helper, as iottalk-py does, and writes down both.
DEVICE = """
import os, subprocess, sys, time
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
with open("pids.new", "w") as file:
    file.write(f"{os.getpid()} {helper.pid}")
os.replace("pids.new", "pids")
time.sleep(60)
"""


def pids_of(folder: Path) -> list[int]:
    deadline = time.monotonic() + 20
    while not (folder / "pids").exists():
        assert time.monotonic() < deadline, "the device did not start"
        time.sleep(0.02)
    return [int(text) for text in (folder / "pids").read_text().split()]


def gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        alive = [
            pid
            for pid in pids
            if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        ]
        if not alive:
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def plug(tmp_path: Path) -> Plug:
    return Plug(tmp_path, [sys.executable, "-c", DEVICE], {"TZ": "UTC"})


def test_pulled_and_put_in_again(plug: Plug) -> None:
    assert not plug.is_in
    plug.pull()  # nothing to pull
    plug.put_in()
    first = pids_of(plug.folder)
    assert plug.is_in
    plug.put_in()  # is in already
    plug.pull()
    assert gone(first)
    assert not plug.is_in
    (plug.folder / "pids").unlink()
    plug.put_in()
    second = pids_of(plug.folder)
    assert set(first).isdisjoint(second)
    plug.pull()
    assert gone(second)


def test_the_device_ends_with_a_starter_that_is_killed(tmp_path: Path) -> None:
    starter = (
        "import os, subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-I', '-S', {power_strip.__file__!r},"
        " str(os.getpid()), sys.executable, '-c', sys.argv[1]], start_new_session=True)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", starter, DEVICE], cwd=tmp_path)
    pids = pids_of(tmp_path)
    process.kill()
    process.wait()
    assert gone(pids)


def test_the_device_outlives_the_thread_that_put_it_in(plug: Plug) -> None:
    thread = threading.Thread(target=plug.put_in)
    thread.start()
    thread.join()
    pids = pids_of(plug.folder)
    time.sleep(0.3)
    assert plug.is_in
    assert all(psutil.pid_exists(pid) for pid in pids)
    plug.pull()
    assert gone(pids)


def test_a_program_that_is_not_there_leaves_a_line(tmp_path: Path) -> None:
    plug = Plug(tmp_path, ["./no-such-program"])
    plug.put_in()
    deadline = time.monotonic() + 10
    while plug.is_in and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not plug.is_in
    assert "no-such-program" in plug.log_path.read_text()


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    ("label", "path", "body", "status", "on"),
    [
        ("pulled", "/plugs/secret", {"address": "a", "on": False}, 202, False),
        ("put in", "/plugs/secret", {"address": "a", "on": True}, 202, True),
        ("a wrong key", "/plugs/other", {"address": "a", "on": True}, 403, None),
        ("another device", "/plugs/secret", {"address": "b", "on": True}, 404, None),
        ("a part is missing", "/plugs/secret", {"address": "a"}, 400, None),
        ("no object", "/plugs/secret", ["a"], 400, None),
    ],
)
def test_what_a_page_posts(
    label: str, path: str, body: object, status: int, on: bool | None, tmp_path: Path
) -> None:
    turned: list[bool] = []

    class Noted(Plug):
        def put_in(self) -> None:
            turned.append(True)

        def pull(self) -> None:
            turned.append(False)

    network = Network(phones_key="secret")
    network.plugs.add("a", Noted(tmp_path, []))
    with network:
        address = f"http://127.0.0.1:{network.port}{path}"
        answer = urllib3.request(
            "POST", address, body=json.dumps(body).encode(), retries=False, timeout=5
        )
        assert answer.status == status, label
        assert turned == ([] if on is None else [on])


def test_a_device_that_is_not_there_is_named() -> None:
    with pytest.raises(NotFound, match="no device x"):
        PlugBoard().turn("x", on=True)


def test_the_strip_leaves_where_its_starter_has_gone() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", power_strip.__file__, str(os.getpid() + 1), "/bin/true"],
        check=False,
        start_new_session=True,
    )
    assert done.returncode == 1
