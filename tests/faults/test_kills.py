"""``kill -9`` at 50 moments: nothing that was accepted is lost, nothing is credited twice.

One campaign (``campaign.py``) is run for all of these tests; each judges one kill. For a quick look
``GRIDTALK_FAULT_KILLS=5 pytest tests/faults``; another order of moments: ``GRIDTALK_FAULT_SEED=7``.
"""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from judge import wrongs

KILLS = int(os.environ.get("GRIDTALK_FAULT_KILLS", "50"))
SEED = int(os.environ.get("GRIDTALK_FAULT_SEED", "1"))
LONGEST_S = 900
#: Our environment without what the tests' own Django uses.
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("GRIDTALK_", "DJANGO_"))
}

pytestmark = pytest.mark.faults


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the campaign saw, one object for each kill; xdist's workers share one campaign."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    out = shared / "faults.json"
    with (shared / "faults.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not out.exists():
            command = [sys.executable, str(Path(__file__).with_name("campaign.py"))]
            command += ["--kills", str(KILLS), "--seed", str(SEED), "--out", str(out)]
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=LONGEST_S, check=False, env=CLEAN
            )
            assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    loaded: list[dict[str, Any]] = json.loads(out.read_text())
    return loaded


@pytest.mark.parametrize("number", range(KILLS))
def test_the_story_ends_the_same(results: list[dict[str, Any]], number: int) -> None:
    result = results[number]
    assert wrongs(result) == [], (
        f"{result['killed']} was killed after {result['moment_s']} s, at a meter that "
        f"{'knows' if result['knows_job_ids'] else 'does not know'} job ids: {result['found']}"
    )


def test_every_part_was_killed_and_came_back(results: list[dict[str, Any]]) -> None:
    assert len(results) == KILLS
    assert all(result["recovered_s"] >= 0 for result in results)
    met = {(result["victim"], result["knows_job_ids"]) for result in results}
    assert len(met) == min(KILLS, 10), "five victims, two kinds of meter"
    if KILLS == 50:
        met = {(result["hand_over"], result["knows_job_ids"]) for result in results}
        assert len(met) == 6, "killed before and after a hand-over of credit, both kinds of meter"
