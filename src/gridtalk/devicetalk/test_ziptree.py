"""Zips and folders: the same bytes, and nothing that leaves its folder."""

import io
import os
import stat
import zipfile
from pathlib import Path

import pytest

from gridtalk.devicetalk.tree import InvalidTree, Limits
from gridtalk.devicetalk.tree_paths import path_fault, safe_name
from gridtalk.devicetalk.ziptree import files_write, folder_read, folder_write, zip_make

TREE = {"b.py": b"x", "a/run.sh": b"#!/bin/sh\n", "資料/風.txt": "風\r\n".encode()}


def test_the_same_bytes_whatever_the_order() -> None:
    packed = zip_make(TREE, "dev")
    assert packed == zip_make(dict(reversed(TREE.items())), "dev")
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["dev/a/run.sh", "dev/b.py", "dev/資料/風.txt"]
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        modes = [entry.external_attr >> 16 for entry in archive.infolist()]
        assert modes == [stat.S_IFREG | mode for mode in (0o755, 0o644, 0o644)]
        assert archive.read("dev/資料/風.txt") == "風\r\n".encode()


HOSTILE = [
    "../x",
    "a/../../x",
    "/etc/passwd",
    "a//b",
    "./a",
    "a/.",
    "",
    "a\\..\\b",
    "C:/x",
    "C:x",
    "a:stream",
    "nul",
    "a/CON.txt",
    "com1.py",
    "a\x00b",
    "a\nb",
    "a\x7f",
    "a\u2028b",
    "a\ud800b",
    "dot.",
    "space ",
    "what?",
    "<script>",
]


@pytest.mark.parametrize("path", HOSTILE, ids=ascii)
def test_hostile_paths_are_refused_by_name(path: str, tmp_path: Path) -> None:
    assert path_fault(path)
    with pytest.raises(InvalidTree) as caught:
        zip_make({"good": b"", path: b""}, "")
    assert [problem.path for problem in caught.value.problems][:1] == [path]
    with pytest.raises(InvalidTree):
        folder_write({"good": b"", path: b""}, tmp_path / "out")
    with pytest.raises(InvalidTree):
        files_write({"good": b"", path: b""}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "path", ["$(reboot).py", "a;b&c|".replace("|", ""), "`id`", "-rf", "風.py"]
)
def test_what_only_a_shell_would_mind_is_plain_text(path: str) -> None:
    assert path_fault(path) is None


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("Plantbox 1", "Plantbox_1"),
        ("風速計", "風速計"),
        ("../../etc", "______etc"),
        ("1st", "_1st"),
        ("", "_"),
        ("con", "_con"),
        ("a/b\\c\0d\ne", "a_b_c_d_e"),
        ("{{ x }}", "___x___"),
        ("ﬁle", "file"),
        ("$(rm -rf ~)", "__rm__rf___"),
    ],
)
def test_safe_names(name: str, safe: str) -> None:
    assert safe_name(name) == safe
    assert path_fault(safe) is None
    assert safe.isidentifier()


def test_a_long_name_is_cut_for_file_systems() -> None:
    one, two = safe_name("風" * 92), safe_name("風" * 91 + "水")
    assert one != two
    assert len(one.encode()) <= 200
    assert one.isidentifier()


def test_folder_and_back(tmp_path: Path) -> None:
    folder_write(TREE, tmp_path / "out")
    assert folder_read(tmp_path / "out") == TREE
    assert (tmp_path / "out/a/run.sh").stat().st_mode & 0o111
    assert folder_read(tmp_path / "out", ignore=["a"]).keys() == TREE.keys() - {"a/run.sh"}
    with pytest.raises(InvalidTree, match="not empty"):
        folder_write(TREE, tmp_path / "out")


def test_written_over_what_is_there_the_rest_stays(tmp_path: Path) -> None:
    for content in (b"#!/bin/sh\n", b"#!/bin/sh\nexit\n"):
        files_write({**TREE, "a/run.sh": content}, tmp_path)
        (tmp_path / "a/state").touch()
        assert folder_read(tmp_path) == {**TREE, "a/run.sh": content, "a/state": b""}
        assert (tmp_path / "a/run.sh").stat().st_mode & 0o111


def test_links_and_pipes_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    folder = tmp_path / "lib"
    (folder / "real").mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "real/up").symlink_to("..")
    os.mkfifo(folder / "pipe")
    (folder / "large").write_bytes(b"x" * 11)
    with pytest.raises(InvalidTree) as caught:
        folder_read(folder, Limits(file_bytes=10))
    assert {(p.path, p.cause.split(";")[0]) for p in caught.value.problems} == {
        ("link", "it is a link"),
        ("real/up", "it is a link"),
        ("pipe", "it is neither a file nor a folder"),
        ("large", "it is larger than 10 bytes"),
    }
    (tmp_path / "out").symlink_to(folder / "real")
    with pytest.raises(InvalidTree, match="no folder"):
        folder_write({"x": b""}, tmp_path / "out")


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InvalidTree, match="cannot be written") as caught:
        folder_write({"a.txt": b"x"}, tmp_path / "file" / "below")
    assert "Not a directory" in str(caught.value)
