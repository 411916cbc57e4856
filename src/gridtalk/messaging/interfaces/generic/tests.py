"""The generic inbound address's wire: every form, and what is broken."""

from datetime import UTC, datetime

import pytest

from gridtalk.core.errors import UserError
from gridtalk.messaging.interfaces.generic.wire import parse_inbound
from gridtalk.messaging.wire import MOST_FIELDS, InboundRequest, read_time

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("request_", "number", "text", "uuid"),
    [
        pytest.param(
            InboundRequest(query=b"key=k&number=%2B22370008888&message=bal+1&uuid=u-1"),
            "+22370008888", "bal 1", "u-1", id="GET",
        ),
        pytest.param(
            InboundRequest(query=b"key=k", body=b"number=1&message=a%20b", content_type=FORM),
            "1", "a b", "", id="a form",
        ),
        pytest.param(
            InboundRequest(query=b"number=9", body=b"number=1&message=a", content_type=FORM),
            "1", "a", "", id="the body counts before the query",
        ),
        pytest.param(InboundRequest(body=b"number=&from=2&text=t"), "2", "t", "", id="empty"),
        pytest.param(InboundRequest(query=b"message=bal"), "", "bal", "", id="no number"),
        pytest.param(InboundRequest(query=b"number=1&text"), "1", "", "", id="an empty text"),
        pytest.param(
            InboundRequest(query=b"number=+22370008888&message=a"),
            " 22370008888", "a", "", id="a plus that became a space",
        ),
        pytest.param(
            InboundRequest(query=b"number=1&message=caf%E9"), "1", "caf\ufffd", "", id="latin-1"
        ),
        pytest.param(
            InboundRequest(body=b'{"number":"1","message":"caf\xe9"}'),
            "1", "caf\ufffd", "", id="JSON that is not UTF-8",
        ),
        pytest.param(
            InboundRequest(body=b'\xef\xbb\xbf{"number":"1","message":"a"}',
                           content_type="application/json"),
            "1", "a", "", id="JSON with a byte order mark",
        ),
        pytest.param(
            InboundRequest(body=b'{"number":["1"],"message":{"a":1},"text":2}'),
            "", "2", "", id="JSON with other types",
        ),
        pytest.param(
            InboundRequest(body=b'{"number":"1","message":"\\ud800"}'),
            "1", "?", "", id="JSON with half a pair",
        ),
        pytest.param(
            InboundRequest(query=b"text=a&" + b"&".join([b"x=1"] * MOST_FIELDS) + b"&number=1"),
            "", "a", "", id="too many fields",
        ),
    ],
)  # fmt: skip
def test_inbound(request_: InboundRequest, number: str, text: str, uuid: str) -> None:
    sms = parse_inbound(request_)
    assert (sms.number, sms.text, sms.provider_id) == (number, text, uuid)


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(InboundRequest(), id="nothing"),
        pytest.param(InboundRequest(query=b"number=1"), id="no text"),
        pytest.param(InboundRequest(query=b"number=1&mesage=bal"), id="another name"),
        pytest.param(InboundRequest(body=b"\x00\x01"), id="octets"),
        pytest.param(InboundRequest(body=b'{"number":223,"message":[1]}'), id="a list"),
        pytest.param(InboundRequest(body=b'{"number":1,"message":null,"text":true}'), id="null"),
        pytest.param(
            InboundRequest(query=b"&".join([b"x=1"] * MOST_FIELDS) + b"&text=1"),
            id="behind too many fields",
        ),
    ],
)
def test_a_request_without_a_text_is_refused(request_: InboundRequest) -> None:
    with pytest.raises(UserError, match="no text in it"):
        parse_inbound(request_)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"number=1&message=a", id="a form that says it is JSON"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'"text"', id="a string"),
        pytest.param(b'{"number": "1"', id="cut"),
        pytest.param(b"[" * 200_000, id="nested too deep"),
        pytest.param(b'{"number": ' + b"9" * 5000 + b"}", id="a number too long"),
    ],
)
def test_json_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(UserError, match="JSON"):
        parse_inbound(InboundRequest(body=body, content_type="application/json"))


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2011-09-07 12:34:56", datetime(2011, 9, 7, 12, 34, 56, tzinfo=UTC)),
        ("2011-09-07T12:34:56+03:00", datetime(2011, 9, 7, 9, 34, 56, tzinfo=UTC)),
        ("1795447363", datetime(2026, 11, 23, 15, 22, 43, tzinfo=UTC)),
        ("", None),
        ("now", None),
        ("9" * 400, None),
        ("0001-01-01", None),
        ("٣", None),
    ],
)
def test_times(text: str, time: datetime | None) -> None:
    assert read_time(text) == time
