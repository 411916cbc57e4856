"""The Python libraries of the catalogue, without their hardware."""

import fcntl
import importlib.util
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from gridtalk.devicetalk.device_file import catalogue_folder


def module(name: str) -> Any:
    path = catalogue_folder() / f"libraries/Python/{name}/{name}/{name}.py"
    spec = importlib.util.spec_from_file_location(f"catalogue_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


PZEM, RELAY, DHT, DUMMY = (module(name) for name in ("pzem", "relay", "dht", "dummy"))
# 230.1 V, 1.5 A, 340.2 W, 70000 Wh, 49.9 Hz, 0.98.
REGISTERS = (2301, 1500, 0, 3402, 0, 70000 & 0xFFFF, 70000 >> 16, 499, 98, 0)


def answer(*, address: int = 1, registers: tuple[int, ...] = REGISTERS) -> bytes:
    body = bytes([address, 4, 2 * len(registers)]) + struct.pack(f">{len(registers)}H", *registers)
    framed: bytes = PZEM.frame(*body)
    return framed


def test_a_pzems_frames() -> None:
    # The maker's own example of a request to any address.
    assert PZEM.frame(0xF8, 4, 0, 0, 0, 10) == bytes.fromhex("f80400 00 000a 6464")
    reading = PZEM.decode(answer())
    assert reading == PZEM.Reading(230.1, 1.5, 340.2, 70000, 49.9, 0.98)


@pytest.mark.parametrize(
    ("label", "data", "address", "awaited"),
    [
        ("silent", b"", None, "0 bytes came, 25 were awaited"),
        ("short", answer()[:-1], None, "24 bytes came"),
        ("noise", answer()[:-3] + b"\x01" + answer()[-2:], None, "check sum"),
        ("refused", PZEM.frame(1, 0x84, 2), None, "refuses: code 2"),
        ("another", answer(address=2), 1, "meter 2 answered instead of 1"),
    ],
)
def test_a_pzems_bad_answers(label: str, data: bytes, address: int | None, awaited: str) -> None:
    with pytest.raises(OSError, match=awaited):
        PZEM.decode(data, address)


def test_a_pzem_over_a_line() -> None:
    ours, theirs = os.openpty()
    meter = PZEM.Pzem(os.ttyname(theirs))
    os.write(ours, answer(address=9))  # left over from before: not taken for the answer
    os.set_blocking(ours, False)

    real = os.write

    def reply(descriptor: int, data: bytes) -> int:
        done = real(descriptor, data)
        real(ours, answer())
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PZEM.os, "write", reply)
        assert meter.read().power_w == 340.2
    assert os.read(ours, 100) == PZEM.frame(0xF8, 4, 0, 0, 0, 10)
    os.close(ours)
    os.close(theirs)
    os.close(meter._line)


def test_a_simulated_pzem_counts() -> None:
    meter = PZEM.Pzem("/nowhere/tty")
    meter.simulated_load_w = 3600.0
    meter._read_at -= 10
    assert meter.read().energy_wh == 10
    meter.reset_energy()
    assert meter.read().energy_wh == 0


def test_a_relays_requests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[tuple[int, bytes]] = []

    def ioctl(_: int, code: int, data: bytes) -> bytes:
        calls.append((code, data))
        return data[:-4] + struct.pack("=i", 77)

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    (tmp_path / "chip").touch()
    relay = RELAY.Relay(17, chip=str(tmp_path / "chip"), active_low=True)
    relay.switch(1)
    relay.switch(0)
    # The numbers of linux/gpio.h: GPIO_GET_LINEHANDLE_IOCTL, GPIOHANDLE_SET_LINE_VALUES_IOCTL.
    assert [code for code, _ in calls] == [0xC16CB403, 0xC040B409, 0xC040B409]
    request = calls[0][1]
    assert len(request) == 364
    assert request[:4] == struct.pack("=I", 17)
    assert request[256:261] == struct.pack("=IB", 2, 1)  # an output, high at first: open
    assert [data[0] for _, data in calls[1:]] == [0, 1]
    assert not relay.is_on


def test_a_dht_of_the_kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "iio:device0"
    folder.mkdir()
    (folder / "in_temp_input").write_text("23400\n")
    (folder / "in_humidityrelative_input").write_text("61500\n")
    monkeypatch.setattr(DHT, "DEVICES", tmp_path)
    sensor = DHT.Dht()
    assert sensor.read() == (23.4, 61.5)
    (folder / "in_temp_input").unlink()
    sensor._last_at -= 10
    assert sensor.read() == (23.4, 61.5)  # one reading failed: the last one
    with pytest.raises(OSError, match="in_temp_input"):
        DHT.Dht().read()


def test_simulated_sensors_stay_in_bounds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(DHT, "DEVICES", tmp_path)
    temperature, humidity = DHT.Dht().read()
    assert 20 <= temperature <= 30
    assert 40 <= humidity <= 80
    with pytest.raises(OSError, match="no DHT sensor"):
        DHT.Dht(simulated=False)
    walk = DUMMY.Walk(1, 2, step=50)
    assert all(1 <= walk.read() <= 2 for _ in range(100))
