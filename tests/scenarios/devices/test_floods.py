"""Hostile registrations against a real server: refused, and nobody else is disturbed."""

import http.client
import json
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.conftest import Gridtalk

pytestmark = [pytest.mark.scenario, pytest.mark.alone]

FLOOD_S = 6.0
FEATURES = {"idf_list": [["A-I", ["float"]], ["B-I", [None]]], "accept_protos": ["mqtt"]}
HOSTILE: dict[str, bytes] = {
    "10,000 features": json.dumps({"idf_list": [[f"f{n}", []] for n in range(5_000)]}).encode(),
    "1 MB": b'{"name": "' + b"x" * 2**20 + b'"}',
    "cut": b'{"idf_list": [["a", ',
    "NaN": b'{"profile": {"a": NaN}}',
    "deep": b"[" * 60_000,
    "not UTF-8": b'{"name": "\xff\xfe"}',
    "NUL": b'{"idf_list": [["a\\u0000\\n", []]], "profile": {"\\ud800": 1}}',
    "twice": b'{"idf_list": [["a", []], ["a", []]]}',
}


def asks(port: int, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def registers(port: int, address: str) -> tuple[int, dict[str, Any]]:
    status, text = asks(port, "PUT", f"/iottalk/v2/{address}", json.dumps(FEATURES).encode())
    return status, json.loads(text)


def test_one_device_that_registers_many_times_at_once(gridtalk: Gridtalk) -> None:
    gridtalk.up()
    address = str(uuid.uuid4())
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: registers(gridtalk.port, address), range(36)))
    assert {status for status, _ in answers} == {200}
    assert len({answer["rev"] for _, answer in answers}) == 36
    assert len({(answer["username"], answer["password"]) for _, answer in answers}) == 1
    with gridtalk.database() as database:
        counts = database.execute(
            "SELECT (SELECT count(*) FROM registered_devices),"
            " (SELECT count(*) FROM registered_features),"
            " (SELECT rev::text FROM registered_devices)"
        ).fetchone()
    assert counts is not None
    assert counts[:2] == (1, 2)
    assert counts[2] in {answer["rev"] for _, answer in answers}


def test_a_flood_of_hostile_bodies(gridtalk: Gridtalk) -> None:
    gridtalk.up(GRIDTALK_DEVICE_REGISTRATIONS_PER_MINUTE="100000")
    statuses: Counter[tuple[str, int]] = Counter()
    slowest = 0.0
    end = time.monotonic() + FLOOD_S

    def flood(number: int) -> None:
        names = list(HOSTILE)
        while time.monotonic() < end:
            number += 1
            name = names[number % len(names)]
            path = f"/iottalk/v2/{uuid.uuid4()}"
            status, text = asks(gridtalk.port, "PUT", path, HOSTILE[name])
            assert json.loads(text)["reason"], text
            statuses[name, status] += 1

    status, key = asks(
        gridtalk.port, "POST", "/iottalk/v1/good",
        b'{"profile": {"dm_name": "Good", "df_list": ["A-I"]}}',
    )  # fmt: skip
    assert status == 200
    good = {"password-key": json.loads(key)["password"], "Content-Type": "application/json"}
    with ThreadPoolExecutor(8) as pool:
        floods = [pool.submit(flood, number) for number in range(8)]
        connection = http.client.HTTPConnection("127.0.0.1", gridtalk.port, timeout=20)
        while time.monotonic() < end:
            began = time.monotonic()
            connection.request("PUT", "/iottalk/v1/good/A-I", b'{"data": [1]}', good)
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, b"ok")
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.1)
        connection.close()
        for one in floods:
            one.result()

    assert {name for name, _ in statuses} == set(HOSTILE)
    assert {status for _, status in statuses} <= {400, 413}
    assert slowest < 5, f"another device waited {slowest:.1f} s"
    assert gridtalk.http_status("/healthz") == 200
    with gridtalk.database() as database:
        row = database.execute(
            "SELECT (SELECT count(*) FROM registered_devices), (SELECT count(*) FROM device_events)"
        ).fetchone()
    # The good one, and few lines about all the rest.
    assert row is not None
    assert row[0] == 1
    assert row[1] < 10
    assert "Traceback" not in gridtalk.said()
