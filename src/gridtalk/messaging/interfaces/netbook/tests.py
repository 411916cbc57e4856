"""The netbook bridge's wire. ``fixtures/`` follow the forms that providers.md names."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gridtalk.messaging.interfaces.netbook import wire
from gridtalk.messaging.wire import InboundRequest

ENTRIES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "fixtures" / "inbound.json").read_text(encoding="utf-8")
)
MESSAGE = UUID("0f8fad5b-d9cb-469f-a165-70867728950e")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: str(e["label"]))
def test_inbound(entry: dict[str, Any]) -> None:
    sms = wire.parse_inbound(
        InboundRequest(body=entry["body"].encode(), content_type=entry["content_type"])
    )
    assert (sms.number, sms.text, sms.provider_id) == (
        entry["number"],
        entry["text"],
        entry["uuid"],
    )


def waiting(number: str) -> wire.WaitingSms:
    time = datetime(2026, 11, 23, 14, 5, 9, 700, tzinfo=timezone(timedelta(hours=3)))
    return wire.WaitingSms(id=7, number=number, time=time, uuid=MESSAGE, text="hello ₦")


def test_listing_has_the_five_fields_and_utc() -> None:
    assert wire.listing([waiting("+22370008888")]) == [
        {
            "number": "+22370008888",
            "time": "2026-11-23 11:05:09",
            "uuid": str(MESSAGE),
            "text": "hello ₦",
            "id": 7,
        }
    ]


def test_a_missing_number_does_not_spoil_the_batch() -> None:
    assert [e["number"] for e in wire.listing([waiting(""), waiting("+1"), waiting("")])] == ["+1"]


def test_an_empty_listing() -> None:
    assert wire.listing([]) == []


def test_time_zone_is_utc_where_none_is_named() -> None:
    body = json.dumps({"from": "1", "text": "a", "time": "2011-09-07 12:34:56"}).encode()
    sms = wire.parse_inbound(InboundRequest(body=body, content_type="application/json"))
    assert sms.sent_at == datetime(2011, 9, 7, 12, 34, 56, tzinfo=UTC)
