"""The sweep: every provider that is listed keeps the contract."""

import uuid
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from gridtalk.core.errors import UserError
from gridtalk.messaging.families import INTERFACES
from gridtalk.messaging.interfaces.base import Provider, Way
from gridtalk.messaging.interfaces.catalogue import PROVIDERS, by_kind, kinds, provider
from gridtalk.messaging.wire import HttpResponse, InboundRequest, OutboundSms, Outcome

every = pytest.mark.parametrize("member", PROVIDERS, ids=lambda member: member.kind)
SMS = OutboundSms("+22370008888", "hello", uuid.uuid4(), "https://grid.example.org/r?sig=s")


def overrides(member: Provider, method: str) -> bool:
    return getattr(type(member), method) is not getattr(Provider, method)


def test_every_kind_of_interface_is_listed_once() -> None:
    assert tuple(member.kind for member in PROVIDERS) == INTERFACES.kinds


def test_a_kind_that_two_claim_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="two providers are of kind kannel"):
        by_kind([*PROVIDERS, provider("kannel")])


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(
        ImproperlyConfigured, match="no provider of kind “pigeon”; there are: kannel"
    ):
        provider("pigeon")


def test_kinds_by_way() -> None:
    assert kinds(Way.PUSHED) == ["kannel"]
    assert kinds(Way.POLLED) == ["netbook"]
    assert kinds(Way.DEVICES) == ["iottalk"]


@every
def test_a_pushed_provider_translates_both_ways(member: Provider) -> None:
    pushed = member.way is Way.PUSHED
    assert overrides(member, "send_request") is pushed
    assert overrides(member, "read_response") is pushed


@every
def test_no_answer_makes_a_provider_raise_or_believe_wrongly(member: Provider) -> None:
    if member.way is not Way.PUSHED:
        with pytest.raises(NotImplementedError):
            member.read_response(HttpResponse(200, ""))
        return
    for status in (*range(200, 600), 0, 999):
        for body in ("", "\x00", "OK", "<html>", "a" * 100_000):
            result = member.read_response(HttpResponse(status, body))
            assert len(result.detail) < 400
            if status >= 300:
                assert result.outcome in {Outcome.REFUSED_TEMPORARY, Outcome.REFUSED_PERMANENT}


@every
def test_a_provider_that_cannot_send_says_so(member: Provider) -> None:
    if member.way in {Way.NOT_YET, Way.DEVICES}:
        with pytest.raises(UserError, match=f"{member.label} cannot send"):
            member.send_request(object(), SMS)


@every
def test_inbound_of_any_octets_is_read_or_refused(member: Provider) -> None:
    if not overrides(member, "parse_inbound"):
        with pytest.raises(NotImplementedError):
            member.parse_inbound(InboundRequest())
        return
    for raw in (b"", b"\xff\xfe", b"{", b"a=%00&b", bytes(range(256))):
        for request in (InboundRequest(query=raw), InboundRequest(body=raw)):
            try:
                sms = member.parse_inbound(request)
            except UserError:
                continue
            assert isinstance(sms.number, str)


@every
def test_the_set_up_names_the_interface_or_its_key(member: Provider) -> None:
    lines = member.set_up(base_url="https://grid.example.org", interface_id=7, key="K-1")
    assert lines
    assert all("https://grid.example.org/" in line.text for line in lines)
    with_key = [line for line in lines if "K-1" in line.text]
    assert with_key == ([] if member.way is Way.DEVICES else lines)


@every
def test_a_provider_of_its_own_folder_has_a_readme_fixtures_and_tests(member: Provider) -> None:
    if member.way is Way.NOT_YET:
        return
    folder = Path(__file__).parent / member.kind
    for name in ("README.md", "wire.py", "tests.py", "provider.py"):
        assert (folder / name).is_file(), name
    assert list((folder / "fixtures").glob("*.json"))
