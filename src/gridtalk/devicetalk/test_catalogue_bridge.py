"""The bridge of Arduino devices: what it writes to the board, and the line between them."""

import importlib
import os
import sys
import tty
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from gridtalk.devicetalk.device_file import catalogue_folder

FOLDER = catalogue_folder() / "basic-files/Arduino/avr"


@pytest.fixture
def bridge(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The modules of the bridge, with settings that are no template."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setitem(sys.modules, "settings", ModuleType("settings"))
    yield importlib.import_module("bridge")
    for name in ("bridge", "bridge_serial", "bridge_iottalk"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("label", "payload", "wanted"),
    [
        ("job", b'["cr", 5, "192.168.1.201", 4.35]', '["cr",5,"192.168.1.201",4.35]'),
        ("no binary fraction", b"[0.1, 100.10]", "[0.1,100.10]"),
        ("exponents", b"[1e2, 2.5E-3, -1E0]", "[100,0.0025,-1]"),
        ("flags", b"[true, false, null]", "[true,false,null]"),
        ("scalar", b"7", "[7]"),
        ("empty", b"[]", "[]"),
        ("quotes", rb'["a\"b\\c"]', r'["a\"b\\c"]'),
        ("control characters", b'["a\\n\\u0007b"]', '["a  b"]'),
        ("other scripts", '["風 \\u98a8"]'.encode(), '["風 風"]'),
    ],
)
def test_what_the_board_is_sent(bridge: Any, label: str, payload: bytes, wanted: str) -> None:
    assert bridge.board_list(payload) == wanted


@pytest.mark.parametrize(
    ("label", "payload"),
    [
        ("no JSON", b"[1"),
        ("no text", b"\xff\xfe"),
        ("list in a list", b"[[1]]"),
        ("object", b'{"a": 1}'),
        ("huge", b"[1e300]"),
        ("huge whole number", b"[" + b"9" * 400 + b"]"),
        ("deep", b"[" * 100_000),
    ],
)
def test_what_the_board_cannot_take(bridge: Any, label: str, payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        bridge.board_list(payload)


def test_lines_have_check_sums(bridge: Any) -> None:
    serial = sys.modules["bridge_serial"]
    # The check value of CRC-16/XMODEM.
    assert serial.framed("123456789") == b"123456789*31c3\n"
    assert serial.unframed(b"123456789*31c3") == "123456789"
    for broken in (b"123456780*31c3", b"123456789*31C3", b"123456789", b"*31c3", b""):
        assert serial.unframed(broken) is None


class Line:
    """The board's end of a line, and the bridge's link on the other."""

    def __init__(self, serial: Any) -> None:
        self.serial = serial
        self.ours, self.theirs = os.openpty()
        tty.setraw(self.theirs)
        self.link = serial.Link(os.ttyname(self.theirs))
        self.clock = 0.0
        os.set_blocking(self.ours, False)

    def sent(self) -> list[str]:
        """What the bridge has written."""
        try:
            lines = os.read(self.ours, 4096).split(b"\n")
        except BlockingIOError:
            return []
        return [self.serial.unframed(line) for line in lines if line]

    def board(self, *texts: str) -> list[str]:
        """The board says that; what the bridge takes up."""
        for text in texts:
            os.write(self.ours, self.serial.framed(text))
        found: list[str] = self.link.pump(0.2)
        return found

    def end(self) -> None:
        self.link.__exit__()
        for descriptor in (self.ours, self.theirs):
            os.close(descriptor)


@pytest.fixture
def line(bridge: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    one = Line(sys.modules["bridge_serial"])
    monkeypatch.setattr(one.serial.time, "monotonic", lambda: one.clock)
    one.link.answered_at = 0.0
    yield one
    one.end()


def test_one_line_after_the_other(line: Line) -> None:
    line.link.send("A [1]")
    line.link.send("B [2]")
    line.link.pump(0)
    [first] = line.sent()
    number = int(first.partition(" ")[0])
    assert first == f"{number} A [1]"
    line.link.pump(0)
    assert line.sent() == []  # not before the board has answered
    assert line.board(f"={number}", "Dummy_Sensor [3]") == ["Dummy_Sensor [3]"]
    line.link.pump(0)
    assert line.sent() == [f"{(number + 1) % 1000} B [2]"]
    assert line.board(f"={number}") == []  # an answer to another line
    assert not line.link.idle
    line.board(f"={(number + 1) % 1000}")
    assert line.link.idle


def test_what_is_not_answered_is_repeated_then_given_up(
    line: Line, capsys: pytest.CaptureFixture[str]
) -> None:
    line.link.send("A [1]")
    line.link.send("B [2]")
    said = []
    for _ in range(6):
        line.link.pump(0)
        said += line.sent()
        line.clock += 2.1
    assert len(set(said[:5])) == 1
    assert said[5].endswith(" B [2]")
    assert "no answer to" in capsys.readouterr().out
    line.clock += 40
    assert line.link.silent


def test_disturbances(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    os.write(line.ours, b"rest of a line\n")
    assert line.board("?abc") == ["?abc"]
    assert capsys.readouterr().out == ""  # the first line may be half of one
    os.write(line.ours, b"A [1]*0000\n\xff\xfe*1234\n")
    assert line.board("B [2]") == ["B [2]"]
    assert capsys.readouterr().out.count("a disturbed line") == 2


def test_a_line_that_is_too_long_for_the_board(line: Line) -> None:
    line.link.send("A " + "x" * 108)
    with pytest.raises(ValueError, match="longer than the 110 bytes"):
        line.link.send("A " + "x" * 109)


def test_a_port_that_is_none(bridge: Any) -> None:
    serial = sys.modules["bridge_serial"]
    with pytest.raises(OSError, match="no serial port"):
        serial.Link("/dev/null")
    with pytest.raises(OSError, match="No such file"):
        serial.Link("/dev/nowhere")
