"""The bodies of v2's registration."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridtalk.core.errors import UserError
from gridtalk.iottalk.wire_registration import Feature, Registration
from gridtalk.iottalk.wire_v2 import (
    LARGEST_BODY_BYTES,
    address_read,
    deregistration_read,
    registration_read,
)

ADDRESS = "6e2d5b7c-7c21-4f54-bb0e-1b4ad4c1d0f1"


def read(body: Any) -> Registration:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return registration_read(raw, address=ADDRESS, features_most=200)


@pytest.mark.parametrize(
    ("label", "entry", "feature"),
    [
        ("types as a list", ["T-I", ["float", None]], ("T-I", ("float", None))),
        ("one type as a text", ["T-I", "dB"], ("T-I", ("dB",))),
        ("null", ["T-I", None], ("T-I", (None,))),
        ("a list of null, as iottalk-py sends", ["T-I", [None]], ("T-I", (None,))),
        ("no types", ["T-I"], ("T-I", (None,))),
        ("no parameters", ["T-I", []], ("T-I", ())),
        ("only a name", "T-I", ("T-I", (None,))),
        ("a name for a page", ["<b>“溫度”/+#", ["g"]], ("<b>“溫度”/+#", ("g",))),
    ],
)
def test_features(label: str, entry: Any, feature: tuple[str, tuple[str | None, ...]]) -> None:
    name, params = feature
    assert read({"idf_list": [entry]}).features == (Feature(name, "idf", params),)
    assert read({"odf_list": [entry]}).features == (Feature(name, "odf", params),)


def test_all_that_iottalk_py_sends() -> None:
    profile = {
        "model": "PrepaidMeter",
        "u_name": None,
        "version": "a1b2",
        "extra_setup_webpage": "",
    }
    found = read(
        {
            "name": "Shop", "accept_protos": ["mqtt"], "profile": profile,
            "idf_list": [["A-I", ["int"]]], "odf_list": [["A-I", ["int"]], ["B-O", [None]]],
        }
    )  # fmt: skip
    assert found == Registration(
        protocol="v2", address=ADDRESS, name="Shop", dm_name="PrepaidMeter", version="a1b2",
        profile=profile,
        features=(
            Feature("A-I", "idf", ("int",)), Feature("A-I", "odf", ("int",)),
            Feature("B-O", "odf", (None,)),
        ),
    )  # fmt: skip


def test_next_to_nothing_is_enough() -> None:
    assert read({}) == Registration(protocol="v2", address=ADDRESS)


@pytest.mark.parametrize(
    ("label", "body", "reason"),
    [
        ("no JSON", b"{", "not JSON"),
        ("a list", [], "must be a JSON object"),
        ("another protocol", {"accept_protos": ["coap"]}, "coap; this server speaks mqtt"),
        ("no protocol", {"accept_protos": []}, "nothing; this server speaks mqtt"),
        ("protocols of any kind", {"accept_protos": [{"a": 1}] * 9}, "speaks mqtt"),
        ("a number as name", {"name": 7}, "name is 7"),
        ("a long name", {"name": "x" * 101}, "name has 101 characters"),
        ("a name with a line break", {"name": "a\nb"}, "cannot be printed"),
        ("a name that turns the line around", {"name": "a\u202eb"}, "cannot be printed"),
        ("a name with NUL", {"name": "a\x01b"}, "cannot be printed"),
        ("features as object", {"idf_list": {}}, "idf_list must be a list"),
        ("a feature without name", {"idf_list": [["A", []], [None, []]]}, "name in entry 2 of idf"),
        ("an empty name", {"odf_list": [[" ", []]]}, "name in entry 1 of odf_list is empty"),
        ("a number as feature", {"idf_list": [5]}, "entry 1 of idf_list must be"),
        ("an empty feature", {"idf_list": [[]]}, "entry 1 of idf_list must be"),
        ("three parts", {"idf_list": [["a", [], 3]]}, "entry 1 of idf_list must be"),
        ("a number as type", {"idf_list": [["a", [1]]]}, "“a” has the type 1"),
        ("a list as type", {"idf_list": [["a", [["m"]]]]}, "“a” has the type"),
        ("a long type", {"idf_list": [["a", ["m" * 41]]]}, "“a” has the type"),
        ("many parameters", {"idf_list": [["a", [None] * 51]]}, "“a” has 51 parameters"),
        ("twice", {"idf_list": [["a", []], ["a", []]]}, "IDF “a” is named 2 times"),
        ("10,000", {"idf_list": [[f"f{n}", []] for n in range(5_000)]}, "5000 features; at most"),
        ("201 of both", {"idf_list": ["a"] * 100, "odf_list": ["a"] * 101}, "201 features"),
        ("profile as list", {"profile": [1]}, r"profile is \[1\]"),
        ("a large profile", {"profile": {"a": "x" * 17_000}}, "profile is too large"),
        ("a model of a strange kind", {"profile": {"model": {}}}, "profile.model is {}"),
        ("1 MB", b" " * 2**20, f"at most {LARGEST_BODY_BYTES}"),
        ("NaN", b'{"profile": {"a": NaN}}', "NaN"),
    ],
)
def test_refused(label: str, body: Any, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        read(body)


_KEYS = st.sampled_from(["name", "idf_list", "odf_list", "accept_protos", "profile", "model"])


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
        max_leaves=12,
    )
)
def test_any_body_is_read_or_refused(body: Any) -> None:
    with contextlib.suppress(UserError):
        assert read(body).address == ADDRESS


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("canonical", ADDRESS),
        ("capital letters", ADDRESS.upper()),
        ("without hyphens", ADDRESS.replace("-", "")),
    ],
)
def test_address(label: str, text: str) -> None:
    assert address_read(text) == ADDRESS


@pytest.mark.parametrize("text", ["", "meter-1", ADDRESS[:-1], ADDRESS + "0", "日" * 32])
def test_no_address(text: str) -> None:
    with pytest.raises(UserError, match="UUID"):
        address_read(text)


@pytest.mark.parametrize(
    "body", [{}, {"rev": None}, {"rev": 5}, {"rev": "old"}, {"rev": [ADDRESS]}]
)
def test_rev_is_needed_to_leave(body: Any) -> None:
    with pytest.raises(UserError, match="rev"):
        deregistration_read(json.dumps(body).encode())


def test_rev() -> None:
    assert str(deregistration_read(json.dumps({"rev": ADDRESS}).encode())) == ADDRESS
