"""Kannel's smsbox over HTTP. Pure.

Sources: Kannel 1.4.5 user's guide ("Using the HTTP interface to send SMS messages", "Delivery
reports", "SMS-service"), providers.md, and what a real 1.4.5 said (``fixtures/``, README.md).
"""

import re
from urllib.parse import quote, urlencode
from uuid import UUID

from gridtalk.core.errors import UserError
from gridtalk.core.texts import decoded, storable
from gridtalk.messaging.segments import is_gsm
from gridtalk.messaging.wire import (
    FORM,
    DeliveryReport,
    HandOver,
    HttpRequest,
    HttpResponse,
    InboundRequest,
    InboundSms,
    OutboundSms,
    Outcome,
    Report,
    first_field,
    form_fields,
    media_type,
    read_time,
    refused_by_status,
    shortened,
)

#: 1 delivered, 2 undeliverable, 8 the SMSC took it, 16 the SMSC refused it.
DLR_MASK = 27
# A host name, an IPv4 address, or an IPv6 address without its brackets.
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
# Only real charsets: Python would also "decode" idna, punycode or zip, and some of these raise.
_CHARSET = re.compile(
    r"utf-?(8|16|16be|16le)|us-ascii|iso-8859-\d{1,2}|(windows|cp)-?125\d|gb2312|gbk|big5",
    re.IGNORECASE,
)
_CHARSET_NAMED = re.compile(r"""charset\s*=\s*["']?([^"';\s]+)""", re.IGNORECASE)
_ACCEPTED = ("0:", "3:")  # "0: Accepted for delivery", "3: Queued for later delivery"


def send_request(
    sms: OutboundSms, *, host: str, port: int, username: str, password: str
) -> HttpRequest:
    """The ``sendsms`` request of a text.

    GSM-7 goes as UTF-8 with ``coding=0``; all else as UTF-16BE octets with ``coding=2`` and no
    charset, which a Kannel built without iconv takes too (under ``coding=0`` it would write ``?``).
    Raises :class:`UserError` where the interface's host cannot be one.
    """
    if not _HOST.fullmatch(host):
        raise UserError(f"“{host[:80]}” is not a host; write a name or an address, without http://")
    fields: dict[str, str | bytes | int] = {"username": username, "password": password}
    if sms.sender:
        fields["from"] = sms.sender
    fields["to"] = sms.number
    if is_gsm(sms.text):
        fields |= {"coding": 0, "charset": "UTF-8", "text": sms.text}
    else:
        fields |= {"coding": 2, "text": storable(sms.text).encode("utf-16-be")}
    # %d and %A are Kannel's own: the report's type, and what the SMSC answered.
    fields |= {"dlr-mask": DLR_MASK, "dlr-url": f"{sms.report_url}&type=%d&answer=%A"}
    place = f"[{host}]" if ":" in host else host
    query = urlencode(fields, quote_via=quote, safe="")
    return HttpRequest("GET", f"http://{place}:{port}/cgi-bin/sendsms?{query}")


def read_response(response: HttpResponse) -> HandOver:
    """What Kannel says to a ``sendsms`` request. It gives no id: ours is in the ``dlr-url``.

    403 (authorisation, not routable) and 400 are permanent; 500 and 503 temporary.
    """
    said = response.body.strip()
    if response.status == 202 or (response.status == 200 and said.startswith(_ACCEPTED)):
        return HandOver(Outcome.ACCEPTED, shortened(said))
    return refused_by_status("Kannel", response)


def parse_inbound(request: InboundRequest) -> InboundSms:
    """The text in a request of an ``sms-service``, with our ``get-url`` (see README.md) or posted.

    The octets of ``text`` are in the ``charset`` that Kannel names; where it names none, UTF-16BE
    under ``coding=2``. With ``mo-recode = true`` it is UTF-8 for all but parts sent as 8-bit data,
    whose charset Kannel calls ``8-BIT``: that is no charset, and UTF-8 is tried.

    Of a ``post-url`` the body is the text, and headers say the rest (user's guide, "X-Kannel Post
    Headers") where its query does not. A form is read as the query is. Raises :class:`UserError`
    where there is no text, not even an empty one.
    """
    fields = form_fields(request.query)
    if media_type(request) == FORM:
        fields |= form_fields(request.body)
    elif request.body or ("text" not in fields and "X-Kannel-To" in request.headers):
        fields |= _posted(request)
    if "text" not in fields:
        raise UserError("there is no text in it: Kannel's get-url brings one as text=%b")
    charset = decoded(fields.get("charset", b"")).strip()
    if not charset and fields.get("coding") == b"2":
        charset = "utf-16be"
    elif not _CHARSET.fullmatch(charset):
        charset = "utf-8"
    headers = request.headers
    return InboundSms(
        number=decoded(first_field(fields, "from")) or headers.get("X-Kannel-From", ""),
        text=decoded(fields["text"], charset),
        provider_id=decoded(fields.get("id", b"")).strip(),
        sent_at=read_time(decoded(fields.get("ts", b"")) or headers.get("X-Kannel-Time", "")),
    )


def _posted(request: InboundRequest) -> dict[str, bytes]:
    """The text of a ``post-url``: the body, in the charset that the body has."""
    kind = media_type(request)
    if kind and kind != "application/octet-stream" and not kind.startswith("text/"):
        raise UserError(f"a body of the type “{kind[:60]}” is none of Kannel's")
    named = _CHARSET_NAMED.search(request.content_type)
    return {
        "text": request.body,
        "charset": named[1].encode("utf-8", "replace") if named else b"",
        "coding": request.headers.get("X-Kannel-Coding", "").encode("utf-8", "replace"),
    }


def parse_report(message_uuid: UUID, request: InboundRequest) -> DeliveryReport:
    """A delivery report: ``type`` is one bit, ``answer`` what the SMSC said (``ACK/``, ``NACK/…``).

    Raises :class:`UserError` where ``type`` is none of Kannel's.
    """
    fields = form_fields(request.query)
    kind = decoded(fields.get("type", b"")).strip()
    answer = shortened(decoded(fields.get("answer", b"")))
    match kind:
        case "1":
            return DeliveryReport(message_uuid, Report.DELIVERED, answer)
        case "2":
            return _lost(message_uuid, Report.UNDELIVERED, "undeliverable", answer)
        case "4" | "32":
            return DeliveryReport(message_uuid, Report.WAITING, answer)
        case "8":
            return DeliveryReport(message_uuid, Report.TAKEN, answer)
        case "16":
            return _lost(message_uuid, Report.REFUSED, "the SMSC refused it", answer)
        case _:
            raise UserError(f"type “{kind[:20]}” is no delivery report of Kannel")


def _lost(message_uuid: UUID, report: Report, what: str, answer: str) -> DeliveryReport:
    detail = f"Kannel reports: {what}" + (f" ({answer})" if answer else "")
    return DeliveryReport(message_uuid, report, detail)
