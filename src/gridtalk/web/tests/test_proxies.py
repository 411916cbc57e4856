"""The client's address behind proxies: believed as far as trusted ones have written it."""

from ipaddress import ip_network
from typing import Any

import pytest
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse
from hypothesis import given
from hypothesis import strategies as st

from gridtalk.core.errors import SetupError
from gridtalk.settings import _networks
from gridtalk.web.proxies import ClientAddress, client_address

PROXIES = [ip_network(one) for one in ("127.0.0.1", "10.0.0.0/24", "fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "told", "client"),
    [
        pytest.param("127.0.0.1", "203.0.113.9", "203.0.113.9", id="one proxy"),
        pytest.param("127.0.0.1", "203.0.113.9, 10.0.0.7", "203.0.113.9", id="two proxies"),
        pytest.param("127.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9", id="the client lies"),
        pytest.param("198.51.100.1", "203.0.113.9", "198.51.100.1", id="no proxy of ours"),
        pytest.param("127.0.0.1", "10.0.0.9", "10.0.0.9", id="a proxy asks for itself"),
        pytest.param("127.0.0.1", "203.0.113.9:4711", "203.0.113.9", id="with its port"),
        pytest.param("fd00::1", "[2001:db8::5]:443", "2001:db8::5", id="IPv6 with its port"),
        pytest.param("127.0.0.1", "2001:db8::5", "2001:db8::5", id="IPv6"),
        pytest.param("::ffff:127.0.0.1", "203.0.113.9", "203.0.113.9", id="IPv4 as IPv6"),
        pytest.param("127.0.0.1", "203.0.113.9, unknown", "127.0.0.1", id="nonsense last"),
        pytest.param("127.0.0.1", "nonsense, 203.0.113.9", "203.0.113.9", id="nonsense first"),
        pytest.param("127.0.0.1", "", "127.0.0.1", id="empty"),
        pytest.param("127.0.0.1", "9.9.9.9," * 5000 + "203.0.113.9", "203.0.113.9", id="huge"),
        pytest.param("", "203.0.113.9", "", id="a peer without an address"),
    ],
)
def test_the_clients_address(peer: str, told: str, client: str) -> None:
    assert client_address(peer, told, PROXIES) == client


@given(st.text(max_size=80))
def test_whatever_is_told_is_no_error_and_a_stranger_is_never_believed(told: str) -> None:
    assert client_address("198.51.100.1", told, PROXIES) == "198.51.100.1"
    client_address("127.0.0.1", told, PROXIES)


def test_the_middleware(settings: Any) -> None:
    settings.GRIDTALK_TRUSTED_PROXIES = PROXIES
    seen: list[str] = []

    def answer(request: HttpRequest) -> HttpResponse:
        seen.append(request.META["REMOTE_ADDR"])
        return HttpResponse()

    middleware = ClientAddress(answer)
    for told in ({"HTTP_X_FORWARDED_FOR": "203.0.113.9"}, {}):
        request = HttpRequest()
        request.META = {"REMOTE_ADDR": "127.0.0.1", **told}
        middleware(request)
    assert seen == ["203.0.113.9", "127.0.0.1"]


def test_nothing_is_believed_unless_told_so(settings: Any) -> None:
    settings.GRIDTALK_TRUSTED_PROXIES = []
    with pytest.raises(MiddlewareNotUsed):
        ClientAddress(lambda _request: HttpResponse())


def test_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "GRIDTALK_TRUSTED_PROXIES"
    for text, networks in (("", []), ("127.0.0.1, 10.0.0.0/24,fd00::/8", PROXIES)):
        monkeypatch.setenv(name, text)
        assert _networks(name) == networks
    monkeypatch.setenv(name, "127.0.0.1,proxy.example")
    with pytest.raises(SetupError, match=r"GRIDTALK_TRUSTED_PROXIES: 'proxy.example' does not"):
        _networks(name)
