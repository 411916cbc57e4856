"""Kill the server again and again while short stories run; write down how each story ended.

A process of its own, because it needs Django on the server's database. ``test_kills.py`` runs it
and judges what it wrote; by hand::

    python tests/faults/campaign.py --folder DIR --kills 5 --out results.json

Iteration k has a consumer and a circuit of its own, on one of two meters: one remembers the job ids
that it applied, the other does not. Its story: an hourly report; a token texted by two phones; the
balance; off and on. At a moment drawn from the seed a process of the server is killed with
``SIGKILL``. The stories go on across the kills; in the end all of them must have ended the same.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from gridtalk.cli import environment
from gridtalk.demo.air import Faults
from gridtalk.demo.network import Network
from gridtalk.demo.server import Server, free_port, operators_own_forget

#: Shorter times than an operator's, so that each end is seen within minutes.
SETTINGS = {
    "GRIDTALK_JOB_LIFETIME_MINUTES": "1",
    "GRIDTALK_JOB_RESEND_SECONDS": "3",
    "GRIDTALK_REPORT_GRACE_SECONDS": "2",
    "GRIDTALK_LOG_LEVEL": "ERROR",
}


def campaign(*, folder: Path, kills: int, seed: int) -> list[dict[str, object]]:
    """Start a server, play and kill, stop it; the iterations as plain objects."""
    server = Server(folder / "data", port=free_port(), environment=SETTINGS)
    # A slow provider: the moments between its taking a text and our knowing of it are the worst.
    network = Network(retry_pause_s=0.1, faults=Faults(answer_s=0.08))
    try:
        server.start()
        server.wait_ready()
        with (
            environment.database(server.data_dir, role="exec"),
            network,
        ):
            environment.django_start()
            from play import campaign_play  # Django is set up only now

            return [vars(one) for one in campaign_play(server, network, kills=kills, seed=seed)]
    finally:
        print(f"the server ended with {server.stop()}; its log is {server.log_path}", flush=True)


def main() -> int:
    """Run the campaign; the results are JSON, one object for each iteration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    operators_own_forget()
    os.environ.update(SETTINGS)
    folder = given.folder or Path(tempfile.mkdtemp(prefix="gridtalk-faults-"))
    if os.geteuid() == 0:
        folder.chmod(0o755)  # the embedded PostgreSQL runs as another user
    began = time.monotonic()
    iterations = campaign(folder=folder, kills=given.kills, seed=given.seed)
    given.out.write_text(json.dumps(iterations, indent=1))
    print(f"{given.kills} kills in {time.monotonic() - began:.0f} s")
    if given.folder is None:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
