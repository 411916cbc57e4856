"""The SharedSolar meter library in two processes: the one that counts, and one that it forks."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from gridtalk.devicetalk.device_file import catalogue_folder

FOLDER = catalogue_folder() / "libraries/Python/sharedsolar/sharedsolar"


def test_the_fork_that_is_called_goes_on_alone(tmp_path: Path) -> None:
    """As iottalk-py does it: read here, called in a fork; while the counting thread works."""
    program = """
        import multiprocessing, sys, time
        from sharedsolar.board import SimulatedBoard
        from sharedsolar.meter import Meter

        def start():
            board = SimulatedBoard(["192.168.1.201"])
            board.loads_w = {"192.168.1.201": 3600.0}
            return Meter(board, price_per_kwh=1000, low_credit=0).start(interval_s=0.001)

        meter = start()
        meter.job("cr", 1, "192.168.1.201", 1000)

        def child(pipe):
            began = time.monotonic()  # what was used from here on is counted
            pipe.send("forked")
            time.sleep(0.3)
            meter.job("cr", 2, "192.168.1.201", 1000)
            before = meter.circuits["192.168.1.201"].credit
            time.sleep(0.5)
            used = float(before - meter.circuits["192.168.1.201"].credit)
            pipe.send(used / (time.monotonic() - began))
            pipe.send([m for m in iter(lambda: meter.next("JobDone-I"), None)])

        context = multiprocessing.get_context("fork")
        for _ in range(4):  # sooner or later the thread holds the lock when the process forks
            ours, theirs = context.Pipe()
            process = context.Process(target=child, args=(theirs,), daemon=True)
            process.start()
            assert ours.recv() == "forked"
            assert ours.poll(10), "the child hangs"
            counted = ours.recv()
            done = ours.recv()
            process.join()
            assert 0.5 < counted < 1.5, counted  # credit a second; 1, but for a tick
            assert [values[0] for values in done][-1:] == [2], done
            try:
                meter.job("cr", 3, "192.168.1.201", 1000)
            except ValueError as error:
                assert "another process" in str(error)
            else:
                raise AssertionError("both are the meter")
            assert meter.next("JobDone-I") is None
            meter = start()
            # What the child counted since its last save is lost with it, as in a power cut.
            credit = float(meter.circuits["192.168.1.201"].credit)
            assert 1900 < credit <= 2000, credit
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(FOLDER.parent), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
