"""The secrets file."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gridtalk.cli import secretsfile
from gridtalk.core.errors import SetupError

GOOD = {"secret_key": "s" * 40, "encryption_key": "e" * 40}


@pytest.fixture(autouse=True)
def _without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in secretsfile.NAMES.values():
        monkeypatch.delenv(name, raising=False)


def test_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    first = secretsfile.load(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert set(first) == {"GRIDTALK_SECRET_KEY", "GRIDTALK_ENCRYPTION_KEY"}
    assert len(set(first.values())) == 2
    assert secretsfile.load(path) == first
    assert [entry.name for entry in tmp_path.iterdir()] == ["secrets.json"]


def test_two_installations_differ(tmp_path: Path) -> None:
    assert secretsfile.load(tmp_path / "a") != secretsfile.load(tmp_path / "b")


def test_the_environment_wins_and_then_no_file_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDTALK_SECRET_KEY", "given")
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps(GOOD))
    assert secretsfile.load(path) == {
        "GRIDTALK_SECRET_KEY": "given",
        "GRIDTALK_ENCRYPTION_KEY": "e" * 40,
    }
    monkeypatch.setenv("GRIDTALK_ENCRYPTION_KEY", "given too")
    assert secretsfile.load(tmp_path / "other")["GRIDTALK_ENCRYPTION_KEY"] == "given too"
    assert not (tmp_path / "other").exists()


def test_a_file_open_to_others_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps(GOOD))
    path.chmod(0o644)
    secretsfile.load(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xfe", id="not text"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'{"secret_key": "sssssssssssssssssssssssssssssssssss"}', id="one missing"),
        pytest.param(json.dumps(GOOD | {"encryption_key": 17}).encode(), id="a number"),
        pytest.param(json.dumps(GOOD | {"encryption_key": "x"}).encode(), id="too short"),
    ],
)
def test_a_damaged_file_is_said_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secrets.json"
    path.write_bytes(content)
    with pytest.raises(SetupError, match="is damaged; put back a copy"):
        secretsfile.load(path)
    assert path.read_bytes() == content


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").mkdir()
    with pytest.raises(SetupError, match=r"cannot be read \(Is a directory\)"):
        secretsfile.load(tmp_path / "secrets.json")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps(GOOD))

    def refuse(*_given: object, **_named: object) -> str:
        raise PermissionError(13, "Permission denied")

    # Root, who runs the tests in CI, may read everything.
    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(SetupError, match="start Gridtalk as the user who owns it"):
        secretsfile.load(path)


def test_starts_at_the_same_time_agree(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    code = (
        "import sys; from pathlib import Path; from gridtalk.cli import secretsfile; "
        "print(sorted(secretsfile.load(Path(sys.argv[1])).items()))"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path)],
            stdout=subprocess.PIPE,
            env={"PATH": os.environ["PATH"]},
        )
        for _ in range(4)
    ]
    assert len({process.communicate()[0] for process in started}) == 1
