"""What passes between us and a provider, whoever it is. Pure: no Django, no network, no clock."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from urllib.parse import unquote_to_bytes
from uuid import UUID

from gridtalk.core.errors import UserError

#: The most of a provider's answer that is kept in an error.
LONGEST_DETAIL = 200
#: More fields than any provider sends; what stands behind them is not looked at.
MOST_FIELDS = 100
#: The type of a body of fields.
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class InboundSms:
    """A text that a provider handed us. ``number`` is as it came, ``sent_at`` aware where known."""

    number: str
    text: str
    provider_id: str = ""
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class InboundRequest:
    """A provider's HTTP request to us, as far as a wire needs it."""

    query: bytes = b""
    body: bytes = b""
    #: The whole header, with its charset.
    content_type: str = ""
    #: The others, by their names as a :class:`collections.abc.Mapping` that may ignore the case.
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Report(StrEnum):
    """What a delivery report says of a message."""

    DELIVERED = "delivered"  # the phone has it
    UNDELIVERED = "undelivered"  # the network took it and says that it did not reach the phone
    REFUSED = "refused"  # the network refused it: it never left
    TAKEN = "taken"  # the network took it
    WAITING = "waiting"  # still on its way; nothing to write down


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What a provider tells us later of a message that it took."""

    message_uuid: UUID
    state: Report
    detail: str = ""


@dataclass(frozen=True, slots=True)
class OutboundSms:
    """A text to hand over. ``report_url`` is where the provider may report; it holds no key."""

    number: str
    text: str
    uuid: UUID
    report_url: str
    sender: str = ""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request to a provider. ``url`` may hold a password: it is never logged nor stored."""

    method: str
    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A provider's answer; ``body`` is at most what :mod:`gridtalk.messaging.sending` reads."""

    status: int
    body: str


class Outcome(StrEnum):
    """What became of a hand-over.

    Only ``unknown`` leaves open whether the provider has the message; both refusals are proof that
    it has not.
    """

    ACCEPTED = "accepted"
    REFUSED_TEMPORARY = "refused_temporary"
    REFUSED_PERMANENT = "refused_permanent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class HandOver:
    """The result of one attempt. ``detail`` is fit to be shown and stored: it holds no secret.

    ``reached`` is false where the provider could not even be connected to, which says that its
    other messages would fare no better now.
    """

    outcome: Outcome
    detail: str = ""
    provider_id: str = ""
    reached: bool = True


def refused_by_status(provider: str, response: HttpResponse) -> HandOver:
    """Class an answer that is no success by its HTTP status alone.

    408, 429 and 5xx are temporary; other 4xx and redirects (which are never followed) permanent;
    a success status which the provider's own rules do not know leaves the outcome unknown.
    """
    detail = f"{provider} answered {response.status}: {shortened(response.body)}"
    if response.status in {408, 429} or response.status >= 500:
        return HandOver(Outcome.REFUSED_TEMPORARY, detail)
    if response.status >= 300:
        return HandOver(Outcome.REFUSED_PERMANENT, detail)
    return HandOver(Outcome.UNKNOWN, detail)


def shortened(text: str) -> str:
    """The text on one line, at most ``LONGEST_DETAIL`` characters, fit to be stored."""
    line = " ".join(text.replace("\x00", " ").split())
    return line if len(line) <= LONGEST_DETAIL else f"{line[: LONGEST_DETAIL - 1]}…"


def media_type(request: InboundRequest) -> str:
    """What the request says that its body is, without parameters and in lower case."""
    return request.content_type.partition(";")[0].strip().lower()


def form_fields(raw: bytes) -> dict[str, bytes]:
    """The fields of a query string or form, percent-decoded but not yet text.

    The first value of a name counts. The bytes are left to the caller because the charset of one
    field may be named by another (Kannel's ``charset``).
    """
    found: dict[str, bytes] = {}
    for pair in raw.split(b"&", MOST_FIELDS)[:MOST_FIELDS]:
        name, _, value = (_unquoted(part) for part in pair.partition(b"="))
        found.setdefault(name.decode("utf-8", "replace"), value)
    return found


def _unquoted(raw: bytes) -> bytes:
    # parse_qsl would take the octets for ASCII, and break on what is none.
    return unquote_to_bytes(raw.replace(b"+", b" "))


def request_fields(request: InboundRequest) -> dict[str, bytes]:
    """The fields of a request: its body's (JSON object or form), then its query's.

    Raises :class:`UserError` where the body says it is JSON and is none, or is no object.
    """
    found: dict[str, bytes] = {}
    kind = media_type(request)
    if kind == "application/json" or (
        not kind.startswith("multipart/") and request.body.lstrip()[:1] == b"{"
    ):
        found = _json_fields(request.body)
    elif request.body:
        found = form_fields(request.body)
    for name, value in form_fields(request.query).items():
        found.setdefault(name, value)
    return found


def _json_fields(body: bytes) -> dict[str, bytes]:
    try:
        value = json.loads(body.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        raise UserError(
            'the body is not JSON; send for example {"number": "+22370008888", "message": "bal"}'
        ) from None
    if not isinstance(value, Mapping):
        raise UserError("the JSON body is not an object with the fields number and message")
    return {
        str(name): str(content).encode("utf-8", "replace")
        for name, content in value.items()
        if isinstance(content, str | int | float) and not isinstance(content, bool)
    }


def first_field(fields: Mapping[str, bytes], *names: str) -> bytes:
    """The value of the first of the names that is there and not empty, else empty."""
    return next((fields[name] for name in names if fields.get(name)), b"")


def read_time(text: str) -> datetime | None:
    """An ISO time or seconds since 1970, aware (UTC where no zone is named).

    ``None`` where it is neither, or not in this century: such a clock says nothing.
    """
    stripped = text.strip()
    try:
        if stripped.isascii() and stripped.isdigit():
            time = datetime.fromtimestamp(int(stripped), UTC)
        else:
            time = datetime.fromisoformat(stripped)
    except (ValueError, OverflowError, OSError):
        return None
    if not 2000 <= time.year < 2100:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
