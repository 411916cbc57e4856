"""Kannel's wire, on what a real Kannel 1.4.5 said (``fixtures/``) and on what it must not break."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote_to_bytes, urlsplit
from uuid import UUID

import pytest

from gridtalk.core.errors import UserError
from gridtalk.messaging.interfaces.kannel import wire
from gridtalk.messaging.wire import (
    FORM,
    HttpResponse,
    InboundRequest,
    OutboundSms,
    Outcome,
    Report,
)

FIXTURES = Path(__file__).parent / "fixtures"
MESSAGE = UUID("0f8fad5b-d9cb-469f-a165-70867728950e")


def fixture(name: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((FIXTURES / name).read_text(encoding="utf-8"))
    return entries


def sent(text: str, **changed: Any) -> dict[str, list[str]]:
    sms = OutboundSms(
        number=changed.pop("number", "+22370008888"),
        text=text,
        uuid=MESSAGE,
        report_url=f"https://grid.example.org/sms/report/{MESSAGE}?sig=abc",
        sender=changed.pop("sender", "444"),
    )
    place = {"host": "kannel.example.org", "port": 13013, "username": "gw", "password": "p&w ="}
    request = wire.send_request(sms, **(place | changed))
    assert request.method == "GET"
    assert request.body is None
    parts = urlsplit(request.url)
    assert (parts.hostname, parts.port) == ("kannel.example.org", 13013)
    assert parts.path == "/cgi-bin/sendsms"
    return parse_qs(parts.query, keep_blank_values=True, encoding="latin-1")


def test_a_gsm_text_goes_as_utf8_with_coding_0() -> None:
    fields = sent("crédit: 20€")
    assert fields.pop("text") == ["crédit: 20€".encode().decode("latin-1")]
    assert fields == {
        "username": ["gw"],
        "password": ["p&w ="],
        "from": ["444"],
        "to": ["+22370008888"],
        "coding": ["0"],
        "charset": ["UTF-8"],
        "dlr-mask": ["27"],
        "dlr-url": [f"https://grid.example.org/sms/report/{MESSAGE}?sig=abc&type=%d&answer=%A"],
    }


def test_any_other_text_goes_as_utf16_octets_with_coding_2_and_no_charset() -> None:
    fields = sent("₦500 😀")
    assert fields["text"][0].encode("latin-1") == "₦500 😀".encode("utf-16-be")
    assert fields["coding"] == ["2"]
    assert "charset" not in fields


def test_without_a_number_of_ours_kannel_chooses_the_sender() -> None:
    assert "from" not in sent("hello", sender="")


def test_the_password_is_in_no_repr() -> None:
    sms = OutboundSms("+22370008888", "hello", MESSAGE, "https://grid.example.org/r?sig=s")
    request = wire.send_request(sms, host="::1", port=1, username="gw", password="hush")
    assert "hush" not in repr(request)
    assert request.url.startswith("http://[::1]:1/")


@pytest.mark.parametrize(
    "host", ["", "http://kannel", "a b", "kannel/..", "u:p@kannel", "k?x", "k\n"]
)
def test_a_host_that_is_none_is_refused(host: str) -> None:
    with pytest.raises(UserError, match="is not a host"):
        sent("hello", host=host)


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        pytest.param(202, "0: Accepted for delivery", Outcome.ACCEPTED, id="accepted"),
        pytest.param(202, "3: Queued for later delivery", Outcome.ACCEPTED, id="queued"),
        pytest.param(200, "0: Accepted for delivery", Outcome.ACCEPTED, id="an older build"),
        pytest.param(200, "<html>It works!</html>", Outcome.UNKNOWN, id="not Kannel"),
        pytest.param(204, "", Outcome.UNKNOWN, id="a success that Kannel does not know"),
        pytest.param(302, "", Outcome.REFUSED_PERMANENT, id="a redirect is not followed"),
        pytest.param(400, "Sender missing", Outcome.REFUSED_PERMANENT, id="bad request"),
        pytest.param(403, "Not routable. Do not try again.", Outcome.REFUSED_PERMANENT, id="403"),
        pytest.param(404, "", Outcome.REFUSED_PERMANENT, id="no such address"),
        pytest.param(500, "", Outcome.REFUSED_TEMPORARY, id="its own fault"),
        pytest.param(
            503, "Temporal failure, try again later.", Outcome.REFUSED_TEMPORARY, id="no bearerbox"
        ),
        pytest.param(599, "\x00" * 9000, Outcome.REFUSED_TEMPORARY, id="long and unprintable"),
    ],
)
def test_answers(status: int, body: str, outcome: Outcome) -> None:
    result = wire.read_response(HttpResponse(status, body))
    assert result.outcome is outcome
    assert len(result.detail) < 300
    assert "\x00" not in result.detail
    if outcome is not Outcome.ACCEPTED:
        assert str(status) in result.detail


@pytest.mark.parametrize("entry", fixture("answers.json"), ids=lambda e: str(e["label"]))
def test_captured_answers(entry: dict[str, Any]) -> None:
    result = wire.read_response(HttpResponse(entry["status"], entry["body"]))
    assert result.outcome is (
        Outcome.ACCEPTED if entry["status"] == 202 else Outcome.REFUSED_PERMANENT
    )


TEXTS = {
    "a command": ("+22370008888", "bal 234567"),
    "a compressed report": (
        "+22370008888",
        "(l76ZE0#E,36I,894,3U3Y;F,96,7N2,1IUL;G,N9,9WD,2XHX;H,90,4RE,1824#)",
    ),
    "UCS-2, mo-recode = true": ("22370008888", "₦ solde é 漢字 😀"),
    "UCS-2, mo-recode = false": ("22370008888", "₦ solde é 漢字 😀"),
    "a name as sender, spaces kept": ("AIRTEL", "  two  spaces   inside "),
    "reserved characters": ("+22370008888", "café 50% a+b&c=d"),
    "octets that are not the charset": ("+22370008888", "latin1 caf\ufffd"),
    "an empty text": ("+22370008888", ""),
    "three parts sent as 8-bit data": ("+22370008888", "a" * 153 + "b" * 153 + "c" * 20),
}


@pytest.mark.parametrize("entry", fixture("inbound.json"), ids=lambda e: str(e["label"]))
def test_captured_inbound(entry: dict[str, str]) -> None:
    sms = wire.parse_inbound(InboundRequest(query=b"key=k&" + entry["query"].encode()))
    assert (sms.number, sms.text) == TEXTS[entry["label"]]
    assert len(sms.provider_id) == 36
    assert sms.sent_at is not None
    assert sms.sent_at.isoformat().startswith("2026-11-23T15:")


@pytest.mark.parametrize(
    ("query", "number", "text", "provider_id"),
    [
        pytest.param(b"text", "", "", "", id="an empty text and nothing else"),
        pytest.param(b"from=+223700&text=a", " 223700", "a", "", id="a plus that became a space"),
        pytest.param(b"from=1&coding=2&text=%00a%00b", "1", "ab", "", id="no charset, coding 2"),
        pytest.param(b"from=1&charset=idna&text=a", "1", "a", "", id="a codec that is no charset"),
        pytest.param(b"from=1&charset=%00&text=%FF", "1", "\ufffd", "", id="a charset of NUL"),
        pytest.param(b"from=1&text=%zz%4", "1", "%zz%4", "", id="broken percent signs"),
        pytest.param(b"from=1&text=\xe9\xff", "1", "\ufffd\ufffd", "", id="raw octets"),
        pytest.param(b"from=1&text=a&text=b&id=x&id=y", "1", "a", "x", id="the first one counts"),
        pytest.param(b"from=1&text=a&ts=99999999999999999", "1", "a", "", id="a time too far"),
        pytest.param(b"from=1&text=a&ts=soon", "1", "a", "", id="a time that is none"),
    ],
)
def test_malformed_inbound_is_read_as_far_as_it_goes(
    query: bytes, number: str, text: str, provider_id: str
) -> None:
    sms = wire.parse_inbound(InboundRequest(query=query))
    assert (sms.number, sms.text, sms.provider_id) == (number, text, provider_id)
    assert sms.sent_at is None


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"&&=&==", id="only separators"),
        pytest.param(b"from=1&txt=bal&id=x", id="another name"),
    ],
)
def test_a_request_without_a_text_is_refused(query: bytes) -> None:
    with pytest.raises(UserError, match="no text in it"):
        wire.parse_inbound(InboundRequest(query=query))


POSTED = {
    **TEXTS,
    "8-bit data": ("+22370008888", "\x00\x01bal"),
    "a name as sender": ("AIRTEL", "(l76ZE0#E,36I,894,3U3Y#)"),
    "two parts": ("+22370008888", "a" * 153 + "b" * 20),
    "UCS-2, mo-recode = true": ("+22370008888", "₦ solde é 漢字 😀"),
    "UCS-2, mo-recode = false": ("+22370008888", "₦ solde é 漢字 😀"),
}


def posted(entry: dict[str, Any], query: bytes = b"key=k") -> InboundRequest:
    body = unquote_to_bytes(entry["body"])
    return InboundRequest(query, body, entry["content_type"], entry["headers"])


@pytest.mark.parametrize("entry", fixture("posted.json"), ids=lambda e: str(e["label"]))
def test_captured_posts(entry: dict[str, Any]) -> None:
    sms = wire.parse_inbound(posted(entry))
    assert (sms.number, sms.text) == POSTED[entry["label"]]
    assert sms.provider_id == ""
    assert sms.sent_at is not None
    # What the query of the post-url says counts before the headers; the text is the body.
    sms = wire.parse_inbound(posted(entry, b"id=k-1&from=7&ts=1795447363&text=&charset=UTF-16BE"))
    assert (sms.number, sms.text, sms.provider_id) == ("7", POSTED[entry["label"]][1], "k-1")
    assert sms.sent_at.isoformat().startswith("2026-11-23T15:")


@pytest.mark.parametrize(
    ("request_", "number", "text"),
    [
        pytest.param(
            InboundRequest(b"from=1", b"bal 2", "text/plain"), "1", "bal 2", id="only the text"
        ),
        pytest.param(InboundRequest(b"from=1", b"bal 2"), "1", "bal 2", id="no type"),
        pytest.param(
            InboundRequest(b"from=1&text=a", b"", "text/plain"), "1", "a", id="an empty body"
        ),
        pytest.param(
            InboundRequest(b"from=1", b"caf\xe9", "text/plain; charset=nonsense"),
            "1", "caf\ufffd", id="a charset that is none",
        ),
        pytest.param(
            InboundRequest(b"from=1", b"\x00a", "text/plain", {"X-Kannel-Coding": "2"}),
            "1", "a", id="no charset, coding 2",
        ),
        pytest.param(
            InboundRequest(b"key=k", b"from=%2B1&text=bal+2", FORM), "+1", "bal 2", id="a form"
        ),
        pytest.param(
            InboundRequest(b"from=9&text=b", b"from=1&text=a", FORM),
            "1", "a", id="a form counts before the query",
        ),
        pytest.param(
            InboundRequest(b"text=a", headers={"X-Kannel-From": "1"}),
            "1", "a", id="a header beside a query",
        ),
        pytest.param(InboundRequest(b"", b"bal 2", "text/plain"), "", "bal 2", id="no sender"),
    ],
)  # fmt: skip
def test_other_posts(request_: InboundRequest, number: str, text: str) -> None:
    sms = wire.parse_inbound(request_)
    assert (sms.number, sms.text) == (number, text)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (InboundRequest(b"from=1", b"", "text/plain"), "no text in it"),
        (InboundRequest(b"", b"from=1&txt=a", FORM), "no text in it"),
        (InboundRequest(b"", b'{"from":"1","text":"a"}', "application/json"), "application/json"),
        (InboundRequest(b"from=1", b"<message/>", "x" * 900), "xxx”"),
    ],
)
def test_other_posts_without_a_text_are_refused(request_: InboundRequest, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        wire.parse_inbound(request_)


@pytest.mark.parametrize("entry", fixture("reports.json"), ids=lambda e: str(e["label"]))
def test_captured_reports(entry: dict[str, str]) -> None:
    report = wire.parse_report(MESSAGE, InboundRequest(query=entry["query"].encode()))
    assert report.message_uuid == MESSAGE
    expected = Report.DELIVERED if entry["label"] == "delivered" else Report.TAKEN
    assert report.state is expected


@pytest.mark.parametrize(
    ("kind", "state", "detail"),
    [
        ("2", Report.UNDELIVERED, "Kannel reports: undeliverable (NACK/0x08)"),
        ("4", Report.WAITING, "NACK/0x08"),
        ("16", Report.REFUSED, "Kannel reports: the SMSC refused it (NACK/0x08)"),
        ("32", Report.WAITING, "NACK/0x08"),
    ],
)
def test_other_reports(kind: str, state: Report, detail: str) -> None:
    request = InboundRequest(query=f"type={kind}&answer=NACK%2F0x08".encode())
    report = wire.parse_report(MESSAGE, request)
    assert (report.state, report.detail) == (state, detail)


@pytest.mark.parametrize("kind", ["", "0", "3", "%25d", "1+1", "٨"])
def test_a_report_of_no_known_type_is_refused(kind: str) -> None:
    with pytest.raises(UserError, match="no delivery report"):
        wire.parse_report(MESSAGE, InboundRequest(query=f"type={kind}".encode()))
