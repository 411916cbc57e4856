"""The serial line to the board: whole lines with check sums, one at a time. See src/talk.h."""

import binascii
import collections
import os
import random
import select
import termios
import time

BAUD = termios.B38400
#: The board's buffer for a line, less its number and check sum.
LONGEST = 110
ANSWER_S = 2.0
TRIES = 5
#: The board answers at least the time that it is told each 10 s.
SILENCE_S = 35.0
_LONGEST_INPUT = 4096


def framed(text):
    """A line with its check sum, in bytes."""
    data = text.encode()
    return data + b"*%04x\n" % binascii.crc_hqx(data, 0)


def unframed(line):
    """The text of a line without its line break, or None where its check sum is wrong."""
    data, star, crc = line[:-5], line[-5:-4], line[-4:]
    if star != b"*" or crc != b"%04x" % binascii.crc_hqx(data, 0):
        return None
    return data.decode(errors="replace")


class Link:
    """An open port. ``send`` queues; ``pump`` works, and raises OSError where the port is gone."""

    def __init__(self, port):
        self.port = port
        self._descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        mode = termios.CS8 | termios.CREAD | termios.CLOCAL
        control = [b"\0"] * 32
        # Without HUPCL the board is not reset when the bridge ends.
        try:
            termios.tcsetattr(
                self._descriptor, termios.TCSANOW, [0, 0, mode, 0, BAUD, BAUD, control]
            )
        except termios.error as error:
            os.close(self._descriptor)
            raise OSError(f"{port} is no serial port: {error}") from error
        self._number = random.randrange(1000)
        self._queue = collections.deque()
        self._current = None
        self._tries = 0
        self._again_at = 0.0
        self._input = b""
        self._aligned = False
        self.answered_at = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._descriptor)

    @property
    def idle(self):
        """Whether nothing waits to be sent."""
        return self._current is None and not self._queue

    @property
    def silent(self):
        """Whether the board has said nothing for long."""
        return time.monotonic() - self.answered_at > SILENCE_S

    def send(self, text):
        """Queue a text for the board; raises ValueError where it is too long for it."""
        if len(text.encode()) > LONGEST:
            raise ValueError(f"longer than the {LONGEST} bytes that the board can take")
        self._queue.append(text)

    def forget(self):
        """Drop what waits: the board has started anew."""
        self._queue.clear()
        self._current = None

    def pump(self, wait_s):
        """Send what is due, wait that long for the board, and give what it said but answers."""
        self._send_due()
        ready, _, _ = select.select([self._descriptor], [], [], wait_s)
        if not ready:
            return []
        data = os.read(self._descriptor, _LONGEST_INPUT)
        if not data:
            raise OSError("the board is gone")
        *lines, self._input = (self._input + data).split(b"\n")
        self._input = self._input[-_LONGEST_INPUT:]
        return [text for text in map(self._taken, lines) if text]

    def _send_due(self):
        now = time.monotonic()
        if self._current is not None and now >= self._again_at and self._tries >= TRIES:
            if not self.silent:
                print(f"board: no answer to {self._current}", flush=True)
            self._current = None
        if self._current is None and self._queue:
            self._number = (self._number + 1) % 1000
            self._current = f"{self._number} {self._queue.popleft()}"
            self._tries = 0
            self._again_at = now
        if self._current is not None and now >= self._again_at:
            # The line break ends what a disturbance may have left in the board's buffer.
            self._write(b"\n" + framed(self._current))
            self._tries += 1
            self._again_at = now + ANSWER_S

    def _write(self, data):
        end = time.monotonic() + ANSWER_S
        while data:
            _, ready, _ = select.select([], [self._descriptor], [], end - time.monotonic())
            if not ready:
                raise OSError("the port takes nothing")
            data = data[os.write(self._descriptor, data) :]

    def _taken(self, line):
        text = unframed(line)
        if text is None:
            # What was on its way when the bridge or the board started is no line.
            if line.strip() and self._aligned:
                print(f"board: a disturbed line: {line[:60]!r}", flush=True)
            self._aligned = True
            return None
        self._aligned = True
        self.answered_at = time.monotonic()
        if text.startswith("="):
            if self._current is not None and self._current.startswith(f"{text[1:]} "):
                self._current = None
            return None
        return text
