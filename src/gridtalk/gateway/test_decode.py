"""``gridtalk decode``: the shared vectors, the handling of lines, and properties."""

import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridtalk.gateway.decode import decode_stream

FIXTURES = Path(__file__).parent / "meter" / "fixtures"


def decoded(*lines: bytes, consumer: bool = False) -> list[Any]:
    return [json.loads(line) for line in decode_stream(lines, consumer=consumer)]


def text_decoded(text: str, *, consumer: bool = False) -> Any:
    (found,) = decoded(f"{json.dumps(text)}\n".encode(), consumer=consumer)
    return found


def vectors(name: str) -> list[Any]:
    return [
        pytest.param(vector, id=f"{vector['id']} {vector.get('group', vector['text'])}")
        for vector in map(json.loads, (FIXTURES / name).read_text().splitlines())
    ]


@pytest.mark.parametrize("vector", vectors("compressed.jsonl"))
def test_compressed_vector(vector: dict[str, Any]) -> None:
    found = text_decoded(vector["text"])
    if vector.get("expect") == "error":
        assert found["kind"] == "error"
        return
    assert found["kind"] == "primary_logs"
    if "logs" in vector:
        assert found["logs"] == vector["logs"]
    if vector.get("expect") == "partial":
        assert (len(found["logs"]), len(found["errors"])) == (vector["good"], vector["bad"])
    else:
        assert found["errors"] == []
        assert found["logs"]


@pytest.mark.parametrize("vector", vectors("messages.jsonl"))
def test_message_vector(vector: dict[str, Any]) -> None:
    found = text_decoded(vector["text"], consumer=vector["from"] == "consumer")
    match vector["kind"]:
        case "bad":
            assert found["kind"] == "error" or (not found["logs"] and found["errors"])
        case "primary_logs":
            assert found == {"kind": "primary_logs", "logs": vector["expect"], "errors": []}
        case kind:
            assert found["kind"] == kind
            assert (vector["expect"] or {}).items() <= found.items()


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"(job=delete&jobid=1)", {"kind": "job_ack", "job_id": 1, "status": None, "credit": None}),
        (
            b"(job=alert&alert=md)",
            {"kind": "alert", "code": "md", "cid": None, "credit": None},
        ),
        (b"ml05 online\r\n", {"kind": "power_on"}),
        (
            b"(pcu#11062200#0,0,0,0,48.01,0,0,-1)",
            {
                "kind": "pcu_log",
                "meter_time": "2011-06-22T00:00:00",
                "values": [0.0, 0.0, 0.0, 0.0, 48.01, 0.0, 0.0, -1.0, None],
            },
        ),
        (
            b"(job=gateway-ping&meter-time=noon)",
            {"kind": "gateway_ping", "meter_time": "noon"},
        ),
        (b'"ml05\\nonline"', {"kind": "power_on"}),
        (
            b"(job=pp&cid=192.168.1.201&wh=1&tu=2&ts=11010719&status=0)",
            {
                "kind": "primary_logs",
                "logs": [
                    {
                        "cid": "192.168.1.201",
                        "meter_time": "2011-01-07T19:00:00",
                        "status": 0,
                        "use_time_s": 2.0,
                        "watthours": 1.0,
                        "credit": None,
                        "mains": False,
                    }
                ],
                "errors": [],
            },
        ),
    ],
)
def test_meter_line(line: bytes, shown: dict[str, Any]) -> None:
    assert decoded(line) == [shown]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"bal.234567", {"kind": "command", "action": "balance", "pin": "234567"}),
        (
            b"add.234567.123 456",
            {"kind": "command", "action": "add_credit", "pin": "234567", "token": "123456"},
        ),
        (
            b"tel.234567.+223 7000",
            {"kind": "command", "action": "set_contact", "pin": "234567", "phone": "+2237000"},
        ),
        (
            b"lang.234567.fr",
            {"kind": "command", "action": "language", "pin": "234567", "code": "fr"},
        ),
        (b"?", {"kind": "command", "action": "help", "pin": None}),
        (b"on", {"kind": "hint", "action": "turn_on"}),
        (b"(job=gateway-ping&meter-time=noon)", {"kind": "gateway_ping", "meter_time": "noon"}),
        (b"(l76ZE0#2S#)", {"kind": "unknown"}),
        (b'""', {"kind": "unknown"}),
    ],
)
def test_consumer_line(line: bytes, shown: dict[str, Any]) -> None:
    assert decoded(line, consumer=True) == [shown]


@pytest.mark.parametrize("consumer", [False, True])
@pytest.mark.parametrize(
    ("line", "part"),
    [
        (b"\n", "blank"),
        (b"", "blank"),
        (b" \t\r\n", "blank"),
        (b'"unfinished\n', "no JSON string"),
        (b'"a" and more\n', "no JSON string"),
    ],
)
def test_a_bad_line_is_an_error(line: bytes, part: str, consumer: bool) -> None:
    (found,) = decoded(line, consumer=consumer)
    assert found["kind"] == "error"
    assert part in found["reason"]


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    assert decoded(b"(job=gateway-ping&meter-time=\xff\xfe)") == [
        {"kind": "gateway_ping", "meter_time": "��"}
    ]
    assert decoded(b"bal.\xe9", consumer=True)[0]["pin"] == "�"


@given(st.lists(st.binary(max_size=60)), st.booleans())
def test_a_line_for_each_line(lines: list[bytes], consumer: bool) -> None:
    stream = BytesIO(b"\n".join(lines))
    count = len(list(BytesIO(stream.getvalue())))
    found = list(decode_stream(stream, consumer=consumer))
    assert len(found) == count
    for line in found:
        assert line.isascii()
        assert "\n" not in line
        assert json.loads(line)["kind"]


@given(st.text(), st.booleans())
def test_arbitrary_text_never_raises(text: str, consumer: bool) -> None:
    assert text_decoded(text, consumer=consumer)["kind"]


def test_nothing_heavy_is_imported() -> None:
    script = (
        "import sys, gridtalk.gateway.decode\n"
        "heavy = {'django', 'phonenumbers', 'psycopg', 'urllib3', 'hypothesis'}\n"
        "sys.exit(' '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
