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


PZEM, RELAY, DHT, DUMMY, MHZ19, GPIO = (
    module(name) for name in ("pzem", "relay", "dht", "dummy", "mhz19", "gpio")
)
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


def test_pins_requests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[tuple[int, bytes]] = []

    def ioctl(_: int, code: int, data: bytes) -> bytes:
        calls.append((code, data))
        return bytes([1]) + data[1:-4] + struct.pack("=i", 77)

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    (tmp_path / "chip").touch()
    chip = str(tmp_path / "chip")
    contact = GPIO.Input(22, pull="up", active_low=True, chip=chip)
    assert contact.read() == 1
    lamp = GPIO.Output(23, active_low=True, chip=chip)
    lamp.write(3)
    lamp.write(0)
    # linux/gpio.h: GPIO_GET_LINEHANDLE_IOCTL, GPIOHANDLE_GET_… and _SET_LINE_VALUES_IOCTL.
    get, read, write = 0xC16CB403, 0xC040B408, 0xC040B409
    assert [code for code, _ in calls] == [get, read, get, write, write]
    assert calls[0][1][:4] == struct.pack("=I", 22)
    assert calls[0][1][256:260] == struct.pack("=I", 1 | 1 << 2 | 1 << 5)  # input, low, pulled up
    assert calls[2][1][256:261] == struct.pack("=IB", 2 | 1 << 2, 0)  # output, low, off at first
    assert [data[0] for _, data in calls[3:]] == [1, 0]
    assert not lamp.is_on


def test_simulated_pins(capsys: pytest.CaptureFixture[str]) -> None:
    assert GPIO.Input(1, chip="/nowhere/chip").read() in {0, 1}
    output = GPIO.Output(2, simulated=True)
    output.write(1)
    assert output.is_on
    assert "gpio pin 2: on" in capsys.readouterr().out


#: The example of the maker's manual: 608 ppm; here with 22 °C.
CO2 = bytes([0xFF, 0x86, 0x02, 0x60, 62, 0, 0, 0])
CO2 += bytes([MHZ19.check_sum(CO2)])


def test_a_co2_sensors_frames() -> None:
    # The manual's own commands.
    assert MHZ19.command(0x86) == bytes.fromhex("ff 01 86 00 00 00 00 00 79")
    assert MHZ19.command(0x87) == bytes.fromhex("ff 01 87 00 00 00 00 00 78")
    assert MHZ19.command(0x79, 0xA0) == bytes.fromhex("ff 01 79 a0 00 00 00 00 e6")
    assert MHZ19.decode(CO2) == MHZ19.Reading(608, 22)


@pytest.mark.parametrize(
    ("label", "data", "awaited"),
    [
        ("silent", b"", "0 bytes came, 9 were awaited"),
        ("short", CO2[:-1], "8 bytes came"),
        ("noise", CO2[:3] + b"\x61" + CO2[4:], "check sum"),
        ("another answer", b"\xff\x99" + CO2[2:], "no reading"),
        ("no start", b"\x00" + CO2[1:], "no reading"),
    ],
)
def test_a_co2_sensors_bad_answers(label: str, data: bytes, awaited: str) -> None:
    with pytest.raises(OSError, match=awaited):
        MHZ19.decode(data)


def test_a_co2_sensor_over_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    sensor = MHZ19.Mhz19(os.ttyname(theirs))
    os.write(ours, CO2[:4])  # left over from before: not taken for the answer
    real, sent = os.write, []

    def reply(descriptor: int, data: bytes) -> int:
        sent.append(data)
        real(ours, CO2)
        return real(descriptor, data)

    monkeypatch.setattr(MHZ19.os, "write", reply)
    assert sensor.read().co2_ppm == 608
    sensor.baseline(on=False)
    assert sent == [MHZ19.command(0x86), MHZ19.command(0x79)]
    monkeypatch.undo()
    for descriptor in (ours, theirs, sensor._line):
        os.close(descriptor)


def test_a_simulated_co2_sensor() -> None:
    sensor = MHZ19.Mhz19("/nowhere/tty")
    assert 450 <= sensor.read().co2_ppm <= 1350
    sensor.zero()


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
