"""The addresses that providers call: who may, what they are answered, what is kept."""

import base64
import json
import uuid
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import LazySettings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from gridtalk.core import secrets
from gridtalk.core.models import SystemLog
from gridtalk.gateway import callers
from gridtalk.messaging.models import CommunicationInterface, IncomingMessage, Message
from gridtalk.messaging.services import message_queue
from gridtalk.messaging.testing import KEY, kannel, netbook

pytestmark = pytest.mark.django_db
FORM = "application/x-www-form-urlencoded"
NUMBER = "+22370008888"


@pytest.fixture
def http() -> Client:
    return Client(enforce_csrf_checks=True)


def only() -> IncomingMessage:
    return IncomingMessage.objects.get()


def logged() -> list[str]:
    return list(SystemLog.objects.order_by("id").values_list("text", flat=True))


# --- Kannel -------------------------------------------------------------------------------------


def kannel_get(http: Client, interface_id: int, query: str, key: str = KEY) -> HttpResponse:
    return http.get(f"/sms/kannel/{interface_id}/in?key={key}&{query}")


def test_kannel_inbound_is_stored_and_answered_with_an_empty_body(http: Client) -> None:
    interface = kannel()
    query = "id=k-1&ts=1795447363&from=%2B22370008888&to=444&coding=0&charset=UTF-8&text=bal+234567"
    for _ in range(2):
        answer = kannel_get(http, interface.pk, query)
        assert (answer.status_code, answer.content) == (200, b"")
    assert (only().number, only().text, only().provider_id) == (NUMBER, "bal 234567", "k-1")


def test_once_the_interface_is_known_the_way_is_one_statement(http: Client) -> None:
    interface = kannel()
    kannel_get(http, interface.pk, "from=1&text=a")
    with CaptureQueriesContext(connection) as queries:
        kannel_get(http, interface.pk, "from=1&text=b")
    assert len([q for q in queries if "SAVEPOINT" not in q["sql"]]) == 1


def test_kannels_utf16_octets_are_read(http: Client) -> None:
    octets = "".join(f"%{octet:02X}" for octet in "₦ 漢😀".encode("utf-16-be"))
    query = f"id=k&from=1&coding=2&charset=UTF-16BE&text={octets}"
    assert kannel_get(http, kannel().pk, query).status_code == 200
    assert only().text == "₦ 漢😀"


def test_a_text_too_long_for_us_does_not_make_kannel_ask_again(http: Client) -> None:
    answer = kannel_get(http, kannel().pk, f"id=k&from=1&text={'x' * 5000}")
    assert (answer.status_code, answer.content) == (200, b"")
    assert (only().outcome, only().error) == ("refused", "too long: 5000 characters")


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("from=&text=", id="empty"),
        pytest.param("text=%FF%FE%00", id="broken encoding"),
        pytest.param("from=1&text=%", id="a broken percent sign"),
        pytest.param("from=1&text=a&charset=undefined", id="a charset that raises"),
        pytest.param("from=%00&text=%00&id=%00", id="NUL"),
        pytest.param("from=1&text=a&ts=-99999999999999999999", id="a time that is none"),
        pytest.param("text=&from=" + "9" * 9000 + "&id=" + "x" * 9000, id="long fields"),
    ],
)
def test_bad_kannel_input_is_stored_and_answered_200(http: Client, query: str) -> None:
    assert kannel_get(http, kannel().pk, query).status_code == 200
    assert IncomingMessage.objects.count() == 1


def test_a_post_url_is_read_as_kannel_posts(http: Client) -> None:
    """Kannel's own words (``fixtures/posted.json``), with the id in the query."""
    answer = http.generic(
        "POST",
        f"/sms/kannel/{kannel().pk}/in?key={KEY}&id=k-1",
        "₦ solde".encode("utf-16-be"),
        content_type='text/plain; charset="UTF-16BE"',
        headers={"X-Kannel-From": NUMBER, "X-Kannel-To": "444", "X-Kannel-Coding": "2"},
    )
    assert (answer.status_code, answer.content) == (200, b"")
    assert (only().number, only().text, only().provider_id) == (NUMBER, "₦ solde", "k-1")


@pytest.mark.parametrize("content_type", [FORM, "multipart/form-data"])
def test_a_form_at_kannels_address_is_read(http: Client, content_type: str) -> None:
    address = f"/sms/kannel/{kannel().pk}/in?key={KEY}"
    fields = {"from": NUMBER, "text": "bal 1 é"}
    if content_type == FORM:
        answer = http.post(address, urlencode(fields), content_type=FORM)
    else:
        answer = http.post(address, fields)
    assert answer.status_code == 200
    assert (only().number, only().text) == (NUMBER, "bal 1 é")


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("from=%2B22370008888&txt=bal+1", id="another name"),
        pytest.param("", id="nothing"),
        pytest.param("from=1", id="only a sender"),
    ],
)
def test_kannel_input_without_a_text_is_kept_for_the_operator_and_asked_for_again(
    http: Client, query: str
) -> None:
    interface = kannel()
    for _ in range(3):
        assert kannel_get(http, interface.pk, query).status_code == 400
    assert not IncomingMessage.objects.exists()
    (line,) = logged()
    assert line.startswith(f"/sms/kannel/{interface.pk}/in 400 from 127.0.0.1: there is no text")
    assert line.endswith(f"it said: {query or 'nothing'}")
    assert KEY not in line


# --- Who may call -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("/sms/kannel/{id}/in?from=1&text=a", "/sms/kannel/in"),
        ("/interface/send/{id}?number=1&message=a", "/interface/send"),
        ("/sms/send?number=1&message=a", "/sms/send"),
        ("/sms/received?x=1", "/sms/received"),
        ("/sms/ping?x=1", "/sms/ping"),
    ],
)
@pytest.mark.parametrize("key", ["", "&key=", "&key=wrong", "&key=%00", "&key=%ff", "&key=é"])
def test_a_wrong_key_is_refused_and_noted_once_a_minute(
    http: Client, path: str, address: str, key: str
) -> None:
    interface = netbook()
    for _ in range(5):
        assert http.get(path.format(id=interface.pk) + key).status_code == 403
    assert not IncomingMessage.objects.exists()
    assert len(logged()) == 1
    assert logged()[0].startswith(f"{address} from 127.0.0.1: wrong or missing key for ")


def test_a_flood_is_noted_again_after_a_minute(
    http: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    interface = kannel()
    kannel_get(http, interface.pk, "from=1", key="wrong")
    real = callers.time.monotonic
    monkeypatch.setattr(callers.time, "monotonic", lambda: real() + callers.LOGGED_EVERY_S)
    kannel_get(http, interface.pk, "from=1", key="wrong")
    assert len(logged()) == 2


@pytest.mark.parametrize("interface_id", [0, 999, 10**30])
def test_an_unknown_interface_is_refused_as_a_wrong_key_is(http: Client, interface_id: int) -> None:
    known = kannel_get(http, kannel().pk, "from=1", key="wrong")
    unknown = kannel_get(http, interface_id, "from=1")
    assert (unknown.status_code, unknown.content) == (known.status_code, known.content)
    assert unknown.status_code == 403


def test_an_interface_that_is_not_active_is_refused(http: Client) -> None:
    interface = kannel(active=False)
    assert kannel_get(http, interface.pk, "from=1&text=a").status_code == 403
    assert "Malitel is not active" in logged()[0]


def test_a_change_of_an_interface_works_after_two_seconds(
    http: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    interface = kannel()
    assert kannel_get(http, interface.pk, "from=1&text=a").status_code == 200
    CommunicationInterface.objects.update(active=False)
    assert kannel_get(http, interface.pk, "from=1&text=a").status_code == 200
    real = callers.time.monotonic
    monkeypatch.setattr(callers.time, "monotonic", lambda: real() + callers.REMEMBERED_S)
    assert kannel_get(http, interface.pk, "from=1&text=a").status_code == 403


def test_an_interface_without_a_key_lets_nobody_in(http: Client) -> None:
    interface = kannel(inbound_key_hash="")
    assert kannel_get(http, interface.pk, "from=1", key="").status_code == 403
    assert http.get("/sms/ping").status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer  {KEY} "},
        {"Authorization": "Basic " + base64.b64encode(f"bridge:{KEY}".encode()).decode()},
    ],
)
def test_the_key_may_stand_in_a_header(http: Client, headers: dict[str, str]) -> None:
    netbook()
    answer = http.get("/sms/ping", headers=headers)
    assert (answer.status_code, answer.content) == (200, b"pong")


@pytest.mark.parametrize("value", ["Basic", "Basic ###", "Basic é", "Basic " + "=" * 9, "Digest x"])
def test_a_header_that_is_none_is_refused(http: Client, value: str) -> None:
    netbook()
    assert http.get("/sms/ping", headers={"Authorization": value}).status_code == 403


# --- Generic ------------------------------------------------------------------------------------


def send(http: Client, body: Any, content_type: str = FORM) -> HttpResponse:
    interface_id = CommunicationInterface.objects.get().pk
    return http.post(f"/interface/send/{interface_id}?key={KEY}", body, content_type=content_type)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param("number=%2B22370008888&message=bal%201&uuid=u", FORM, id="a form"),
        pytest.param(
            json.dumps({"number": NUMBER, "message": "bal 1", "uuid": "u"}),
            "application/json",
            id="JSON number, message",
        ),
        pytest.param(
            json.dumps({"from": NUMBER, "text": "bal 1", "uuid": "u", "time": "2026-11-23"}),
            "application/json",
            id="JSON from, text",
        ),
    ],
)
def test_generic_posts(http: Client, body: str, content_type: str) -> None:
    kannel()
    for _ in range(2):
        answer = send(http, body, content_type)
        assert (answer.status_code, answer.content) == (200, b"")
    assert (only().number, only().text, only().provider_id) == (NUMBER, "bal 1", "u")


def test_generic_get_and_multipart(http: Client) -> None:
    interface = kannel()
    address = f"/interface/send/{interface.pk}?key={KEY}"
    assert http.get(f"{address}&number=+22370008888&message=bal").status_code == 200
    fields = {"number": NUMBER, "message": "₦ & +", "file": SimpleUploadedFile("a", b"\x00" * 99)}
    assert http.post(address, fields).status_code == 200
    assert list(IncomingMessage.objects.order_by("id").values_list("number", "text")) == [
        (NUMBER, "bal"),
        (NUMBER, "₦ & +"),
    ]


def test_the_setting_and_the_netbook_are_answered_with_the_uuid(
    http: Client, settings: LazySettings
) -> None:
    interface = kannel()
    settings.GENERIC_INBOUND_ANSWERS_UUID = True
    assert send(http, "number=1&message=a").content.decode() == str(only().uuid)
    settings.GENERIC_INBOUND_ANSWERS_UUID = False
    bridge = netbook(key="bridge")
    for address in (f"/interface/send/{bridge.pk}", "/sms/send"):
        answer = http.post(f"{address}?key=bridge", "number=1&text=a", content_type=FORM)
        stored = IncomingMessage.objects.filter(communication_interface=bridge).latest("id")
        assert answer.content.decode() == str(stored.uuid)
    assert IncomingMessage.objects.filter(communication_interface=interface).count() == 1


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param("message=bal", FORM, id="no number"),
        pytest.param("number=&message=bal", FORM, id="an empty number"),
        pytest.param('{"number": null, "message": "bal"}', "application/json", id="a null number"),
    ],
)
def test_a_missing_number_is_stored_as_refused(http: Client, body: str, content_type: str) -> None:
    kannel()
    assert send(http, body, content_type).status_code == 200
    row = only()
    assert (row.number, row.text, row.outcome, row.error) == ("", "bal", "refused", "no number")


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        pytest.param(b"{", "application/json", 400, id="JSON that is none"),
        pytest.param(b"[1]", "application/json", 400, id="JSON that is a list"),
        pytest.param(b"[" * 100_000, "application/json", 400, id="JSON too deep"),
        pytest.param(b"x", "multipart/form-data", 400, id="multipart without a boundary"),
        pytest.param(b"x", "multipart/form-data; boundary=" + "b" * 300, 400, id="a long boundary"),
        pytest.param(b"number=1&message=\xff\xfe\x00", FORM, 200, id="broken encoding"),
        pytest.param(b"\x00\x01\x02", "application/octet-stream", 400, id="octets"),
        pytest.param(b'{"number":223,"message":[1]}', "application/json", 400, id="a list"),
        pytest.param(b"number=1&mesage=bal", FORM, 400, id="another name"),
        pytest.param(b"number=1&message=", FORM, 200, id="an empty text"),
        pytest.param(b"number=1&message=a", "", 200, id="no content type"),
        pytest.param(b"number=1&message=a", "text/plain; charset=nonsense", 200, id="odd charset"),
        pytest.param(b"", FORM, 400, id="nothing"),
        pytest.param(b"&" * 250_000, FORM, 400, id="only separators"),
    ],
)
def test_bad_bodies_have_a_defined_answer(
    http: Client, body: bytes, content_type: str, status: int
) -> None:
    address = f"/interface/send/{kannel().pk}?key={KEY}"
    answer = http.generic("POST", address, body, content_type=content_type)
    assert answer.status_code == status
    assert IncomingMessage.objects.count() == (1 if status == 200 else 0)
    assert len(logged()) == (0 if status == 200 else 1)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(b"number=%2B22370008888&message=abc" + b"x" * 1_000_000, FORM, id="form"),
        pytest.param(
            b'{"number": "+22370008888", "message": "abc' + b"x" * 1_000_000 + b'"}',
            "application/json",
            id="JSON",
        ),
        pytest.param(b"number=%2B22370008888&message=abc" + b"x" * 5000, FORM, id="only the text"),
    ],
)
def test_a_body_or_text_too_large_is_refused_and_its_beginning_kept(
    http: Client, body: bytes, content_type: str
) -> None:
    kannel()
    for _ in range(3):
        assert send(http, body, content_type).status_code == 413
    assert not IncomingMessage.objects.exists()
    assert len(logged()) == 1
    assert NUMBER in logged()[0]
    assert "abcxxx" in logged()[0]


def test_a_multipart_body_too_large_is_refused(http: Client) -> None:
    interface = kannel()
    fields = {"number": NUMBER, "message": "x" * 1_000_000}
    answer = http.post(f"/interface/send/{interface.pk}?key={KEY}", fields)
    assert answer.status_code == 413
    assert len(logged()) == 1


def test_a_body_without_its_length_is_refused(http: Client) -> None:
    interface = kannel()
    answer = http.generic(
        "POST", f"/interface/send/{interface.pk}?key={KEY}", b"", HTTP_TRANSFER_ENCODING="chunked"
    )
    assert answer.status_code == 411
    assert not IncomingMessage.objects.exists()


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"])
def test_other_methods_are_refused(http: Client, method: str) -> None:
    interface = kannel()
    answer = http.generic(method, f"/interface/send/{interface.pk}?key={KEY}&number=1&message=a")
    assert answer.status_code == 405
    assert not IncomingMessage.objects.exists()


def test_a_database_that_fails_makes_the_provider_try_again(
    http: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    interface = kannel()

    def fails(**values: object) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    closed: list[bool] = []
    monkeypatch.setattr("gridtalk.gateway.webhooks.receive", fails)
    monkeypatch.setattr(
        "gridtalk.gateway.webhooks.connection",
        type("C", (), {"close": lambda self: closed.append(True)})(),
    )
    assert kannel_get(http, interface.pk, "from=1&text=a").status_code == 503
    assert closed == [True]


# --- Reports ------------------------------------------------------------------------------------


def report(http: Client, message: Message, query: str, sig: str | None = None) -> HttpResponse:
    signed = secrets.signature("report", str(message.uuid)) if sig is None else sig
    return http.get(f"/sms/report/{message.uuid}?sig={signed}&{query}")


def test_a_signed_report_settles_its_message(http: Client) -> None:
    message = message_queue(interface=kannel(), number=NUMBER, text="hello")
    for query, state in (
        ("type=8&answer=ACK%2F", "sent"),
        ("type=1", "delivered"),
        ("type=8", "delivered"),
    ):
        answer = report(http, message, query)
        assert (answer.status_code, answer.content) == (200, b"")
        assert Message.objects.get().state == state


@pytest.mark.parametrize("sig", ["", "0" * 32, "é", "%00"])
def test_a_report_without_our_signature_is_refused(http: Client, sig: str) -> None:
    message = message_queue(interface=kannel(), number=NUMBER, text="hello")
    for _ in range(3):
        assert report(http, message, "type=1", sig).status_code == 403
    assert Message.objects.get().state == "queued"
    assert len(logged()) == 1


def test_odd_reports_have_a_defined_answer(http: Client) -> None:
    message = message_queue(interface=kannel(), number=NUMBER, text="hello")
    assert report(http, message, "type=%25d").status_code == 400
    assert report(http, message, "").status_code == 400
    gone = Message(uuid=uuid.UUID(int=7))
    assert report(http, gone, "type=1").status_code == 200
    assert http.get("/sms/report/not-a-uuid?sig=x").status_code == 404


# --- Netbook ------------------------------------------------------------------------------------


def test_a_bridge_polls_sends_and_removes(http: Client) -> None:
    mine, other = netbook(), netbook("Other", key="other")
    first = message_queue(interface=mine, number=NUMBER, text="hello ₦")
    message_queue(interface=other, number=NUMBER, text="not yours")
    answer = http.get(f"/sms/received?key={KEY}")
    assert answer["Content-Type"] == "application/json"
    entries = answer.json()
    assert [sorted(entry) for entry in entries] == [["id", "number", "text", "time", "uuid"]]
    assert (entries[0]["uuid"], entries[0]["text"]) == (str(first.uuid), "hello ₦")
    assert http.post(f"/message/remove/{first.uuid}?key=other").status_code == 404
    for _ in range(2):
        removed = http.post(f"/message/remove/{first.uuid}?key={KEY}")
        assert (removed.status_code, removed.content) == (200, b"ok")
    assert http.get(f"/sms/received?key={KEY}").json() == []
    assert Message.objects.get(pk=first.pk).state == "sent"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/message/remove/{uuid.UUID(int=7)}?key={KEY}", 404),
        (f"/message/remove/{uuid.UUID(int=7)}", 403),
        (f"/message/remove/not-a-uuid?key={KEY}", 404),
    ],
)
def test_removing_what_is_not_there(http: Client, path: str, status: int) -> None:
    netbook()
    assert http.post(path).status_code == status


def test_nothing_is_changed_by_get(http: Client) -> None:
    message = message_queue(interface=netbook(), number=NUMBER, text="hello")
    assert http.get(f"/message/remove/{message.uuid}?key={KEY}").status_code == 405
    assert Message.objects.get().state == "queued"
