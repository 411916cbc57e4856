"""The SMS network, played from outside: Kannel's HTTP on both of its sides.

The server hands texts to ``GET /cgi-bin/sendsms`` as it would to a smsbox; they are delivered to
simulated phones, and delivery reports go to the request's ``dlr-url``. What phones say is handed to
the server's inbound address, again and again with the same id until it answers 200 or 202, as
Kannel does with ``http-request-retry``. One network serves any number of phones and gateways.
"""

import hmac
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol, Self
from urllib.parse import unquote_to_bytes

import urllib3

from gridtalk.core.errors import NotFound
from gridtalk.demo.air import DELIVERED, SMSC_TOOK, Air, Faults, decoded, expanded
from gridtalk.demo.courier import Courier, Errand
from gridtalk.demo.network_http import NetworkServer
from gridtalk.demo.plugs import PlugBoard

log = logging.getLogger(__name__)

ACCEPTED = "0: Accepted for delivery"
#: A request to the server that takes longer is given up and tried again.
TIMEOUT_S = 10.0


class Carrier(Protocol):
    """What runs errands: a :class:`Courier`, or one whose time is simulated."""

    failures: list[Exception]

    def start(self) -> None:
        """Begin to run errands."""

    def stop(self) -> None:
        """Drop what waits."""

    def post(self, errand: Errand, *, delay_s: float = 0.0) -> None:
        """Have an errand run after so many seconds."""

    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is being done."""


class Phone(Protocol):
    """Whatever has a number in this network: a person's phone, a meter's modem."""

    number: str

    def hear(self, sender: str, text: str) -> None:
        """A text has arrived. Called on a thread of the network: be quick."""


@dataclass(frozen=True)
class Gateway:
    """The server as the network knows it: its number, its inbound address, its sendsms user.

    ``inbound_url`` ends in ``?key=…``; the network adds Kannel's parameters to it.
    """

    number: str
    inbound_url: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Carried:
    """A text that the network was given, for the story and for the tests.

    ``way`` is ``down`` (server → phone) or ``up`` (phone → server). ``message_id`` is Kannel's
    ``%I`` on the way up.
    """

    way: str
    sender: str
    receiver: str
    text: str
    message_id: str


class Network:
    """The network, running from :meth:`start` to :meth:`stop`; also a context manager.

    ``listener`` is called with every text when the network is given it. ``answered`` holds the ids
    of all texts to which the server has said 200: those it may never lose. ``keep`` turns the
    records off for load runs.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        faults: Faults | None = None,
        seed: int = 0,
        retry_pause_s: float = 0.2,
        keep: bool = True,
        listener: Callable[[Carried], None] | None = None,
        phones_key: str = "",
        courier: Carrier | None = None,
    ) -> None:
        self._phones: dict[str, Phone] = {}
        self._off: dict[str, list[Callable[[], None]]] = {}
        self._gateways: dict[str, Gateway] = {}
        self._lock = threading.Lock()
        self._air = Air(faults, seed=seed)
        self.answer_s = self._air.faults.answer_s
        #: Called with ``asked`` before a ``sendsms`` request (its query) is taken, with ``taken``
        #: after, before it is answered. Where it says no to the first, the request is dropped.
        self.gate: Callable[[str, str], bool] = _open_gate
        self._courier: Carrier = courier or Courier()
        self._http = urllib3.PoolManager(maxsize=32, retries=False, timeout=TIMEOUT_S)
        self._retry_pause_s = retry_pause_s
        self._keep = keep
        self._listener = listener
        self._phones_key = phones_key
        #: The devices that run beside the villages.
        self.plugs = PlugBoard()
        self.carried: list[Carried] = []
        self.answered: dict[str, Carried] = {}
        self.refused: dict[str, int] = {}
        self._server = NetworkServer(("127.0.0.1", port), self)

    @property
    def port(self) -> int:
        """The loopback port of ``/cgi-bin/sendsms``."""
        return int(self._server.server_address[1])

    def start(self) -> Self:
        """Begin to take and to carry texts."""
        self._courier.start()
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
        ).start()
        return self

    def stop(self) -> None:
        """Stop; texts under way are dropped, and devices lose their power."""
        self.plugs.pull_all()
        self._courier.stop()
        self._server.shutdown()
        self._server.server_close()
        self._http.clear()

    def close(self) -> None:
        """Free the port of a network that was never started."""
        self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def gateway_add(self, gateway: Gateway) -> None:
        """Connect a server; phones reach it by its number, it signs in with its username."""
        with self._lock:
            self._gateways[_digits(gateway.number)] = gateway

    def phone_add(self, phone: Phone) -> None:
        """Give a phone its number."""
        with self._lock:
            self._phones[_digits(phone.number)] = phone

    def phone_switch(self, number: str, *, on: bool) -> None:
        """Switch a phone off, or on: texts to it wait meanwhile."""
        with self._lock:
            waiting = self._off.pop(_digits(number), []) if on else []
            if not on:
                self._off.setdefault(_digits(number), [])
        for deliver in waiting:
            self._courier.post(deliver)

    def is_idle(self) -> bool:
        """Whether no text and no report is under way; what waits for a phone that is off is not."""
        return self._courier.is_idle()

    @property
    def failures(self) -> list[Exception]:
        """What went wrong in the simulator itself."""
        return self._courier.failures

    def arrivals(self, number: str) -> list[float]:  # noqa: ARG002  for whoever wants it
        """After how many seconds each copy of a phone's next text arrives, up or down."""
        return self._air.arrivals()

    # --- up: phone → server ----------------------------------------------------------------------

    def say(self, sender: str, receiver: str, text: str) -> str:
        """A phone sends a text to a gateway's number; returns Kannel's id of it.

        A radio network's duplicate is another text with an id of its own.
        """
        with self._lock:
            gateway = self._gateways[_digits(receiver)]
            arrivals = self.arrivals(sender)
        ids = [str(uuid.uuid4()) for _ in arrivals or (0.0,)]
        for message_id in ids:
            self._note(Carried("up", sender, receiver, text, message_id))
        for message_id, delay in zip(ids, arrivals, strict=False):
            carried = Carried("up", sender, receiver, text, message_id)
            self._courier.post(_Inbound(self, gateway, carried), delay_s=delay)
        return ids[0]

    def said(self, key: str, body: bytes) -> tuple[int, str]:
        """Let a phone of the demo's page speak: a JSON object of ``from``, ``to`` and ``text``.

        The status and what was wrong: 403 for a wrong key (or where there is none), 400 for a body
        that is none, 404 for a phone or gateway that is not in this network, 202 where it is sent.
        """
        if not self._opens(key):
            return HTTPStatus.FORBIDDEN, "wrong key"
        try:
            given = json.loads(body)
            sender, receiver, text = (str(given[name]) for name in ("from", "to", "text"))
        except (ValueError, KeyError, TypeError):
            return HTTPStatus.BAD_REQUEST, "a JSON object with from, to and text is needed"
        with self._lock:
            known = _digits(sender) in self._phones and _digits(receiver) in self._gateways
        if not known:
            return HTTPStatus.NOT_FOUND, "no such phone or gateway in this network"
        self.say(sender, receiver, text)
        return HTTPStatus.ACCEPTED, "sent"

    def plug_turned(self, key: str, body: bytes) -> tuple[int, str]:
        """Pull or put in a device's plug: a JSON object of ``address`` and ``on``.

        The status and what was wrong, as :meth:`said`; 404 for a device that is not of this demo.
        """
        if not self._opens(key):
            return HTTPStatus.FORBIDDEN, "wrong key"
        try:
            given = json.loads(body)
            address, on = str(given["address"]), bool(given["on"])
        except (ValueError, KeyError, TypeError):
            return HTTPStatus.BAD_REQUEST, "a JSON object with address and on is needed"
        try:
            self.plugs.turn(address, on=on)
        except NotFound as error:
            return HTTPStatus.NOT_FOUND, str(error)
        return HTTPStatus.ACCEPTED, "done"

    def _opens(self, key: str) -> bool:
        mine = self._phones_key
        return bool(mine) and hmac.compare_digest(key.encode(), mine.encode())

    def hand_in(self, gateway: Gateway, carried: Carried) -> bool:
        """Hand one text to the server; whether it answered that it has it."""
        # With mo-recode = true, Kannel 1.4.5 recodes every text to UTF-8 and calls it coding 0.
        values = {"I": carried.message_id, "T": str(int(time.time())), "c": "0", "C": "UTF-8"}
        values |= {"p": carried.sender, "P": carried.receiver.lstrip("+"), "b": carried.text}
        pattern = "id=%I&ts=%T&from=%p&to=%P&smsc=DEMO&coding=%c&charset=%C&text=%b"
        joint = "&" if "?" in gateway.inbound_url else "?"
        url = f"{gateway.inbound_url}{joint}{expanded(pattern, values)}"
        status = self._get(url)
        if status not in {HTTPStatus.OK, HTTPStatus.ACCEPTED}:
            if status:
                self.refused[carried.message_id] = status
            return False
        self.refused.pop(carried.message_id, None)
        if self._keep:
            self.answered[carried.message_id] = carried
        return True

    # --- down: server → phone --------------------------------------------------------------------

    def sendsms(self, query: str) -> tuple[int, str]:
        """Take a ``sendsms`` request; the status and body that Kannel would answer."""
        given = _parameters(query)
        words = {name: raw.decode("utf-8", "replace") for name, raw in given.items()}
        if not self._signed_in(words.get("username", ""), words.get("password", "")):
            return HTTPStatus.FORBIDDEN, "Authorization failed for sendsms"
        if not words.get("to", "").strip():
            return HTTPStatus.BAD_REQUEST, "Missing receiver and/or sender number, rejected"
        if not words.get("from", "").strip():
            return HTTPStatus.BAD_REQUEST, "Sender missing and no global set, rejected"
        try:
            text = decoded(
                given.get("text", b""),
                coding=words.get("coding", "0"),
                charset=words.get("charset", ""),
            )
        except LookupError:
            return HTTPStatus.BAD_REQUEST, "Charset not known, rejected"
        mask = int(words["dlr-mask"]) if words.get("dlr-mask", "").isdigit() else 0
        report = words.get("dlr-url", "") if mask else ""
        for receiver in words["to"].split():
            self._send(Carried("down", words["from"], receiver, text, ""), report, mask)
        return HTTPStatus.ACCEPTED, ACCEPTED

    def _send(self, carried: Carried, report: str, mask: int) -> None:
        self._note(carried)
        with self._lock:
            arrivals = self.arrivals(carried.receiver)
        if report and mask & SMSC_TOOK:
            self._courier.post(_Report(self, report, SMSC_TOOK))
        for copy, delay in enumerate(arrivals):
            # Once per message, however often the radio network delivers it.
            wanted = report if mask & DELIVERED and copy == 0 else ""
            self._courier.post(_Delivery(self, carried, wanted), delay_s=delay)

    def deliver(self, carried: Carried, report: str) -> None:
        """A text reaches its phone, which may be off (then it waits) or not exist."""
        number = _digits(carried.receiver)
        with self._lock:
            phone = self._phones.get(number)
            if number in self._off:
                self._off[number].append(_Delivery(self, carried, report))
                return
        if phone is None:
            log.warning("no phone has the number %s", carried.receiver)
            return
        phone.hear(carried.sender, carried.text)
        if report:
            self._courier.post(_Report(self, report, DELIVERED))

    def report(self, url: str, kind: int) -> bool:
        """Call a delivery report's address; whether the server took it."""
        answer = "ACK/" if kind == SMSC_TOOK else ""
        values = {"d": str(kind), "A": answer, "F": str(uuid.uuid4()), "T": str(int(time.time()))}
        return self._get(expanded(url, values)) in {HTTPStatus.OK, HTTPStatus.ACCEPTED}

    # --- within ----------------------------------------------------------------------------------

    def _signed_in(self, username: str, password: str) -> bool:
        with self._lock:
            gateways = list(self._gateways.values())
        return any(
            gateway.username == username
            and hmac.compare_digest(gateway.password.encode(), password.encode())
            for gateway in gateways
        )

    def _note(self, carried: Carried) -> None:
        if self._keep:
            self.carried.append(carried)
        if self._listener is not None:
            self._listener(carried)

    def _get(self, url: str) -> int:
        """The answer's status; 0 where there was none."""
        try:
            return self._http.request("GET", url, redirect=False).status
        except urllib3.exceptions.HTTPError as error:
            log.debug("no answer: %s", type(error).__name__)
            return 0

    def pause_s(self, attempts: int) -> float:
        """How long to wait before the next attempt, in seconds; grows fivefold at most."""
        return self._retry_pause_s * min(attempts, 5)


class _Inbound:
    """A text on its way up, retried until the server has it."""

    def __init__(self, network: Network, gateway: Gateway, carried: Carried) -> None:
        self._network, self._gateway, self._carried = network, gateway, carried
        self._attempts = 0

    def __call__(self) -> float | None:
        self._attempts += 1
        done = self._network.hand_in(self._gateway, self._carried)
        return None if done else self._network.pause_s(self._attempts)


class _Report:
    """A delivery report, retried as a text is."""

    def __init__(self, network: Network, url: str, kind: int) -> None:
        self._network, self._url, self._kind = network, url, kind
        self._attempts = 0

    def __call__(self) -> float | None:
        self._attempts += 1
        done = self._network.report(self._url, self._kind)
        return None if done else self._network.pause_s(self._attempts)


class _Delivery:
    """A text on its way to a phone."""

    def __init__(self, network: Network, carried: Carried, report: str) -> None:
        self._network, self._carried, self._report = network, carried, report

    def __call__(self) -> None:
        self._network.deliver(self._carried, self._report)


def _open_gate(phase: str, query: str) -> bool:  # noqa: ARG001
    return True


def _parameters(query: str) -> dict[str, bytes]:
    """The first value of each parameter, as bytes: a text may be in any charset."""
    found: dict[str, bytes] = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        found.setdefault(name, unquote_to_bytes(value.replace("+", " ")))
    return found


def _digits(number: str) -> str:
    """The number without its plus: Kannel's two sides do not agree on it."""
    return "".join(character for character in number if character.isdigit())
