"""The loop's short story on a PostgreSQL of the system: an operator with a server of his own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from gridtalk.demo.server import free_port

pytestmark = pytest.mark.scenario

#: Run by ``gridtalk exec``: a village in the simulated network, a token, what came of it.
STORY = """
import sys
from datetime import datetime
from decimal import Decimal
from gridtalk.cli.environment import django_start
django_start()
from gridtalk.demo.network import Network
from gridtalk.demo.village import Plan, interface_make, settle, tokens_make, village_make

with Network() as network:
    interface, gateway = interface_make(
        network, server_url=sys.argv[1], name="system", phone="+22370000001", region="ML"
    )
    village = village_make(
        network, interface=interface, gateway=gateway, name="ml01", phone="+22370000002",
        plans=[Plan("Awa", "+22370000003")], start=datetime(2026, 1, 5, 10, 30),
    )
    awa = village.people[0]
    (token,) = tokens_make(count=1, value=Decimal(500), note="system")
    awa.say(f"add.{awa.pin}.{token}")
    answer = awa.await_text(lambda text: "token was added" in text, timeout_s=30)
    awa.say(f"add.{awa.pin}.{token}")
    again = awa.await_text(lambda text: "This token was used on" in text, timeout_s=30)
    village.meter.advance(datetime(2026, 1, 5, 11, 0, 1))
    assert settle(network), "not all was handled"
    applied = village.meter.look(lambda meter: [str(one.amount) for one in meter.applied])
    print(answer, again, applied, sep="\\n")
"""


class System:
    """A PostgreSQL cluster of our own, made with the system's binaries."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self.binaries, self.folder = binaries, folder
        self.data = folder / "data"
        self.port = free_port()
        # PostgreSQL does not run as root.
        self.user = ["--reuid=postgres", "--regid=postgres", "--init-groups"]
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")

    def run(self, program: str, *arguments: str) -> None:
        """Run one of the binaries to its end."""
        command = [str(self.binaries / program), "-D", str(self.data), *arguments]
        if os.geteuid() == 0:
            command = ["setpriv", *self.user, *command]
        with (self.folder.parent / f"{self.folder.name}.log").open("ab") as log:
            done = subprocess.run(
                command, check=False, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        assert done.returncode == 0, Path(log.name).read_text(errors="replace")

    def start(self) -> None:
        """Make the cluster and start it."""
        self.run("initdb", "-U", "postgres", "-A", "trust", "--encoding=UTF8",
                 "--locale=C.UTF-8", "-N")  # fmt: skip
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1"
        self.run("pg_ctl", "-w", "-o", options, "start")
        with psycopg.connect(self.url("postgres", "postgres"), autocommit=True) as connection:
            connection.execute("CREATE ROLE gridtalk LOGIN")
            connection.execute("CREATE DATABASE gridtalk OWNER gridtalk")

    def url(self, user: str = "gridtalk", name: str = "gridtalk") -> str:
        """The address of a database, over TCP."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{name}"


def binaries_find() -> Path | None:
    """The newest PostgreSQL that Debian's packages installed, or that the path has."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])
    )
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


@pytest.fixture
def system(gridtalk_fresh: Any) -> Iterator[System]:
    """A running PostgreSQL with an empty database."""
    binaries = binaries_find()
    if binaries is None:
        pytest.skip("there is no PostgreSQL: Debian's package postgresql")
    folder = gridtalk_fresh.folder / "postgresql"
    folder.mkdir(mode=0o755)
    cluster = System(binaries, folder)
    cluster.start()
    yield cluster
    cluster.run("pg_ctl", "-m", "fast", "-w", "stop")


def test_a_token_is_redeemed_on_a_postgresql_of_the_system(
    gridtalk_fresh: Any, system: System
) -> None:
    gridtalk = gridtalk_fresh
    url = {"GRIDTALK_DATABASE_URL": system.url()}
    with psycopg.connect(system.url()) as connection:
        version = connection.info.server_version // 10000
    assert version >= 14

    migrated = gridtalk.command("migrate", **url)
    assert migrated.returncode == 0, migrated.stderr
    again = gridtalk.command("migrate", **url)
    assert (again.returncode, again.stdout) == (0, "")

    gridtalk.up(**url)
    assert gridtalk.child("postgres") is None
    assert not (gridtalk.data_dir / "postgres").exists()
    story = gridtalk.command(
        "exec", "--", sys.executable, "-c", STORY, f"http://127.0.0.1:{gridtalk.port}",
        timeout=120, **url,
    )  # fmt: skip
    assert story.returncode == 0, f"{story.stderr}\n{gridtalk.said()}"
    answer, spent, applied = story.stdout.strip().splitlines()
    assert answer.endswith(": your token was added. Power is on, credit 1000.00.")
    assert spent.startswith("This token was used on ")
    assert applied == "['500.0']"

    with psycopg.connect(system.url()) as connection:
        rows = connection.execute("SELECT state, count(*) FROM tokens GROUP BY 1").fetchall()
        logs = connection.execute("SELECT count(*) FROM primary_logs").fetchone()
    assert rows == [("used", 1)]
    assert logs == (2,)  # the mains and Awa's circuit, at eleven

    # Stopped and started again: the same data, still clean.
    assert gridtalk.stop() == 0
    gridtalk.up(**url)
    verified = gridtalk.command("verify", **url)
    assert (verified.returncode, "The ledger is clean" in verified.stdout) == (0, True)
