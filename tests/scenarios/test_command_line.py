"""The real ``gridtalk up``: start, kills, restart, and one clear line for each fault."""

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import psutil
import psycopg
import pytest

pytestmark = pytest.mark.scenario

#: A task of procrastinate's own, put into the queue as any program could.
TASK = """INSERT INTO procrastinate_jobs (queue_name, task_name, priority, args, status)
VALUES ('builtin', 'builtin:procrastinate.builtin_tasks.remove_old_jobs', 0,
        '{"max_hours": 100000}', 'todo') RETURNING id"""


def until(probe: Callable[[], Any], what: str, seconds: float = 15) -> float:
    """Poll until true; the seconds it took."""
    began = time.monotonic()
    while not probe():
        if time.monotonic() - began > seconds:
            pytest.fail(f"after {seconds:g} s still not: {what}", pytrace=False)
        time.sleep(0.02)
    return time.monotonic() - began


def task_done(server: Any, number: int) -> bool:
    """Whether the worker has done that task (a done one is deleted)."""
    try:
        with server.database() as connection:
            found = connection.execute(
                "SELECT 1 FROM procrastinate_jobs WHERE id = %s AND status IN ('todo', 'doing')",
                [number],
            ).fetchone()
            return found is None
    except psycopg.OperationalError:
        return False


def worker_works(server: Any) -> None:
    """The worker does what is put into the queue."""
    with server.database() as connection:
        number = connection.execute(TASK).fetchone()[0]
    until(lambda: task_done(server, number), "a task done by the worker")


def test_starts_serves_and_ends_every_child(gridtalk_fresh: Any) -> None:
    gridtalk_fresh.up()
    assert 200 <= gridtalk_fresh.http_status() < 500
    worker_works(gridtalk_fresh)
    secrets = gridtalk_fresh.data_dir / "secrets.json"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    processes = gridtalk_fresh.processes()
    assert {"postgres", "web", "worker"} <= {
        name for name in ("postgres", "web", "worker") if gridtalk_fresh.child(name)
    }
    began = time.monotonic()
    assert gridtalk_fresh.stop() == 0
    assert time.monotonic() - began < 10
    assert gridtalk_fresh.alive_after(processes, seconds=5) == []
    assert not (gridtalk_fresh.data_dir / "postgres" / "postmaster.pid").exists()


def test_a_second_start_reuses_the_data(gridtalk: Any) -> None:
    gridtalk.up()
    secrets = (gridtalk.data_dir / "secrets.json").read_bytes()
    with gridtalk.database() as connection:
        connection.execute("CREATE TABLE kept (word text); INSERT INTO kept VALUES ('here')")
    gridtalk.stop()
    gridtalk.up()
    with gridtalk.database() as connection:
        assert connection.execute("SELECT word FROM kept").fetchone() == ("here",)
    assert (gridtalk.data_dir / "secrets.json").read_bytes() == secrets
    assert "first start" not in gridtalk.said()


def test_sigkill_of_up_leaves_no_orphan_and_the_next_start_works(gridtalk: Any) -> None:
    gridtalk.up()
    with gridtalk.database() as connection:
        connection.execute("CREATE TABLE kept (word text); INSERT INTO kept VALUES ('here')")
    below = gridtalk.processes()[1:]
    gridtalk.process.kill()
    gridtalk.process.wait()
    # At once: the next start ends what is still ending.
    gridtalk.up()
    assert gridtalk.alive_after(below, seconds=5) == []
    with gridtalk.database() as connection:
        assert connection.execute("SELECT word FROM kept").fetchone() == ("here",)
    worker_works(gridtalk)


def test_sigkill_of_up_ends_the_children_by_itself(gridtalk: Any) -> None:
    gridtalk.up()
    below = gridtalk.processes()[1:]
    gridtalk.process.kill()
    gridtalk.process.wait()
    assert gridtalk.alive_after(below, seconds=15) == []


def victim_web(server: Any) -> psutil.Process:
    return server.child("web")


def victim_web_process(server: Any) -> psutil.Process:
    return server.child("web").children()[0]


def victim_worker(server: Any) -> psutil.Process:
    return server.child("worker")


def victim_postmaster(server: Any) -> psutil.Process:
    return server.child("postgres")


def victim_backend(server: Any) -> psutil.Process:
    """The server process behind one of Gridtalk's own connections."""
    with server.database() as connection:
        row = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = 'gridtalk' AND pid <> "
            "pg_backend_pid() AND backend_type = 'client backend' LIMIT 1"
        ).fetchone()
    return psutil.Process(row[0])


@pytest.mark.parametrize(
    "victim",
    [victim_web, victim_web_process, victim_worker, victim_postmaster, victim_backend],
    ids=lambda function: function.__name__.removeprefix("victim_"),
)
@pytest.mark.parametrize("again", [1, 2])
def test_a_killed_process_comes_back(gridtalk_running: Any, victim: Any, again: int) -> None:
    server = gridtalk_running
    killed = victim(server)
    killed.kill()
    took = until(
        lambda: (
            not killed.is_running()
            # A wrong key is looked up in the database.
            and server.http_status("/interface/send/1?key=wrong") == 403
            and all(server.child(name) for name in ("postgres", "web", "worker"))
            and answers(server)
        ),
        "web, worker and database back",
    )
    began = time.monotonic()
    worker_works(server)
    took += time.monotonic() - began
    print(f"{victim.__name__.removeprefix('victim_')}: back after {took:.1f} s")
    assert took < 6


def answers(server: Any) -> bool:
    with contextlib.suppress(psycopg.OperationalError), server.database() as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)
    return False


def test_commands_share_the_running_database(gridtalk_running: Any) -> None:
    done = gridtalk_running.command("user", "add", "aminata", "--group", "admin")
    assert done.returncode == 0, done.stderr
    assert "password (shown once): " in done.stdout
    again = gridtalk_running.command("user", "add", "aminata", "--group", "admin")
    assert (again.returncode, again.stderr) == (
        1, "gridtalk: there is a user called aminata already\n",
    )  # fmt: skip
    key = gridtalk_running.command("apikey", "add", "tablet", "--user", "aminata")
    assert key.returncode == 0, key.stderr
    assert len(key.stdout.strip().rpartition(" ")[2]) == 43


def test_commands_start_and_stop_the_database_for_themselves(gridtalk_fresh: Any) -> None:
    done = gridtalk_fresh.command(
        "user", "add", "moussa", "--password-stdin", stdin="a rather long password\n"
    )
    assert done.returncode == 0, done.stderr
    assert "password" not in done.stdout
    assert not (gridtalk_fresh.data_dir / "postgres" / "postmaster.pid").exists()
    unknown = gridtalk_fresh.command("user", "add", "awa", "--group", "boss")
    assert unknown.returncode == 1
    assert unknown.stderr.startswith("gridtalk: there is no group “boss”; there are: ")


# --- One clear line for each fault ---------------------------------------------------------------


def one_line(done: Any) -> str:
    """The error that was said: one line, exit code 2."""
    assert done.returncode == 2, done
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return str(lines[0])


def test_a_second_up_on_the_same_folder(gridtalk_running: Any) -> None:
    said = one_line(gridtalk_running.command("up", "--port", "1"))
    assert f"(process {gridtalk_running.process.pid}) already runs on" in said


def test_a_port_in_use(gridtalk_fresh: Any) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = one_line(gridtalk_fresh.command("up", "--port", str(port)))
        assert said.startswith(f"gridtalk: port {port} on 127.0.0.1 is in use")
        said = one_line(gridtalk_fresh.command("web", "--port", str(port)))
        assert said.startswith(f"gridtalk: port {port} on 127.0.0.1 is in use")


@pytest.mark.parametrize("command", ["up", "web", "worker", "migrate", "verify"])
def test_a_database_that_cannot_be_reached(gridtalk_fresh: Any, command: str) -> None:
    url = "postgresql://somebody:secret-word@127.0.0.1:9/grid"
    done = gridtalk_fresh.command(command, GRIDTALK_DATABASE_URL=url)
    said = one_line(done)
    assert said.startswith(
        "gridtalk: the database at postgresql://somebody@127.0.0.1:9/grid cannot"
    )
    assert "secret-word" not in done.stderr + done.stdout


def test_a_database_that_is_not_postgresql(gridtalk_fresh: Any) -> None:
    said = one_line(
        gridtalk_fresh.command("migrate", GRIDTALK_DATABASE_URL="mysql://localhost/grid")
    )
    assert "Gridtalk needs PostgreSQL" in said


def test_a_data_folder_of_another_version(gridtalk_fresh: Any) -> None:
    (gridtalk_fresh.data_dir / "postgres").mkdir(parents=True)
    gridtalk_fresh.data_dir.chmod(0o711)
    (gridtalk_fresh.data_dir / "postgres").chmod(0o711)
    (gridtalk_fresh.data_dir / "postgres" / "PG_VERSION").write_text("16\n")
    said = one_line(gridtalk_fresh.command("up", "--port", str(gridtalk_fresh.port)))
    assert "were made by PostgreSQL 16, and this Gridtalk brings PostgreSQL" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's database runs as another user")
def test_a_data_folder_that_the_database_cannot_enter(gridtalk_fresh: Any) -> None:
    home = gridtalk_fresh.folder / "home"
    home.mkdir(mode=0o700)
    gridtalk_fresh.data_dir = home / "data"
    said = one_line(gridtalk_fresh.command("up", "--port", str(gridtalk_fresh.port)))
    assert said.startswith(f"gridtalk: the database cannot enter {home}:")
    assert f"chmod o+x {home}" in said
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "content",
    ["", "not json", "{}", '{"secret_key": "short", "encryption_key": "short"}', "[1]"],
)
def test_a_damaged_secrets_file(gridtalk_fresh: Any, content: str) -> None:
    gridtalk_fresh.data_dir.mkdir(mode=0o711)
    (gridtalk_fresh.data_dir / "secrets.json").write_text(content)
    said = one_line(gridtalk_fresh.command("migrate"))
    assert said.endswith("(a new one would leave the providers' stored passwords unreadable)")
    assert (gridtalk_fresh.data_dir / "secrets.json").read_text() == content


def test_a_data_folder_that_cannot_be_made(gridtalk_fresh: Any) -> None:
    (gridtalk_fresh.folder / "file").write_text("")
    gridtalk_fresh.data_dir = gridtalk_fresh.folder / "file" / "data"
    assert "cannot be made (Not a directory)" in one_line(gridtalk_fresh.command("migrate"))


def test_a_long_path_still_gets_a_socket(gridtalk_fresh: Any) -> None:
    gridtalk_fresh.data_dir = gridtalk_fresh.folder / ("a-rather-long-name-" * 6) / "data"
    gridtalk_fresh.data_dir.parent.mkdir()
    done = gridtalk_fresh.command("user", "add", "moussa", "--group", "view")
    assert done.returncode == 0, done.stderr


def test_ctrl_c_while_it_starts(gridtalk_fresh: Any) -> None:
    """An end that is asked for at any moment of the first start leaves nothing behind."""
    for pause in (0.3, 0.9, 1.6, 2.4):
        process = subprocess.Popen(
            [sys.executable, "-m", "gridtalk.cli", "up", "--data-dir", str(gridtalk_fresh.data_dir),
             "--port", str(gridtalk_fresh.port), "--mqtt-port", str(gridtalk_fresh.mqtt_port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=gridtalk_fresh.folder,
            env={k: v for k, v in os.environ.items() if not k.startswith("GRIDTALK_")},
        )  # fmt: skip
        time.sleep(pause)
        below = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        process.wait(20)
        assert gridtalk_fresh.alive_after(below, seconds=10) == [], f"after {pause} s"
    gridtalk_fresh.up()
    worker_works(gridtalk_fresh)


def test_data_dir_before_and_after_the_subcommand(gridtalk_fresh: Any) -> None:
    gridtalk_fresh.command("migrate")
    assert (gridtalk_fresh.data_dir / "secrets.json").exists()
    other = gridtalk_fresh.folder / "other"
    done = gridtalk_fresh.command("migrate", "--data-dir", str(other))
    assert done.returncode == 0, done.stderr
    assert (other / "secrets.json").exists()


def test_a_meter_is_added_and_keyed_beside_a_running_server(gridtalk_running: Any) -> None:
    run = gridtalk_running.command
    kannel = ("interface", "add", "kannel", "Bamako", "host=127.0.0.1", "username=gw", "region=ML")
    made = run(*kannel, "--password-stdin", stdin="pw\n")
    assert made.returncode == 0, made.stderr
    assert f"http://127.0.0.1:{gridtalk_running.port}/sms/kannel/" in made.stdout
    meter = ("meter", "add", "ml01", "--phone", "70 00 00 01", "--interface", "Bamako")
    added = run(*meter, "--circuits", "3", "--time-zone", "Africa/Bamako")
    assert added.returncode == 0, added.stderr
    assert added.stdout.count("192.168.1.2") == 3
    assert "already" in run(*meter).stderr
    key = run("meter", "key", "ml01").stdout.splitlines()[-1]
    assert gridtalk_running.http_status(key.partition(str(gridtalk_running.port))[2]) == 200
    assert gridtalk_running.http_status("/jobs/meter/1/?key=wrong") == 403
    missing = run("meter", "key", "nowhere")
    assert (missing.returncode, missing.stderr) == (1, "gridtalk: there is no meter “nowhere”\n")
