"""The bodies of v1."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from gridtalk.core.errors import UserError
from gridtalk.iottalk import wire_v1
from gridtalk.iottalk.wire_registration import Feature, Registration


def read(body: Any) -> Registration:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return wire_v1.registration_read(raw, address="c860008bd249", features_most=200)


@pytest.mark.parametrize(
    ("label", "text", "address"),
    [
        ("a MAC", "C860008BD249", "c860008bd249"),
        ("with colons", "C8:60:00:8b:D2:49", "c8:60:00:8b:d2:49"),
        ("a name of its own", "getAlias-Default", "getalias-default"),
        ("Chinese", "溫度計", "溫度計"),
    ],
)
def test_address(label: str, text: str, address: str) -> None:
    assert wire_v1.address_read(text) == address


@pytest.mark.parametrize("text", ["", " ", "x" * 65, "a\nb", "tree", "Get_Alias", "set_alias"])
def test_no_address(text: str) -> None:
    with pytest.raises(UserError, match="address"):
        wire_v1.address_read(text)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Acceleration-I", "idf"), ("Threshold-O3", "odf"), ("Keypad_I", "idf"), ("File~O", "odf"),
        ("Dummy_Sensor", None), ("Dummy_Control", None), ("RADIO", None), ("-Option", None),
    ],
)  # fmt: skip
def test_directions_told_by_names(name: str, kind: str | None) -> None:
    assert wire_v1.kind_by_name(name) == kind


def test_what_the_usual_client_sends() -> None:
    profile = {
        "d_name": "07.Dummy_Device", "dm_name": "Dummy_Device", "u_name": "yb", "is_sim": False,
        "df_list": ["Dummy_Sensor", "Dummy_Control", "Job-O", "Name~Info"],
    }  # fmt: skip
    assert read({"profile": profile}) == Registration(
        protocol="v1", address="c860008bd249", name="07.Dummy_Device", dm_name="Dummy_Device",
        profile=profile,
        features=(
            Feature("Dummy_Sensor", "idf"), Feature("Dummy_Control", "idf"),
            Feature("Job-O", "odf"), Feature("Name~Info", "idf"),
        ),
    )  # fmt: skip
    assert read({"profile": {"df_list": [], "d_name": None}}).name == ""


@pytest.mark.parametrize(
    ("label", "body", "reason"),
    [
        ("no JSON", b"profile=1", "not JSON"),
        ("no profile", {"dm_name": "A", "df_list": []}, "the body must be"),
        ("profile as text", {"profile": "A"}, "the body must be"),
        ("no features", {"profile": {"dm_name": "A"}}, "df_list must be a list"),
        ("a number as feature", {"profile": {"df_list": ["a", 1]}}, "entry 2 of df_list is 1"),
        ("twice", {"profile": {"df_list": ["a", "a"]}}, "named 2 times"),
        ("the control channel", {"profile": {"df_list": ["__Ctl_O__"]}}, "“__Ctl_O__” cannot be"),
        ("the profile", {"profile": {"df_list": ["profile"]}}, "“profile” cannot be"),
        ("too many", {"profile": {"df_list": [str(n) for n in range(201)]}}, "201 features"),
        ("a strange name", {"profile": {"df_list": [], "d_name": ["a"]}}, "profile.d_name is"),
    ],
)
def test_refused(label: str, body: Any, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        read(body)


@pytest.mark.parametrize(
    ("label", "body", "values"),
    [
        ("a list", {"data": [1, "a"]}, [1, "a"]),
        ("a scalar", {"data": 7}, [7]),
        ("a tuple in a list", {"data": [[1, 2]]}, [1, 2]),
        ("null", {"data": None}, [None]),
    ],
)
def test_data(label: str, body: Any, values: list[Any]) -> None:
    assert wire_v1.data_read(json.dumps(body).encode(), largest_bytes=99) == values


@pytest.mark.parametrize("body", [b"[1]", b"{}", b"7", b'{"Data": 1}', b"{", b'{"data": NaN}'])
def test_no_data(body: bytes) -> None:
    with pytest.raises(UserError):
        wire_v1.data_read(body, largest_bytes=99)


def test_samples() -> None:
    at = datetime(2026, 3, 4, 5, 6, 7, 8, tzinfo=UTC)
    assert wire_v1.samples_value([(at, [1])]) == {"samples": [["2026-03-04 05:06:07.000008", [1]]]}
    assert wire_v1.samples_value([]) == {"samples": []}
