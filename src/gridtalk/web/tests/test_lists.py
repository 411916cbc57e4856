"""Lists: filters, pages by key, what a person finds; and errors in plain words."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from gridtalk.core import clock
from gridtalk.core.models import SystemLog
from gridtalk.core.services import system_log_create
from gridtalk.grid.models import Circuit
from gridtalk.iottalk.services.registration import device_register
from gridtalk.iottalk.wire_registration import Registration
from gridtalk.messaging.models import IncomingMessage
from gridtalk.telemetry.models import PrimaryLog
from gridtalk.telemetry.testing import meter_make
from gridtalk.testing_village import Village
from gridtalk.web.views import overview


def test_pages_go_by_key_and_come_back(village: Village, admin: Client) -> None:
    for number in range(120):
        system_log_create(source="test", text=f"line-{number:03d}.")
    seen: list[str] = []
    page = "/system-log"
    while page:
        text = admin.get(page).content.decode()
        seen += re.findall(r"line-(\d{3})\.", text)
        older = re.search(r'href="(\?[^"]*)" rel="next"', text)
        page = f"/system-log{older[1]}" if older else ""
    assert seen == [f"{number:03d}" for number in reversed(range(120))]
    middle = SystemLog.objects.get(text="line-040.").pk
    text = admin.get(f"/system-log?after={middle}").content.decode()
    assert "line-041." in text
    assert "line-040." not in text
    assert 'rel="prev"' in text


@pytest.mark.parametrize(
    ("page", "most"),
    [("/meters", "meters.METERS_PER_PAGE"), ("/devices", "devices.DEVICES_PER_PAGE")],
)
def test_numbered_pages_keep_what_was_looked_for(
    village: Village, admin: Client, monkeypatch: pytest.MonkeyPatch, page: str, most: str
) -> None:
    monkeypatch.setattr(f"gridtalk.web.views.{most}", 1)
    for name in ("b&b 1", "b&b 2"):
        meter_make(name=name)
        device_register(registration=Registration("v2", name, name=name), source="127.0.0.1")

    def neighbours(query: str) -> list[str]:
        return re.findall(
            r'<a href="([^"]*)">(?:←|[^<]* →)', admin.get(page + query).content.decode()
        )

    assert neighbours("?q=b%26b") == ["?q=b%26b&amp;page=2"]
    assert neighbours("?q=b%26b&page=2") == ["?q=b%26b&amp;page=1"]
    assert neighbours("?page=2") == ["?page=1", "?page=3"]
    assert neighbours("?q=b%26b+1") == []


@pytest.mark.parametrize("value", ["x", "-1", "9" * 30, "1.5", "\N{ARABIC-INDIC DIGIT ONE}"])
def test_a_place_that_is_none_is_named(admin: Client, value: str) -> None:
    answer = admin.get("/system-log", {"before": value})
    assert answer.status_code == 400
    assert "is no place in the list" in answer.content.decode()


@pytest.mark.parametrize(
    ("label", "query", "finds", "not_finds"),
    [
        ("incoming", {"kind": "incoming"}, "PIN TOKEN", "Credit added."),
        ("outgoing", {"kind": "outgoing"}, "Credit added.", "PIN TOKEN"),
        ("a state", {"state": "queued"}, "Credit added.", "PIN TOKEN"),
        ("a number written nationally", {"number": "76000001", "interface": "ID"}, "add ", "job="),
        ("a number with its country", {"number": "+223 76 00 00 01"}, "add ", "job="),
        ("only errors", {"failed": "on"}, "broken", "Credit added."),
    ],
)
def test_messages_are_filtered_by(
    village: Village, admin: Client, label: str, query: dict[str, str], finds: str, not_finds: str
) -> None:
    IncomingMessage.objects.create(
        number="+22370008888", text="(broken", communication_interface=village.interface,
        state="received", error="no circuit 192.168.1.240",
    )  # fmt: skip
    query = {
        key: str(village.interface.pk) if value == "ID" else value for key, value in query.items()
    }
    text = admin.get("/messages", query).content.decode()
    found = "".join(re.findall(r'<td class="text">(.*?)</td>', text, re.DOTALL))
    found = found.replace(f"{village.circuit.pin} {village.token.number}", "PIN TOKEN")
    assert finds in found
    assert not_finds not in found


def test_a_filter_that_is_none_is_named(village: Village, admin: Client) -> None:
    assert admin.get("/messages", {"state": "nonsense"}).status_code == 400


def test_a_list_never_counts_a_huge_table(village: Village, admin: Client) -> None:
    for path in ("/messages", "/messages?failed=on", "/", "/jobs", "/system-log"):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            admin.get(path)
        for query in queries:
            sql = query["sql"]
            if "COUNT(" in sql and '"messages"' in sql:
                assert "LIMIT" in sql or "GROUP BY" in sql, sql


@pytest.mark.parametrize("path", ["/messages", "/jobs", "/alerts", "/meters", "/tokens", "/"])
def test_more_rows_cost_no_more_queries(village: Village, admin: Client, path: str) -> None:
    from gridtalk.alerts.services import alert_raise
    from gridtalk.grid.services import meter_create
    from gridtalk.jobs.services import job_request
    from gridtalk.messaging.services import message_queue
    from gridtalk.prepaid.services import token_batch_create

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert admin.get(path).status_code == 200
        return len(seen)

    before = queries()
    for number in range(5):
        meter = meter_create(
            name=f"x{number}", phone=f"+2237000111{number}",
            communication_interface=village.interface, circuits=1,
        )  # fmt: skip
        circuit = meter.circuits.get(is_main=False)
        job_request(kind="cping", circuit=circuit)
        alert_raise(kind="low_credit", meter=meter, circuit=circuit)
        message_queue(interface=village.interface, number=str(meter.phone), text="hello")
        token_batch_create(count=2, value="10")
    assert queries() <= before


@pytest.mark.parametrize("word", ["ml0", "Pelen", "70008888", "+22370008888"])
def test_a_meter_is_found_by(village: Village, admin: Client, word: str) -> None:
    text = admin.get("/meters", {"q": word}).content.decode()
    assert f'href="/meters/{village.meter.pk}"' in text


@pytest.mark.parametrize("word", ["PIN", "Fanta", "+22376000001"])
def test_a_circuit_is_found_by(village: Village, admin: Client, word: str) -> None:
    word = village.circuit.pin if word == "PIN" else word
    text = admin.get("/meters", {"q": word}).content.decode()
    assert f'href="/circuits/{village.circuit.pk}"' in text


def test_what_cannot_be_found_is_said(village: Village, admin: Client) -> None:
    assert "No meter has “zzz”" in admin.get("/meters", {"q": "zzz"}).content.decode()


def test_the_overview_says_what_needs_a_person(village: Village, admin: Client) -> None:
    text = admin.get("/").content.decode()
    assert "1 credit is unconfirmed" in text
    assert "silent" not in text
    Circuit.objects.update(last_reported_at=clock.now() - timedelta(hours=9))
    assert "1 meter is silent" in admin.get("/").content.decode()


def test_a_failing_interface_is_on_the_overview(village: Village, admin: Client) -> None:
    type(village.interface).objects.update(
        last_error="user or password refused", last_error_at=clock.now()
    )
    text = admin.get("/").content.decode()
    assert "1 interface fails: Orange" in text
    assert "user or password refused" in admin.get("/interfaces").content.decode()


def test_the_last_hour_is_counted_up_to_a_bound(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert overview.last_hour()["received"] == 1
    assert not overview.last_hour()["more"]
    monkeypatch.setattr(overview, "MOST_COUNTED", 2)
    hour: Any = overview.last_hour()
    assert (hour["total"], hour["more"]) == (2, True)


def test_a_message_shows_what_came_of_it(village: Village, admin: Client) -> None:
    text = admin.get(f"/messages/{village.incoming.pk}").content.decode()
    assert "Credit added." in text
    assert f'href="/jobs/{village.credit_job.pk}"' in text
    assert "(job=cr&amp;jobid=" in text
    back = admin.get(f"/messages/{village.answer.pk}").content.decode()
    assert f'href="/messages/{village.incoming.pk}"' in back


def test_a_circuit_shows_its_reports_in_the_meters_zone(village: Village, admin: Client) -> None:
    type(village.meter).objects.update(time_zone="Africa/Kampala")
    at = clock.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH l AS (INSERT INTO logs (kind, received_at) VALUES ('primary', %s) RETURNING id) "
            "INSERT INTO primary_logs (id, circuit_id, meter_time, watthours, use_time_s, status, "
            "credit, clock_ahead) SELECT id, %s, %s, 41.5, 3600, 1, 99.25, false FROM l",
            [at, village.circuit.pk, at],
        )
    assert PrimaryLog.objects.count() == 1
    text = admin.get(f"/circuits/{village.circuit.pk}").content.decode()
    assert f"{at + timedelta(hours=3):%Y-%m-%d %H:%M}</time>" in text
    assert "41.50 Wh" in text
    assert "99.25" in text


def test_text_from_outside_is_shown_and_never_run(village: Village, admin: Client) -> None:
    IncomingMessage.objects.create(
        number="<b>1</b>", text="<script>alert(1)</script>",
        communication_interface=village.interface, state="received",
    )  # fmt: skip
    text = admin.get("/messages").content.decode()
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "<b>1</b>" not in text
