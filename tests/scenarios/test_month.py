"""``gridtalk simulate --month``: whole villages, every fault, and the books clean at the end.

The full month is one command: ``gridtalk simulate --month --faults`` (10 villages, 30 days).
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

pytestmark = pytest.mark.scenario

CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("GRIDTALK_", "DJANGO_"))
}
#: Any time in the past: the story depends on the hours of the day.
UNTIL = (datetime.now(UTC) - timedelta(days=1)).replace(hour=18, minute=0)


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not pytest's own folder: the database's user cannot enter that one.
    made = Path(tempfile.mkdtemp(prefix="gridtalk-month-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def simulate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gridtalk.cli", "--data-dir", str(folder), "simulate", *arguments],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env=CLEAN,
    )


def month(folder: Path, villages: int, days: float, seed: int, *more: str) -> str:
    folder.mkdir(mode=0o755)
    until = f"{UNTIL:%Y-%m-%dT%H:%M}"
    done = simulate(folder, "--month", "--villages", str(villages), "--circuits", "6", "--days",
                    str(days), "--seed", str(seed), "--until", until, *more)  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    assert "WRONG" not in done.stdout
    assert "every meter has what the books say" in done.stdout
    return done.stdout


def fact(output: str, name: str) -> int:
    found = re.search(rf"^ +([\d,]+) {name}$", output, re.MULTILINE)
    assert found, f"{name} is not told: {output}"
    return int(found.group(1).replace(",", ""))


def story(output: str) -> str:
    found = re.search(r"^story ([0-9a-f]{8})", output, re.MULTILINE)
    assert found, output
    return found.group(1)


def test_three_days_with_every_fault_end_clean(folder: Path) -> None:
    output = month(folder / "faults", 2, 3, 7, "--faults")
    assert fact(output, "credits asked for") >= 3
    assert fact(output, "readings") > 500
    assert fact(output, "worth") > 0


def test_the_same_seed_tells_the_same_story_and_another_another(folder: Path) -> None:
    first = story(month(folder / "first", 1, 1.5, 3, "--faults"))
    again = story(month(folder / "again", 1, 1.5, 3, "--faults"))
    other = story(month(folder / "other", 1, 1.5, 4, "--faults"))
    assert first == again
    assert first != other


def test_a_load_needs_a_server(folder: Path) -> None:
    done = simulate(folder)
    assert done.returncode == 2
    assert "start “gridtalk up” first" in done.stderr


def test_a_written_past_is_clean(folder: Path) -> None:
    arguments = ("--meters", "5", "--circuits", "6", "--days", "4")
    done = simulate(folder, "--history", *arguments)
    assert done.returncode == 0, done.stderr
    assert "5 meters, 30 circuits, 3,360 reports" in done.stdout
    more = simulate(folder, "--history", "--meters", "2", "--circuits", "99", "--days", "3")
    assert more.returncode == 0, more.stderr
    assert "2 meters, 198 circuits, 14,400 reports" in more.stdout
    verified = subprocess.run(
        [sys.executable, "-m", "gridtalk.cli", "--data-dir", str(folder), "verify"],
        capture_output=True, text=True, timeout=60, check=False, env=CLEAN,
    )  # fmt: skip
    assert verified.returncode == 0, verified.stdout
