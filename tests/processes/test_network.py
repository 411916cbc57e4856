"""The network against a small server of its own: Kannel's HTTP, retries, faults, phones."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import urllib3

from gridtalk.demo.air import Faults
from gridtalk.demo.network import Gateway, Network
from gridtalk.demo.people import Person

pytestmark = pytest.mark.enable_socket
GATEWAY = "+22344"


class Server(ThreadingHTTPServer):
    """Stands for Gridtalk: answers the statuses it is told to, then 200, and keeps what came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses: list[int] = []
        self.got: list[dict[str, str]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def of(self, path: str) -> list[dict[str, str]]:
        return [got for got in self.got if got["path"] == path]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        fields = {name: values[0] for name, values in parse_qs(address.query).items()}
        self.server.got.append({"path": address.path, **fields})
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def gateway(server: Server) -> Gateway:
    return Gateway(GATEWAY, f"{server.url}/in?key=k", "gw", "p&w")


def sendsms(network: Network, **changed: str) -> tuple[int, str]:
    fields = {"username": "gw", "password": "p&w", "from": GATEWAY, "to": "+223700"}
    fields |= {"text": "hello", "coding": "0", "charset": "UTF-8"} | changed
    url = f"http://127.0.0.1:{network.port}/cgi-bin/sendsms?{urlencode(fields)}"
    answer = urllib3.request("GET", url, retries=False)
    return answer.status, answer.data.decode()


def until(true: object, seconds: float = 3) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():  # type: ignore[operator]
            return True
        time.sleep(0.01)
    return False


def test_a_phones_text_reaches_the_server(server: Server) -> None:
    with Network() as network:
        network.gateway_add(gateway(server))
        person = Person(network, name="A", number="+223700", gateway=GATEWAY)
        message_id = person.say("bal é ₦ +&")
        assert until(lambda: message_id in network.answered)
    got = server.of("/in")[0]
    assert (got["from"], got["to"], got["text"]) == ("+223700", "22344", "bal é ₦ +&")
    assert (got["key"], got["id"], got["charset"]) == ("k", message_id, "UTF-8")


@pytest.mark.parametrize("status", [500, 503, 403, 302, 404])
def test_it_is_retried_with_the_same_id(server: Server, status: int) -> None:
    server.statuses = [status, status]
    with Network(retry_pause_s=0.01) as network:
        network.gateway_add(gateway(server))
        person = Person(network, name="A", number="+223700", gateway=GATEWAY)
        message_id = person.say("bal")
        assert until(lambda: message_id in network.answered)
        assert network.refused == {}
    assert [got["id"] for got in server.of("/in")] == [message_id] * 3


def test_a_server_that_is_down_gets_it_later() -> None:
    server = Server()
    port = server.server_address[1]
    server.server_close()
    with Network(retry_pause_s=0.02) as network:
        network.gateway_add(gateway(server))
        message_id = Person(network, name="A", number="+223700", gateway=GATEWAY).say("bal")
        time.sleep(0.1)
        assert not network.answered
        again = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        again.statuses, again.got = [], []  # type: ignore[attr-defined]
        thread = threading.Thread(target=again.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            assert until(lambda: message_id in network.answered)
        finally:
            again.shutdown()
            again.server_close()
            thread.join()


def test_a_text_reaches_its_phone_and_is_reported(server: Server) -> None:
    with Network() as network:
        network.gateway_add(gateway(server))
        person = Person(network, name="A", number="+223700", gateway=GATEWAY)
        url = f"{server.url}/report?sig=s&type=%d&answer=%A"
        assert sendsms(network, **{"dlr-mask": "27", "dlr-url": url}) == (
            202,
            "0: Accepted for delivery",
        )
        assert person.await_text(lambda text: text == "hello", timeout_s=3)
        assert until(lambda: len(server.of("/report")) == 2)
    assert sorted((got["type"], got.get("answer", "")) for got in server.of("/report")) == [
        ("1", ""),
        ("8", "ACK/"),
    ]


@pytest.mark.parametrize(
    ("label", "changed", "status"),
    [
        ("a wrong password", {"password": "no"}, 403),
        ("an unknown user", {"username": "who"}, 403),
        ("no receiver", {"to": ""}, 400),
        ("no sender", {"from": ""}, 400),
        ("an unknown charset", {"charset": "klingon"}, 400),
    ],
)
def test_sendsms_refuses(server: Server, label: str, changed: dict[str, str], status: int) -> None:
    with Network() as network:
        network.gateway_add(gateway(server))
        assert sendsms(network, **changed)[0] == status, label
        assert not network.carried


def test_utf16_octets_without_a_charset_are_read(server: Server) -> None:
    with Network() as network:
        network.gateway_add(gateway(server))
        person = Person(network, name="A", number="+223700", gateway=GATEWAY)
        query = "username=gw&password=p%26w&from=1&to=%2B223700&coding=2&text=%20%A6"
        assert network.sendsms(query)[0] == 202
        assert person.await_text(lambda text: text == "₦", timeout_s=3)


def test_a_phone_that_is_off_gets_it_when_it_is_on(server: Server) -> None:
    with Network() as network:
        network.gateway_add(gateway(server))
        person = Person(network, name="A", number="+223700", gateway=GATEWAY)
        network.phone_switch(person.number, on=False)
        url = f"{server.url}/report?type=%d"
        sendsms(network, **{"dlr-mask": "27", "dlr-url": url})
        assert until(lambda: [got["type"] for got in server.of("/report")] == ["8"])
        assert person.inbox == []
        network.phone_switch(person.number, on=True)
        assert person.await_text(lambda text: text == "hello", timeout_s=3)
        assert until(lambda: [got["type"] for got in server.of("/report")] == ["8", "1"])


def test_faults_on_both_ways(server: Server) -> None:
    with Network(faults=Faults(duplicates=1)) as network:
        network.gateway_add(gateway(server))
        person = Person(network, name="A", number="+223700", gateway=GATEWAY)
        person.say("bal")
        assert until(lambda: len(server.of("/in")) == 2)
        assert len({got["id"] for got in server.of("/in")}) == 2, "two texts to the gateway"
        sendsms(network)
        assert until(lambda: len(person.inbox) == 2)
    with Network(faults=Faults(loss=1)) as network:
        network.gateway_add(gateway(server))
        person = Person(network, name="A", number="+223700", gateway=GATEWAY)
        person.say("bal")
        sendsms(network)
        time.sleep(0.1)
        assert len(server.of("/in")) == 2
        assert person.inbox == []
        assert [carried.way for carried in network.carried] == ["up", "down"]


def test_a_closed_gate_drops_the_request(server: Server) -> None:
    seen: list[str] = []

    def gate(phase: str, query: str) -> bool:
        seen.append(phase)
        return "stop" not in query

    with Network() as network:
        network.gateway_add(gateway(server))
        network.gate = gate
        assert sendsms(network)[0] == 202
        with pytest.raises(urllib3.exceptions.ProtocolError):
            sendsms(network, text="stop")
        assert [carried.text for carried in network.carried] == ["hello"]
    assert seen == ["asked", "taken", "asked"]
