"""The door: what is stored, once, whatever comes."""

from datetime import UTC, datetime

import pytest
from django.conf import LazySettings
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from gridtalk.core.errors import TooLarge
from gridtalk.gateway import bells
from gridtalk.gateway.receive import Received, receive
from gridtalk.messaging.models import IncomingMessage, KannelInterface
from gridtalk.messaging.testing import kannel
from gridtalk.messaging.wire import InboundSms
from gridtalk.testing_together import at_once, failures

SENT_AT = datetime(2026, 11, 23, 14, 5, tzinfo=UTC)


@pytest.fixture
def interface(db: None) -> KannelInterface:
    return kannel()


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    rings: list[str] = []
    monkeypatch.setattr(bells.HANDLE, "ring_on_commit", lambda: rings.append("handle"))
    return rings


def take(interface: KannelInterface, sms: InboundSms, *, cut: bool = False) -> Received:
    return receive(interface_id=interface.pk, region=interface.region, sms=sms, cut=cut)


def test_one_statement_stores_both_rows(interface: KannelInterface, rung: list[str]) -> None:
    sms = InboundSms("70 00 88 88", "bal 234567", provider_id="k-1", sent_at=SENT_AT)
    with CaptureQueriesContext(connection) as queries:
        received = take(interface, sms)
    statements = [q["sql"] for q in queries if "SAVEPOINT" not in q["sql"]]
    assert len(statements) == 1
    row = IncomingMessage.objects.get(uuid=received.message_uuid)
    assert (row.kind, row.state, row.number) == ("incoming", "received", "+22370008888")
    assert (row.text, row.segments, row.sent_at) == ("bal 234567", 1, SENT_AT)
    assert (row.provider_id, row.dedupe_key) == ("k-1", f"{interface.pk}:k-1")
    assert (row.handled_at, row.outcome, row.error, row.tries) == (None, "", "", 0)
    assert row.communication_interface_id == interface.pk
    assert not received.duplicate
    assert rung == ["handle"]


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("+22370008888", "+22370008888"),
        (" 22370008888", "+22370008888"),
        ("0022370008888", "+22370008888"),
        ("22370008888", "+22370008888"),
        ("AIRTEL", "AIRTEL"),
        ("444", "444"),
        ("\x00\x00", "\ufffd\ufffd"),
        ("9" * 500, "9" * 64),
    ],
)
def test_numbers(interface: KannelInterface, given: str, stored: str) -> None:
    take(interface, InboundSms(given, "bal"))
    row = IncomingMessage.objects.get()
    assert row.number == stored
    assert row.handled_at is None


@pytest.mark.parametrize("number", ["", "   ", "\t\n"])
def test_without_a_number_it_is_stored_as_refused(
    interface: KannelInterface, rung: list[str], number: str
) -> None:
    take(interface, InboundSms(number, "bal"))
    row = IncomingMessage.objects.get()
    assert (row.number, row.text, row.outcome, row.error) == ("", "bal", "refused", "no number")
    assert row.handled_at is not None
    assert rung == []


@pytest.mark.parametrize("text", ["", "a\x00b", "\ud800", "😀" * 100, "(" * 4096, "٣"])
def test_any_text_is_stored(interface: KannelInterface, text: str) -> None:
    take(interface, InboundSms("1", text))
    row = IncomingMessage.objects.get()
    assert len(row.text) == len(text)
    assert row.handled_at is None


def test_a_text_too_long_is_refused_or_cut(
    interface: KannelInterface, settings: LazySettings, rung: list[str]
) -> None:
    long = InboundSms("1", "x" * (settings.LONGEST_INBOUND_TEXT + 1))
    with pytest.raises(TooLarge, match="4097 characters; at most 4096"):
        take(interface, long)
    assert not IncomingMessage.objects.exists()
    take(interface, long, cut=True)
    row = IncomingMessage.objects.get()
    assert (len(row.text), row.outcome) == (4096, "refused")
    assert row.error == "too long: 4097 characters"
    assert rung == []


def test_the_same_text_brought_again_is_one(interface: KannelInterface, rung: list[str]) -> None:
    sms = InboundSms("1", "bal", provider_id="k-1")
    first, again = take(interface, sms), take(interface, InboundSms("2", "x", provider_id="k-1"))
    assert again == Received(first.message_uuid, duplicate=True)
    assert IncomingMessage.objects.get().text == "bal"
    assert rung == ["handle"]


def test_two_equal_texts_are_two_questions(interface: KannelInterface) -> None:
    other = kannel("Other")
    seen = {take(interface, InboundSms("1", "bal")).message_uuid for _ in range(2)}
    seen |= {
        take(i, InboundSms("1", "bal", provider_id="k-1")).message_uuid for i in (interface, other)
    }
    assert len(seen) == 4


def test_a_long_provider_id_is_told_from_another(interface: KannelInterface) -> None:
    for last in "aab":
        take(interface, InboundSms("1", "bal", provider_id="x" * 300 + last))
    assert IncomingMessage.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_race_of_the_same_text_is_one() -> None:
    interface = kannel()

    def run() -> list[tuple[int, Received]]:
        return [
            (index, take(interface, InboundSms("1", "bal", provider_id=f"{index}")))
            for index in range(25)
        ]

    results = at_once(*[run] * 4)
    assert failures(results) == []
    answers = [answer for result in results for answer in result]
    assert IncomingMessage.objects.count() == 25
    assert len(answers) == 100
    assert len({(index, received.message_uuid) for index, received in answers}) == 25
    assert sum(not received.duplicate for _, received in answers) == 25


@pytest.mark.django_db(transaction=True)
def test_any_other_violation_is_not_taken_for_a_duplicate() -> None:
    with pytest.raises(IntegrityError):
        receive(interface_id=99, region="", sms=InboundSms("1", "bal", provider_id="k-1"))
