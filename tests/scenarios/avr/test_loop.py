"""The prepaid loop over an Arduino: Gridtalk, its broker, the bridge, and the meter in simavr."""

import sys
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Gridtalk, wait_until
from tests.scenarios.avr.board import Board, program_build, runner_build
from tests.scenarios.avr.bridge import Bridge
from tests.scenarios.device_server import generated
from tests.scenarios.devices.test_v1 import CREDIT, one

pytestmark = pytest.mark.scenario

CONFIRMED = "SELECT count(*) FROM jobs WHERE state = 'done'"


def test_credit_reaches_an_arduino_and_comes_back_confirmed(
    gridtalk: Gridtalk, tmp_path: Path
) -> None:
    folder, log = tmp_path / "device", tmp_path / "bridge.log"
    generated("prepaid-meter-arduino", folder)
    program_build(folder)
    board = Board(runner_build(tmp_path), folder).start()
    gridtalk.up(GRIDTALK_JOB_RESEND_SECONDS="3")
    url, address = f"http://127.0.0.1:{gridtalk.port}/iottalk/v2", str(uuid.uuid4())
    bridge = Bridge(folder, log, port=board.port, url=url, address=address)
    script = gridtalk.folder / "credit.py"
    script.write_text(CREDIT)

    def credit(*amounts: str) -> None:
        done = gridtalk.command(
            "exec", "--", sys.executable, str(script), "192.168.1.201", *amounts
        )
        assert done.returncode == 0, done.stderr

    def mirrored() -> Decimal:
        found: Any = one(gridtalk, "SELECT credit FROM circuits WHERE ip_address = '192.168.1.201'")
        return Decimal(found)

    try:
        wait_until(lambda: "CONNECT Ack-O" in log.read_text(), what="the registration", seconds=60)
        handle = one(gridtalk, "SELECT handle FROM registered_devices")
        for command in (
            ["interface", "add", "iottalk", "Devices"],
            ["meter", "add", "box", "--device-address", handle, "--interface", "Devices",
             "--circuits", "2"],
            ["meter", "bind", "box", handle],
        ):  # fmt: skip
            done = gridtalk.command(*command)
            assert done.returncode == 0, done.stderr
        credit("100.25", "0.75")
        wait_until(lambda: one(gridtalk, CONFIRMED) == 2, what="two confirmations", seconds=60)
        # Some hundredths of a watt-hour may have been used.
        assert Decimal("100.5") < mirrored() <= 101

        # Its power goes, and credit is sold meanwhile: it waits.
        board.cut()
        credit("50")
        board.start()
        wait_until(lambda: one(gridtalk, CONFIRMED) == 3, what="the third", seconds=90)
        assert Decimal(150) < mirrored() <= 151

        # The bridge is started anew: the same device, no approval needed, and nothing twice.
        bridge.end()
        bridge = Bridge(folder, log, port=board.port, url=url, address=address)
        credit("7")
        wait_until(lambda: one(gridtalk, CONFIRMED) == 4, what="the fourth", seconds=90)
        assert Decimal(156) < mirrored() <= 158
        for nothing in (
            "incoming_messages WHERE outcome IN ('refused', 'failed')",
            "jobs WHERE state <> 'done'",
            "device_events WHERE kind = 'refused'",
        ):
            assert one(gridtalk, f"SELECT count(*) FROM {nothing}") == 0, nothing
        alerts = one(gridtalk, "SELECT count(*) FROM alerts WHERE kind = 'no_credit'")
        assert alerts >= 1  # the circuits had none at first
        assert gridtalk.command("verify").returncode == 0
    finally:
        print(log.read_text())
        bridge.end()
        board.end()
