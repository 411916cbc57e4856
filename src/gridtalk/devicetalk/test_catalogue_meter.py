"""The SharedSolar meter library: credit, limits, jobs, and power cuts at every write."""

import contextlib
import importlib
import json
import os
import sys
import types
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridtalk.devicetalk.device_file import catalogue_folder

FOLDER = catalogue_folder() / "libraries/Python/sharedsolar/sharedsolar"
ONE, TWO = "192.168.1.201", "192.168.1.202"


PACKAGE = "catalogue_sharedsolar"
sys.modules[PACKAGE] = types.ModuleType(PACKAGE)
sys.modules[PACKAGE].__path__ = [str(FOLDER)]


def module(name: str) -> Any:
    return importlib.import_module(f"{PACKAGE}.{name}")


METER, BOARD = module("meter"), module("board")


class World:
    """A simulated board with its clock, and the meter on it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.time = 1_700_000_000.0
        self.path = str(folder / "state.json")
        self.settings = {"price_per_kwh": 1000, "low_credit": 10} | settings
        self.start()

    def start(self) -> None:
        """As after a power cut: nothing but the file is left."""
        self.board = BOARD.SimulatedBoard([ONE, TWO], now=lambda: self.time)
        self.board.loads_w = {ONE: 100.0, TWO: 0.0}
        self.meter = METER.Meter(self.board, path=self.path, now=lambda: self.time, **self.settings)

    def after(self, seconds: float) -> None:
        self.time += seconds
        self.meter.tick()

    def said(self, df_name: str) -> list[list[Any]]:
        """All messages that are due, acknowledged."""
        messages = []
        while (message := self.meter.next(df_name)) is not None:
            self.meter.ack(message[-1])
            messages.append(message[:-1])
        return messages

    @property
    def one(self) -> Any:
        return self.meter.circuits[ONE]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_credit_is_counted_down_and_the_circuit_cut_off(world: World) -> None:
    world.meter.job("cr", 1, ONE, 50.0)
    assert world.said("JobDone-I") == [[1, 1, 50.0]]
    world.after(900)  # 100 W for a quarter of an hour at 1 a watt-hour
    assert world.one.credit == Decimal(25)
    world.after(600)
    assert world.said("Alert-I") == [[TWO, "nocw"], [ONE, "lcw"]]
    world.after(600)
    assert world.said("Alert-I") == [[ONE, "nocw"]]
    assert not world.one.is_on
    credit = world.one.credit
    world.after(600)
    assert world.one.credit == credit  # off: nothing is used
    assert world.said("Alert-I") == []
    world.meter.job("cr", 2, ONE, 100)
    assert world.one.is_on
    assert "lcw" not in world.one.told


def test_a_job_is_done_once_however_often_it_comes(world: World) -> None:
    for _ in range(3):
        world.meter.job("cr", 7, ONE, 4.35)
    assert world.one.credit == Decimal("4.35")
    assert world.said("JobDone-I") == [[7, 1, 4.35]]  # one confirmation at a time
    world.start()
    world.meter.job("cr", 7, ONE, 4.35)
    assert world.one.credit == Decimal("4.35")
    assert world.said("JobDone-I") == [[7, 1, 4.35]]


@pytest.mark.parametrize(
    ("label", "job", "awaited"),
    [
        ("kind", ("sell", 1, ONE, 1), "unknown kind"),
        ("circuit", ("con", 1, "192.168.1.299", 0), "no circuit"),
        ("negative", ("cr", 1, ONE, -5), "above zero"),
        ("text", ("cr", 1, ONE, "x"), "above zero"),
        ("nan", ("cr", 1, ONE, float("nan")), "above zero"),
        ("mains", ("cr", 1, METER.MAINS, 5), "no credit"),
    ],
)
def test_bad_jobs_change_nothing(
    label: str, job: tuple[str, int, str, Any], awaited: str, world: World
) -> None:
    with pytest.raises(ValueError, match=awaited):
        world.meter.job(*job)
    assert world.one.credit == 0
    assert world.meter.jobs == {}
    assert world.said("JobDone-I") == [], label


def test_switching(world: World) -> None:
    world.meter.job("con", 1, ONE, 0)
    assert not world.one.is_on  # no credit
    world.meter.job("cr", 2, ONE, 500)
    world.meter.job("coff", 3, ONE, 0)
    assert not world.board._on[ONE]
    world.meter.job("con", 4, ONE, 0)
    assert world.board._on[ONE]
    assert [x[:2] for x in world.said("JobDone-I")] == [[1, 0], [2, 1], [3, 0], [4, 1]]


def test_limits(tmp_path: Path) -> None:
    world = World(tmp_path, power_max_w=150, energy_max_wh=120)
    world.meter.job("cr", 1, ONE, 10_000)
    world.after(60)
    world.board.loads_w[ONE] = 200.0
    world.after(60)
    assert [ONE, "pmax"] in world.said("Alert-I")
    assert not world.one.is_on
    world.board.loads_w[ONE] = 140.0
    world.meter.job("con", 2, ONE, 0)
    assert world.one.is_on
    world.after(3500)
    assert world.said("Alert-I") == [[ONE, "emax"]]
    world.meter.job("con", 3, ONE, 0)
    assert not world.one.is_on  # until midnight
    world.board.loads_w[ONE] = 0.0
    world.after(86_400)
    assert world.one.is_on
    assert world.one.watthours == 0


@pytest.mark.parametrize("power_goes", [False, True])
def test_off_by_a_job_stays_off_until_con(power_goes: bool, tmp_path: Path) -> None:
    """Somebody may be at work on the line."""
    world = World(tmp_path, energy_max_wh=120)

    def off(after: str) -> None:
        if power_goes:
            world.start()
        assert not world.one.is_on, after
        assert not world.board._on[ONE], after

    world.meter.job("coff", 1, ONE, 0)
    world.meter.job("cr", 2, ONE, 10_000)
    off("the first credit")
    world.meter.job("con", 3, ONE, 0)
    assert world.board._on[ONE]
    world.after(4500)
    assert [ONE, "emax"] in world.said("Alert-I")
    world.meter.job("coff", 4, ONE, 0)
    world.after(86_400)
    assert "emax" not in world.one.told
    off("midnight")
    world.meter.job("cr", 5, ONE, 10)
    off("more credit")
    world.meter.job("con", 6, ONE, 0)
    assert world.board._on[ONE]
    world.after(4500)
    assert [ONE, "emax"] in world.said("Alert-I")
    world.meter.job("coff", 7, ONE, 0)
    world.meter.job("con", 8, ONE, 0)
    world.after(86_400)
    assert world.board._on[ONE]  # con came before the limit's end: midnight switches it on


@pytest.mark.parametrize(
    ("label", "saved", "after_credit", "after_con"),
    [
        ("off by a job", {"credit": "50", "is_on": False}, False, True),
        ("on", {"credit": "50", "is_on": True}, True, True),
        ("empty", {"credit": "0", "is_on": False, "told": ["nocw"]}, True, True),
        ("never had any", {"credit": "0", "is_on": False}, True, True),
        ("too much power", {"credit": "50", "is_on": False, "told": ["pmax"]}, False, True),
        ("too much energy", {"credit": "50", "is_on": False, "told": ["emax"]}, False, False),
    ],
)
def test_a_state_of_before_off_by_job_was_kept(
    label: str, saved: dict[str, Any], after_credit: bool, after_con: bool, tmp_path: Path
) -> None:
    world = World(tmp_path)
    state = {"origin": "00", "count": 3, "jobs": [1], "outbox": [], "circuits": {ONE: saved}}
    Path(world.path).write_text(json.dumps(state))
    world.start()
    credit = Decimal(saved["credit"])
    assert world.one.credit == credit
    assert world.one.is_on == saved["is_on"]
    assert world.one.off_by_job == (label == "off by a job")
    world.meter.job("cr", 2, ONE, 10)
    assert (world.one.credit, world.one.is_on) == (credit + 10, after_credit), label
    world.start()
    world.meter.job("con", 3, ONE, 0)
    assert (world.one.credit, world.one.is_on) == (credit + 10, after_con), label


def test_hourly_reports_and_pings(world: World) -> None:
    world.meter.job("cr", 1, ONE, 100)
    world.after(1)
    assert world.said("PrimaryLog-I") == []
    world.after(3600)
    [one, two] = world.said("PrimaryLog-I")
    assert one[0] == ONE
    assert one[1].endswith("0000")
    assert len(one[1]) == 14
    assert one[2:] == [1, 0.0, 1, 99.97]
    assert two[0] == TWO
    world.meter.job("cping", 2, ONE, 0)
    assert [x[0] for x in world.said("PrimaryLog-I")] == [ONE]
    world.meter.job("mping", 3, METER.MAINS, 0)
    assert [x[0] for x in world.said("PrimaryLog-I")] == [ONE, TWO]


def test_it_reports_more_often_where_asked(tmp_path: Path) -> None:
    world = World(tmp_path, report_every_s=10)
    for _second in range(25):
        world.after(1)
    assert len(world.said("PrimaryLog-I")) == 2 * 2
    world = World(tmp_path)
    world.after(3000)
    world.said("PrimaryLog-I")
    world.after(500)
    assert world.said("PrimaryLog-I") == []


def test_the_suns_report(world: World) -> None:
    world.after(3600)
    assert world.said("PcuLog-I") == []  # no power conditioning unit
    world.board.solar_peak_w = 500
    world.time = 1_700_049_600.0  # noon, UTC
    world.said("PrimaryLog-I")
    world.meter.job("mping", 1, METER.MAINS, 0)
    [[meter_time, *values]] = world.said("PcuLog-I")
    assert len(meter_time) == 14
    assert values == [75158.69, 45095.22, 37579.35, 52.0, 6.25, 0.0, 8.33, 60.0, 30.0]
    world.time += 12 * 3600
    night = world.board.pcu()
    assert night[0] > values[0]
    assert night[3:] == [48.0, 0.0, 1.5, 0.0, 0.0, 25.0]


def test_the_last_report_of_a_day_bears_its_date(world: World) -> None:
    world.meter.job("cr", 1, ONE, 100_000)
    times = []
    for _ in range(24):
        world.after(3600)
        times += [x[1] for x in world.said("PrimaryLog-I") if x[0] == ONE]
    assert sum(time.endswith("235959") for time in times) == 1
    assert not any(time.endswith("000000") for time in times)


def test_what_is_not_acknowledged_comes_again_with_growing_pauses(world: World) -> None:
    world.meter.job("coff", 1, ONE, 0)
    sent = []
    for second in range(500):
        if message := world.meter.next("JobDone-I"):
            sent.append((second, message[-1]))
        world.time += 1
    assert [second for second, _ in sent] == [0, 10, 40, 100, 400]
    assert len({reference for _, reference in sent}) == 1
    world.start()
    message = world.meter.next("JobDone-I")
    assert message[-1] == sent[0][1]
    world.meter.ack(message[-1])
    world.meter.ack("unknown")
    world.start()
    assert world.meter.next("JobDone-I") is None


@pytest.mark.parametrize("fails_at", range(12))
def test_a_power_cut_at_any_write_neither_loses_nor_doubles_credit(
    fails_at: int, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.after(1)
    count = 0

    def breaking(real: Any) -> Any:
        def call(*arguments: Any) -> Any:
            nonlocal count
            count += 1
            if count > fails_at:
                raise OSError("power cut")
            return real(*arguments)

        return call

    confirmed = []
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", breaking(os.fsync))
        patch.setattr(os, "replace", breaking(os.replace))
        for number in (1, 2, 3):
            try:
                world.meter.job("cr", number, ONE, 10)
                message = world.meter.next("JobDone-I")
                confirmed.append(message[0])
                world.meter.ack(message[-1])
            except OSError:
                # Nothing is said of what is not on the disk.
                with contextlib.suppress(OSError):
                    assert world.meter.next("JobDone-I") is None
    world.start()
    # What was confirmed is there; the gateway repeats the rest.
    assert world.one.credit >= 10 * len(confirmed)
    for number in (1, 2, 3):
        world.meter.job("cr", number, ONE, 10)
    assert world.one.credit == 30


def test_a_broken_state_file_stops_the_meter(world: World) -> None:
    Path(world.path).write_text('{"circuits": ')
    with pytest.raises(json.JSONDecodeError):
        world.start()


def test_a_relay_that_fails_is_switched_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(cid: str, on: bool) -> None:
        raise OSError("stuck")

    with monkeypatch.context() as patch:
        patch.setattr(world.board, "switch", stuck)
        world.meter.job("cr", 1, ONE, 10)
    assert world.one.credit == 10
    assert not world.board._on[ONE]
    world.after(1)
    assert world.board._on[ONE]


def test_lines_count_from_registers() -> None:
    class Pzem:
        wh = 500

        def read(self) -> Any:
            return type("Reading", (), {"power_w": 5.0, "energy_wh": self.wh})

    pzem = Pzem()
    lines = BOARD.Lines({ONE: (pzem, None)})
    assert lines.measure(ONE) == (5.0, 0.0)  # the register's past is not this meter's
    pzem.wh = 507
    assert lines.measure(ONE) == (5.0, 7.0)
    pzem.wh = 0
    assert lines.measure(ONE) == (5.0, 0.0)
