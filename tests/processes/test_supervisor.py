"""The supervisor, with small shell scripts for children."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from gridtalk.cli import launch
from gridtalk.cli.supervisor import Child, ChildFailed, Supervisor, ending

pytestmark = pytest.mark.alone
ENVIRONMENT = {"PATH": os.environ["PATH"]}


async def at_once() -> bool:
    return True


async def never() -> bool:
    return False


def child(name: str, script: str, is_ready: Callable[[], Awaitable[bool]] = at_once) -> Child:
    return Child(name, ["/bin/sh", "-c", script], ENVIRONMENT, is_ready=is_ready, stop_seconds=2)


async def until(probe: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not probe():
            await asyncio.sleep(0.01)


def wait_gone(pid: int) -> None:
    """Until the process has ended; who collects it is not our matter."""
    deadline = time.monotonic() + 5
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie":
        assert time.monotonic() < deadline, f"process {pid} lives on"
        time.sleep(0.01)


def test_a_killed_child_is_started_again_every_time() -> None:
    said: list[str] = []

    async def story() -> None:
        supervisor = Supervisor(write=said.append)
        one = child("one", "exec sleep 60")
        await supervisor.start(one)
        for expected in range(2, 14):
            assert one.process is not None
            one.process.kill()
            await until(lambda expected=expected: one.starts == expected and one.ready.is_set())
        await supervisor.stop()
        assert one.process.returncode == -signal.SIGTERM

    asyncio.run(story())
    assert said == ["gridtalk | one ended (killed by SIGKILL); it is started again"] * 12


@pytest.mark.parametrize("is_ready", [at_once, never])
def test_a_child_that_leaves_by_itself_is_given_up(
    monkeypatch: pytest.MonkeyPatch, is_ready: Callable[[], Awaitable[bool]]
) -> None:
    monkeypatch.setattr("gridtalk.cli.supervisor.FIRST_PAUSE_SECONDS", 0.001)
    said: list[str] = []

    async def story() -> None:
        supervisor = Supervisor(write=said.append)
        one = child("one", "echo going; exit 3", is_ready)

        async def until_given_up() -> None:
            await supervisor.start(one)
            await supervisor.wait()

        with pytest.raises(ChildFailed, match=r"one ended 8 times .* exit code 3"):
            await until_given_up()
        await supervisor.stop()
        assert one.starts == 8

    asyncio.run(story())
    assert said.count("one      | going") == 8


def test_children_end_in_the_reverse_order_and_take_their_own_with_them(tmp_path: Path) -> None:
    log = tmp_path / "log"
    pids = tmp_path / "pids"

    def script(name: str) -> str:
        return (
            f"sleep 60 & echo $! >>{pids}; trap 'echo {name} >>{log}; exit 0' TERM; "
            "while :; do sleep 0.05; done"
        )

    async def story() -> None:
        supervisor = Supervisor(write=lambda _line: None)
        for name in ("first", "second", "third"):
            await supervisor.start(child(name, script(name)))
        await until(lambda: pids.exists() and len(pids.read_text().split()) == 3)
        await asyncio.sleep(0.1)
        await supervisor.stop()

    asyncio.run(story())
    assert log.read_text().split() == ["third", "second", "first"]
    for pid in map(int, pids.read_text().split()):
        wait_gone(pid)


def test_a_deaf_child_is_killed() -> None:
    async def story() -> float:
        supervisor = Supervisor(write=lambda _line: None)
        deaf = child("deaf", "trap '' TERM; while :; do sleep 0.05; done")
        deaf.stop_seconds = 0.3
        await supervisor.start(deaf)
        await asyncio.sleep(0.1)
        began = time.monotonic()
        await supervisor.stop()
        return time.monotonic() - began

    assert 0.2 < asyncio.run(story()) < 2


def test_asked_twice_it_does_not_wait() -> None:
    async def story() -> float:
        supervisor = Supervisor(write=lambda _line: None)
        deaf = child("deaf", "trap '' TERM; while :; do sleep 0.05; done")
        deaf.stop_seconds = 20
        await supervisor.start(deaf)
        await asyncio.sleep(0.1)
        supervisor.request_stop()
        supervisor.request_stop()
        began = time.monotonic()
        await supervisor.stop()
        return time.monotonic() - began

    assert asyncio.run(story()) < 2


def test_lines_are_handed_on_whole_with_their_name() -> None:
    said: list[str] = []

    async def story() -> None:
        supervisor = Supervisor(write=said.append)
        one = child("talk", r"printf 'a\nhide me\nb'; sleep 0.05; printf 'c\n\n\377d'")
        one.hidden = ("hide",)
        assert await supervisor.run_once(one) == 0
        await until(lambda: len(said) == 3)

    asyncio.run(story())
    assert said == ["talk     | a", "talk     | bc", "talk     | �d"]


def test_the_end_while_a_single_run_is_under_way() -> None:
    async def story() -> int:
        supervisor = Supervisor(write=lambda _line: None)
        asyncio.get_running_loop().call_later(0.1, supervisor.request_stop)
        return await supervisor.run_once(child("one", "exec sleep 60"))

    assert asyncio.run(story()) == -signal.SIGTERM


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "exit code 0"),
        (3, "exit code 3"),
        (-9, "killed by SIGKILL"),
        (-99, "killed by signal 99"),
    ],
)
def test_ending(code: int, words: str) -> None:
    assert ending(code) == words


def test_launch_dies_with_its_parent(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    parent = (
        "import os, subprocess, sys, time; "
        "subprocess.Popen([sys.executable, '-I', '-S', sys.argv[1], '-1', '-1', str(os.getpid()), "
        "'15', '/bin/sh', '-c', 'echo $$ >' + sys.argv[2] + '; exec sleep 60']); time.sleep(60)"
    )
    import subprocess

    started = subprocess.Popen([sys.executable, "-c", parent, launch.__file__, str(pid_file)])
    deadline = time.monotonic() + 5
    while not (pid_file.exists() and pid_file.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    pid = int(pid_file.read_text())
    started.kill()
    started.wait()
    wait_gone(pid)
