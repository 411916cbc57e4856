"""Options, addresses and the one line of an error; the rest is in tests/scenarios."""

import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gridtalk.cli import COMMANDS, cli, environment, options
from gridtalk.cli.postgres import EmbeddedPostgres
from gridtalk.cli.up import address, port_check, public_address_set
from gridtalk.core.errors import SetupError

ROOT = Path(__file__).parents[3]


def test_every_command_of_the_list_exists_and_explains_itself() -> None:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        assert command.help, name


@pytest.mark.parametrize(
    ("arguments", "environment_says", "expected"),
    [
        pytest.param([], None, "/here/.gridtalk", id="default"),
        pytest.param([], "/there", "/there", id="environment"),
        pytest.param(["--data-dir", "/a"], "/there", "/a", id="option wins"),
        pytest.param(["probe", "--data-dir", "/b"], None, "/b", id="after the subcommand"),
        pytest.param(["--data-dir", "/a", "probe", "--data-dir", "/b"], None, "/b", id="last wins"),
        pytest.param(["--data-dir", "~/grid"], None, "/home/ada/grid", id="home"),
        pytest.param(["--data-dir", "rel"], None, "/here/rel", id="relative"),
    ],
)
def test_data_dir(
    arguments: list[str],
    environment_says: str | None,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setattr("os.getcwd", lambda: "/here")
    if environment_says is None:
        monkeypatch.delenv("GRIDTALK_DATA_DIR", raising=False)
    else:
        monkeypatch.setenv("GRIDTALK_DATA_DIR", environment_says)

    @click.group()
    @options.data_dir_option
    def group() -> None:
        pass

    @group.command()
    @options.data_dir_option
    def probe() -> None:
        click.echo(options.data_dir())

    words = arguments if "probe" in arguments else [*arguments, "probe"]
    done = CliRunner().invoke(group, words)
    assert done.output == f"{expected}\n"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ada:secret@db:5432/grid?sslmode=require", "postgresql://ada@db:5432/grid"),
        ("postgresql://ada:se@cret@db/grid", "postgresql://ada@db/grid"),
        ("postgresql:///grid", "postgresql:///grid"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert environment.masked(url) == shown


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000/"),
        ("0.0.0.0", "http://127.0.0.1:8000/"),
        ("::", "http://[::1]:8000/"),
        ("fe80::1", "http://[fe80::1]:8000/"),
        ("grid.example.org", "http://grid.example.org:8000/"),
    ],
)
def test_address_for_a_browser(host: str, shown: str) -> None:
    assert address(host, 8000) == shown


@pytest.mark.parametrize(
    ("public", "allowed"),
    [
        pytest.param(None, "localhost,127.0.0.1,[::1],10.0.0.7", id="host"),
        pytest.param("https://g.example.org", "localhost,127.0.0.1,[::1],g.example.org", id="name"),
        pytest.param("https://g.org:8443/x", "localhost,127.0.0.1,[::1],g.org", id="port and path"),
        pytest.param("http://[fe80::1]", "localhost,127.0.0.1,[::1],[fe80::1]", id="IPv6"),
    ],
)
def test_allowed_hosts(public: str | None, allowed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDTALK_PUBLIC_URL", public or "")
    monkeypatch.setenv("GRIDTALK_ALLOWED_HOSTS", "")
    public_address_set("10.0.0.7", 8000)
    import os

    assert os.environ["GRIDTALK_ALLOWED_HOSTS"] == allowed
    assert os.environ["GRIDTALK_PUBLIC_URL"] == (public or "http://10.0.0.7:8000")


def test_allowed_hosts_of_the_operator_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDTALK_ALLOWED_HOSTS", "only.example.org")
    monkeypatch.setenv("GRIDTALK_PUBLIC_URL", "https://other.example.org")
    public_address_set("127.0.0.1", 8000)
    import os

    assert os.environ["GRIDTALK_ALLOWED_HOSTS"] == "only.example.org"


@pytest.mark.enable_socket
def test_a_port_that_is_taken() -> None:
    with socket.socket() as other:
        # As granian listens, which lets others share the port.
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SetupError, match=f"port {port} on 127.0.0.1 is in use"):
            port_check("127.0.0.1", port)
    port_check("127.0.0.1", port)


@pytest.mark.enable_socket
def test_a_host_that_is_not_ours() -> None:
    with pytest.raises(SetupError, match=r"192\.0\.2\.1"):
        port_check("192.0.2.1", 8000)


def test_the_socket_of_a_long_path_is_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    server = EmbeddedPostgres(Path("/srv") / ("x" * 120))
    folder = server.socket_folder
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    with pytest.raises(SetupError, match="belongs to somebody else"):
        _ = EmbeddedPostgres(Path("/srv") / ("x" * 120)).socket_folder


def test_the_url_survives_odd_folders() -> None:
    from gridtalk.settings import database_from_url

    url = EmbeddedPostgres(Path("/srv/é & ü?/da ta")).url
    assert database_from_url(url)["HOST"] == "/srv/é & ü?/da ta/postgres"


def test_decode_imports_no_django() -> None:
    code = (
        "import sys; sys.argv = ['gridtalk', 'decode']\n"
        "from gridtalk.cli import main\n"
        "main()\n"
        "heavy = {'django', 'psycopg', 'psutil', 'granian'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input="(hello\n", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1


def test_decode_answers_each_line_before_the_next_comes() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "gridtalk.cli", "decode"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"(job=pp\n")
    process.stdin.flush()
    assert process.stdout.readline().startswith(b"{")
    process.stdin.close()
    process.wait(5)
    process.stdout.close()


def test_every_wire_module_is_under_the_contract_of_purity() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    listed = next(c["source_modules"] for c in contracts if c["name"].startswith("Wire codecs"))
    there = sorted(
        ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
        for path in (ROOT / "src").rglob("wire*.py")
    )
    assert listed == there, "list every wire*.py in pyproject.toml, sorted"


def test_no_file_of_the_build_names_a_registry_or_this_machine() -> None:
    for name in ("pyproject.toml", "constraints.txt", "Makefile", ".ci/run"):
        text = (ROOT / name).read_text()
        for forbidden in ("pypi.org", "://", "/root/", "/work/", "/opt/"):
            assert forbidden not in text, (name, forbidden)
