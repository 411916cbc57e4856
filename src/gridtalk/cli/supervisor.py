"""Keeps child processes alive, and ends them in order.

Each child has a session of its own, so that Ctrl-C in the terminal reaches the supervisor alone. A
child that was ready is started again at once when it dies. One that dies before it was ready, or
leaves by itself right afterwards, is started again after a pause which grows; after some such
deaths in a row the supervisor gives up with one line.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

#: Deaths in a row, before the child had settled, after which the supervisor gives up.
DEATHS_TO_GIVE_UP = 8
LONGEST_PAUSE_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.1
#: A child that leaves by itself sooner than this after it was ready has not settled.
SETTLED_SECONDS = 5.0
#: A line longer than this is handed on in pieces.
LONGEST_LINE = 64 * 1024


class ChildFailed(Exception):  # noqa: N818  named for what happened
    """A child died too often at its start; the text says which and how."""


@dataclass(eq=False)
class Child:
    """One process to keep alive.

    ``is_ready`` is asked every few milliseconds after a start; ``before_start`` is called before
    each (again in a thread, since it may wait). ``stop_signal`` asks for an orderly end, which may
    take ``stop_seconds``; then the whole process group is killed.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    is_ready: Callable[[], Awaitable[bool]]
    before_start: Callable[[], None] | None = None
    stop_signal: int = signal.SIGTERM
    stop_seconds: float = 10.0
    #: Lines with any of these in them are not handed on.
    hidden: tuple[str, ...] = ()
    #: The folder in which it starts; none: ours.
    folder: str | None = None
    process: asyncio.subprocess.Process | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    starts: int = 0
    task: asyncio.Task[None] | None = None


class Supervisor:
    """Starts children, restarts them, hands on what they print, and ends them."""

    def __init__(self, *, write: Callable[[str], None] | None = None) -> None:
        self._write = write or self._print
        self._children: list[Child] = []
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._failure: ChildFailed | None = None

    def say(self, text: str, name: str = "gridtalk") -> None:
        """Print a line with the prefix of who says it."""
        self._write(f"{name:<8} | {text}")

    def _print(self, line: str) -> None:
        # Whoever read our output may have gone; the children must live on all the same.
        with suppress(BrokenPipeError):
            print(line, flush=True)  # noqa: T201

    def request_stop(self) -> None:
        """Begin to end; asked a second time, stop waiting for orderly ends."""
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()

    def is_stopping(self) -> bool:
        """Whether an end was asked for, or a child given up."""
        return self._stopping.is_set()

    def watch_signals(self) -> None:
        """SIGINT, SIGTERM and SIGHUP ask for the end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.request_stop)

    async def start(self, child: Child) -> None:
        """Start a child and keep it alive from now on; wait until it is ready the first time.

        Returns early where the end is asked for; raises :class:`ChildFailed` where it dies too
        often before that.
        """
        self._children.append(child)
        child.task = asyncio.create_task(self._keep(child), name=child.name)
        await self._first_of(child.ready.wait(), self._stopping.wait())
        if self._failure is not None:
            raise self._failure

    async def run_once(self, child: Child) -> int:
        """Run a child to its end, once; its exit code. An end asked for meanwhile ends it too."""
        await self._spawn(child)
        assert child.process is not None
        waiting = asyncio.create_task(child.process.wait())
        await self._first_of(asyncio.shield(waiting), self._stopping.wait())
        if not waiting.done():
            await self._end(child)
        return await waiting

    async def wait(self) -> None:
        """Until the end is asked for, or a child is given up (:class:`ChildFailed`)."""
        await self._stopping.wait()
        if self._failure is not None:
            raise self._failure

    async def stop(self) -> None:
        """End all children: the last started first."""
        self._stopping.set()
        for child in reversed(self._children):
            await self._end(child)
            if child.task is not None:
                await child.task

    async def _keep(self, child: Child) -> None:
        deaths = 0
        while not self.is_stopping():
            if child.before_start is not None:
                await asyncio.to_thread(child.before_start)
                if self.is_stopping():
                    return
            await self._spawn(child)
            assert child.process is not None
            if self.is_stopping():
                await self._end(child)
                return
            was_ready = await self._until_ready(child)
            if was_ready:
                child.ready.set()
            ready_at = time.monotonic()
            code = await child.process.wait()
            # What it leaves behind (web processes of a killed master) must not hold the port.
            _kill_group(child.process.pid)
            if self.is_stopping():
                return
            child.ready.clear()
            if was_ready and (code < 0 or time.monotonic() - ready_at > SETTLED_SECONDS):
                deaths = 0
                self.say(f"{child.name} ended ({ending(code)}); it is started again")
                continue
            deaths += 1
            if deaths >= DEATHS_TO_GIVE_UP:
                self._failure = ChildFailed(
                    f"{child.name} ended {deaths} times right after its start (the last time: "
                    f"{ending(code)}); Gridtalk stops"
                )
                self._stopping.set()
                return
            pause = min(FIRST_PAUSE_SECONDS * 2 ** (deaths - 1), LONGEST_PAUSE_SECONDS)
            self.say(f"{child.name} ended ({ending(code)}); it is started again in {pause:g} s")
            await self._first_of(asyncio.sleep(pause), self._stopping.wait())

    async def _spawn(self, child: Child) -> None:
        reader, writer = os.pipe()
        try:
            child.process = await asyncio.create_subprocess_exec(
                *child.command,
                env=dict(child.environment),
                cwd=child.folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writer,
                stderr=writer,
                start_new_session=True,
            )
        except OSError:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        child.starts += 1
        _LineReader(reader, partial(self._hand_on, child))

    def _hand_on(self, child: Child, line: str) -> None:
        if not any(part in line for part in child.hidden):
            self.say(line, child.name)

    async def _until_ready(self, child: Child) -> bool:
        assert child.process is not None
        while child.process.returncode is None:
            if await child.is_ready():
                return True
            await asyncio.sleep(0.03)
        return False

    async def _end(self, child: Child) -> None:
        process = child.process
        if process is None or process.returncode is not None:
            return
        _kill(process.pid, child.stop_signal)
        with suppress(TimeoutError):
            async with asyncio.timeout(child.stop_seconds):
                await self._first_of(process.wait(), self._hurry.wait())
        if process.returncode is None and not (self._hurry.is_set() and child.stop_seconds > 30):
            _kill_group(process.pid)
        await process.wait()
        _kill_group(process.pid)

    @staticmethod
    async def _first_of(*waits: Awaitable[object]) -> None:
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()


class _LineReader:
    """Hands on a pipe line by line, on the event loop, until every writer has closed it."""

    def __init__(self, handle: int, take: Callable[[str], None]) -> None:
        self._handle = handle
        self._take = take
        self._rest = b""
        os.set_blocking(handle, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(handle, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._handle, LONGEST_LINE)
        except BlockingIOError:
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        if not data or len(self._rest) > LONGEST_LINE:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            if text := line.decode(errors="replace").rstrip():
                self._take(text)
        if not data:
            self._loop.remove_reader(self._handle)
            os.close(self._handle)


def ending(code: int) -> str:
    """How a process ended, in words: ``exit code 1``, ``killed by SIGKILL``."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _kill(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def stdout_is_utf8() -> None:
    """Let any text of a child be printed, whatever the terminal's encoding."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
