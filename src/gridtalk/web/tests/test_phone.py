"""The demo's phone: only in the demo; what is typed goes to the network; cards are tokens."""

import json
import re
from typing import Any

import pytest
import urllib3
from django.test import Client

from gridtalk.grid.models import Account, Circuit
from gridtalk.prepaid.models import Token, TokenBatch
from gridtalk.telemetry.testing import circuit_make, meter_make
from gridtalk.testing_village import Village
from gridtalk.web import demo_door
from gridtalk.web.views import phone


class Answer:
    def __init__(self, status: int, data: bytes = b"") -> None:
        self.status, self.data = status, data


class Network:
    """Stands for the network's door; answers, or fails as a door that nobody opens."""

    def __init__(self, status: int = 202, error: Exception | None = None) -> None:
        self.said: list[tuple[str, dict[str, str]]] = []
        self._status, self._error = status, error

    def request(self, method: str, address: str, **more: Any) -> Answer:
        if self._error:
            raise self._error
        assert method == "POST"
        self.said.append((address, json.loads(more["body"])))
        return Answer(self._status, b"no such phone")


def test_there_is_no_phone_on_a_real_server(village: Village, admin: Client, settings: Any) -> None:
    settings.GRIDTALK_DEMO_PHONES = ""
    assert admin.get("/phone").status_code == 404
    for path in ("/phone/say", "/phone/card"):
        assert admin.post(path, {"circuit": village.circuit.pk, "text": "bal"}).status_code == 404
    assert 'href="/phone"' not in admin.get("/").content.decode()
    assert not TokenBatch.objects.filter(note=phone.CARDS_NOTE).exists()


def test_it_shows_the_conversation_and_what_could_be_said(village: Village, admin: Client) -> None:
    text = admin.get("/phone").content.decode()
    assert "Fanta Traoré" in text
    assert re.search(r'<li class="mine"><p>add \d+ \d+</p>', text)
    assert '<li class="theirs"><p>Credit added.</p>' in text
    assert f'data-sample="bal {village.circuit.pin}"' in text
    assert f'placeholder="bal {village.circuit.pin}"' in text
    assert "number:+22376000001" in text


def test_the_empty_line_shows_the_consumers_own_words(village: Village, admin: Client) -> None:
    Account.objects.filter(circuits=village.circuit).update(lang="sw")
    assert f'placeholder="salio {village.circuit.pin}"' in admin.get("/phone").content.decode()
    answer = admin.post("/phone/say", {"circuit": village.circuit.pk, "text": " "})
    assert f"for example: salio {village.circuit.pin}" in answer.content.decode()


@pytest.mark.parametrize(
    ("lang", "balance", "off"), [("fr", "solde", "off"), ("sw", "salio", "zima")]
)
def test_samples_are_in_the_consumers_language(
    village: Village, lang: str, balance: str, off: str
) -> None:
    assert village.circuit.account is not None
    village.circuit.account.lang = lang
    texts = [sample.text for sample in phone.samples(village.circuit, "12345678901")]
    assert f"{balance} {village.circuit.pin}" in texts
    assert f"{off} {village.circuit.pin}" in texts
    assert any(text.endswith(f"{village.circuit.pin} 12345678901") for text in texts)


def test_what_is_typed_goes_to_the_network(
    village: Village, admin: Client, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    network = Network()
    monkeypatch.setattr(demo_door, "_http", network)
    type(village.interface).objects.update(phone="+22344")
    answer = admin.post("/phone/say", {"circuit": village.circuit.pk, "text": " bal 234 "})
    assert answer["Location"] == f"/phone?circuit={village.circuit.pk}"
    said = {"from": "+22376000001", "to": "+22344", "text": "bal 234"}
    assert network.said == [(settings.GRIDTALK_DEMO_PHONES, said)]


@pytest.mark.parametrize(
    ("label", "fields", "network", "status", "words"),
    [
        ("nothing", {"text": "  "}, Network(), 400, "Type a text"),
        ("too much", {"text": "x" * 481}, Network(), 400, "480 characters"),
        ("no circuit", {"circuit": "0"}, Network(), 404, ""),
        ("no number", {"circuit": "\N{SUPERSCRIPT TWO}"}, Network(), 404, ""),
        ("a demo that ended", {}, Network(error=urllib3.exceptions.HTTPError()), 502, "ended"),
        ("a network that refuses", {}, Network(404), 502, "no such phone"),
    ],
)
def test_what_cannot_be_said(
    village: Village, admin: Client, monkeypatch: pytest.MonkeyPatch, label: str,
    fields: dict[str, str], network: Network, status: int, words: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(demo_door, "_http", network)
    answer = admin.post("/phone/say", {"circuit": village.circuit.pk, "text": "bal", **fields})
    assert answer.status_code == status, label
    assert words in answer.content.decode()
    assert not network.said or status == 502


def test_cards_are_tokens_of_a_batch_and_no_card_is_sold_twice(
    village: Village, admin: Client
) -> None:
    for _ in range(3):
        admin.post("/phone/card", {"circuit": village.circuit.pk})
    text = admin.get("/phone").content.decode()
    numbers = re.findall(r'<div class="scratch"><span class="number">(\d{11})</span>', text)
    assert len(set(numbers)) == 3
    tokens = Token.objects.filter(number__in=numbers)
    assert {(token.value, token.state) for token in tokens} == {(phone.CARD_VALUE, "new")}
    assert TokenBatch.objects.filter(note=phone.CARDS_NOTE).count() == 1
    assert f'data-sample="add {village.circuit.pin} {numbers[0]}"' in text
    Token.objects.filter(batch__note=phone.CARDS_NOTE).exclude(number__in=numbers).update(
        state="used"
    )
    admin.post("/phone/card", {"circuit": village.circuit.pk})
    assert TokenBatch.objects.filter(note=phone.CARDS_NOTE).count() == 2


def test_the_overview_leads_to_the_phone_in_the_demo_only(
    village: Village, admin: Client, viewer: Client, settings: Any
) -> None:
    assert "Take the phone" in admin.get("/").content.decode()
    assert "Take the phone" not in viewer.get("/").content.decode(), "they may not sell"
    settings.GRIDTALK_DEMO_PHONES = ""
    assert "Take the phone" not in admin.get("/").content.decode()


def test_a_card_says_what_to_do_next_until_it_is_used(village: Village, admin: Client) -> None:
    assert "Now touch" not in admin.get("/phone").content.decode()
    admin.post("/phone/card", {"circuit": village.circuit.pk})
    assert "Now touch" in admin.get("/phone").content.decode()
    Token.objects.filter(batch__note=phone.CARDS_NOTE).update(state="used")
    assert "Now touch" not in admin.get("/phone").content.decode()


def test_the_people_of_the_first_village_come_first(village: Village, admin: Client) -> None:
    later = meter_make(phone="+22376000900")
    for at in range(phone.CONSUMERS):
        circuit = circuit_make(later, last=at + 1)
        account = Account.objects.create(name=f"Later {at}", phone=f"+223760009{at + 1:02d}")
        Circuit.objects.filter(pk=circuit.pk).update(account=account)
    text = admin.get("/phone").content.decode()
    assert text.index("Fanta Traoré") < text.index("Later 0")
    assert f"Later {phone.CONSUMERS - 1}" not in text, "no more than fit on the page"
