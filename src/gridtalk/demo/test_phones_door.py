"""The door by which the page's phone speaks into the simulated network."""

import json

import pytest
import urllib3

from gridtalk.demo.network import Gateway, Network
from gridtalk.demo.network_http import LONGEST_BODY
from gridtalk.demo.people import Person

pytestmark = pytest.mark.enable_socket
SAID = {"from": "+22370", "to": "+22344", "text": "bal 234"}


@pytest.mark.parametrize(
    ("label", "key", "path", "body", "status"),
    [
        ("a text", "secret", "/phones/secret", json.dumps(SAID), 202),
        ("a wrong key", "secret", "/phones/other", json.dumps(SAID), 403),
        ("no key", "secret", "/phones/", json.dumps(SAID), 403),
        ("no key is set", "", "/phones/", json.dumps(SAID), 403),
        ("another address", "secret", "/cgi-bin/sendsms", json.dumps(SAID), 404),
        ("no JSON", "secret", "/phones/secret", "bal 234", 400),
        ("no object", "secret", "/phones/secret", "[1]", 400),
        ("a part is missing", "secret", "/phones/secret", '{"from": "+22370"}', 400),
        ("no such phone", "secret", "/phones/secret", json.dumps({**SAID, "from": "+1"}), 404),
        ("no such gateway", "secret", "/phones/secret", json.dumps({**SAID, "to": "+1"}), 404),
        ("too long", "secret", "/phones/secret", "x" * (LONGEST_BODY + 1), 413),
    ],
)
def test_what_a_page_posts(label: str, key: str, path: str, body: str, status: int) -> None:
    network = Network(phones_key=key, retry_pause_s=60)
    network.gateway_add(Gateway("+22344", "http://127.0.0.1:1/in?key=k", "u", "p"))
    Person(network, name="Amina", number="+22370", gateway="+22344")
    with network:
        address = f"http://127.0.0.1:{network.port}{path}"
        answer = urllib3.request("POST", address, body=body.encode(), retries=False, timeout=5)
    assert answer.status == status, label
    said = [(text.sender, text.receiver, text.text) for text in network.carried]
    assert said == ([("+22370", "+22344", "bal 234")] if status == 202 else [])
