"""What an IoTtalk server may answer when it is asked for a device object."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridtalk.core.errors import GridtalkError, NotFound
from gridtalk.devicetalk.tree import DfType
from gridtalk.devicetalk.wire_iottalk import WrongAnswer, answer_read, request_path

FIXTURES = Path(__file__).parent / "fixtures" / "iottalk"


def recorded(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


def test_a_device_object() -> None:
    found = answer_read(status=200, body=recorded("plantbox.json"))
    assert found.dm_name == "Plantbox"
    assert found.features == (
        ("Temperature-I", DfType("idf", ("float",))),
        ("Humidity-I", DfType("idf", ("float",))),
        ("Power-I", DfType("idf", ("float", "float"))),
        ("Lamp-O", DfType("odf", ("int",))),
        ("Pump-O", DfType("odf", ("int",))),
    )
    assert found.in_use == {"Temperature-I", "Lamp-O"}


def test_what_is_not_documented_is_passed_over() -> None:
    found = answer_read(status=200, body=b"\xef\xbb\xbf" + recorded("more-than-documented.json"))
    assert (found.dm_name, found.in_use) == ("植栽箱", frozenset())
    assert found.features[-1] == ("Reset-O", DfType("odf", ()))


@pytest.mark.parametrize(
    ("label", "file", "awaited"),
    [
        ("unknown type", "unknown-df-type.json", "the df_type of Both is both, not input"),
        ("unknown use", "in-use-but-unknown.json", "Siren-O is in use, but not in df_list"),
        ("no data", "no-data.json", "has no data"),
        ("no object", "no-do.json", "do.dfo, the names of the features in use, is missing"),
        ("no features", "no-features.json", "df_list, the features of the device model, is"),
        ("a list", "data-is-a-list.json", "has no data"),
        ("a page", "error-page.html", "answered with a web page, not with JSON"),
    ],
)  # fmt: skip
def test_answers_that_are_refused(label: str, file: str, awaited: str) -> None:
    with pytest.raises(WrongAnswer) as caught:
        answer_read(status=200, body=recorded(file))
    assert awaited in str(caught.value), label


def test_all_that_is_wrong_is_in_one_message() -> None:
    with pytest.raises(WrongAnswer) as caught:
        answer_read(status=200, body=recorded("all-wrong.json"))
    text = str(caught.value)
    for part in (
        "dm_name has a character that cannot be printed",
        "the df_type of Temperature-I is sensor, not input or output",
        "a parameter of Humidity-I has the type null",
        "the df_parameter of Power-I is no list",
        "df_name of feature 4 is missing",
        "feature 6 is no object",
        "the feature Pump-O is there twice",
        "a parameter of Evil-O has the type int; drop",
        "df_name of feature 9 has 101 characters",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("label", "status", "location", "kind", "awaited"),
    [
        ("gone", 404, "", NotFound, "no such project or device object"),
        ("elsewhere", 302, "https://x/login", WrongAnswer, "sends us on to https://x/login"),
        ("elsewhere, unsaid", 308, "", WrongAnswer, "sends us on;"),
        ("elsewhere, hostile", 302, "\x1b[31m" + "x" * 999, WrongAnswer, "…; give"),
        ("closed", 401, "", WrongAnswer, "wants a sign-in"),
        ("forbidden", 403, "", WrongAnswer, "wants a sign-in"),
        ("fault", 503, "", WrongAnswer, "has a fault; try again later (HTTP 503)"),
        ("wrong", 400, "", WrongAnswer, "refused the request (HTTP 400)"),
        ("empty", 204, "", WrongAnswer, "refused the request (HTTP 204)"),
    ],
)
def test_statuses(
    label: str, status: int, location: str, kind: type[Exception], awaited: str
) -> None:
    with pytest.raises(kind) as caught:
        answer_read(status=status, body=recorded("plantbox.json"), location=location)
    assert awaited in str(caught.value), label
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("label", "body"),
    [
        ("empty", b""), ("not UTF-8", b"\xff\xfe{}"), ("half", b'{"data": {"dm_name"'),
        ("deep", b"[" * 100_000), ("no number", b'{"data": NaN}'), ("a text", b'"data"'),
        ("null", b"null"), ("a huge number", b"9" * 10_000),
    ],
)  # fmt: skip
def test_bodies_that_are_no_object(label: str, body: bytes) -> None:
    with pytest.raises(WrongAnswer):
        answer_read(status=200, body=body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(), part, max_size=3),
    max_leaves=8,
)


@given(
    data=st.fixed_dictionaries(
        {},
        optional={
            "dm_name": JSON,
            "df_list": JSON | st.lists(st.fixed_dictionaries(
                {"df_name": JSON, "df_type": st.sampled_from(["input", "output", "x"]) | JSON,
                 "df_parameter": JSON | st.lists(st.fixed_dictionaries({"param_type": JSON}))}
            ), max_size=3),
            "do": JSON | st.fixed_dictionaries({"dfo": JSON | st.lists(st.text())}),
        },
    )
)  # fmt: skip
def test_any_json_is_taken_or_refused(data: object) -> None:
    try:
        found = answer_read(status=200, body=json.dumps({"data": data}).encode())
    except GridtalkError as error:
        str(error).encode()
        return
    assert found.features
    assert found.in_use <= {name for name, _ in found.features}


def test_names_stay_one_part_of_the_path() -> None:
    path = "/api/v0/project/a%2F..%2Fb%3F/deviceobject/%E6%A4%8D%20%23"
    assert request_path("a/../b?", "植 #") == path
