"""Paths that no upload and no zip may have; the files' and devices' tests hold more of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridtalk.core import paths
from gridtalk.core.paths import path_fault, paths_clashes


@pytest.mark.parametrize(
    ("label", "path", "words"),
    [
        ("empty", "", "no name"),
        ("parent", "a/../b", "leads out"),
        ("absolute", "/a", "absolute"),
        ("drive", "c:a", "absolute"),
        ("backslash", "a\\b", "backslash"),
        ("stream", "ab:c", "not every system"),
        ("line separator", "a\u2028b", "cannot be printed"),
        ("leading space", "a/ b", "space"),
        ("device with an end", "a/Com¹.txt", "Windows"),
        ("long", "a" * 11, "longer than 10"),
    ],
)
def test_refused(label: str, path: str, words: str) -> None:
    assert words in (path_fault(path, longest=10) or ""), label


@pytest.mark.parametrize(
    "path", ["a", "{device_name}.ino", "a b/c", "資料/風", ".a", "a..b", "$(rm)"]
)
def test_taken(path: str) -> None:
    assert path_fault(path, longest=100) is None


@given(st.text(alphabet=st.sampled_from("./\\ a:\x00C"), min_size=1, max_size=8))
def test_what_is_taken_stays_in_its_folder(path: str) -> None:
    if path_fault(path, longest=100) is None:
        parts = path.split("/")
        assert not {"", ".", ".."} & set(parts)
        assert "\\" not in path


@given(st.text(alphabet=st.sampled_from("aX.{ -/conulpt1"), min_size=1, max_size=12))
def test_what_is_plainly_good_is_good(path: str) -> None:
    if paths._PLAIN.fullmatch(path):
        assert not path.startswith("/")
        assert [
            paths._part_fault(part) for part in path.split("/") if paths._part_fault(part)
        ] == []
        assert paths._character_fault(path) is None


def test_clashes() -> None:
    found = paths_clashes(["A", "a", "x", "x/y", "x/y/z"])
    assert [path for path, _ in found] == ["a", "x/y", "x/y/z"]
