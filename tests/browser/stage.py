"""A village for the browser tests, as a process of its own: a real server, its network, its meter.

What ``gridtalk demo`` starts, but nothing happens by itself: a line on standard input, for example
``{"do": "report"}``, makes the next thing happen, and is answered by a line when it has. It is a
process because Django's database and Playwright's event loop do not share a thread.
"""

import argparse
import contextlib
import json
import os
import secrets
import signal
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

import psutil

from gridtalk.cli import environment
from gridtalk.demo.server import PhonesDoor, Server, free_port, operators_own_forget

ZONE = "Africa/Kampala"
PREFIX = "+256779000"
#: Who may sign in: their group.
USERS = {"ada": "admin", "vera": "view"}
#: Each has a circuit of their own, so that no test needs what another left behind.
PEOPLE = {
    "Amina": "en",
    "Jean-Bosco": "fr",
    "Zawadi": "sw",
    "Okello": "en",
    "<b>Nakato</b> & “Sons”": "en",
}
#: Reports that the tests may still ask for; the rest of the day came in before they began.
HOURS_LEFT = 12
#: A request is held at most so long; the server itself waits longer.
HOLD_S = 8.0


class Stage:
    """The network and the meter, and what a test may ask of them."""

    def __init__(self, server: Server, phones: PhonesDoor) -> None:
        from gridtalk.demo.network import Network
        from gridtalk.demo.village import Plan, interface_make, village_make

        self.server = server
        self.network = Network(seed=1, port=phones.port, phones_key=phones.key, retry_pause_s=0.05)
        self.network.gate = self._gate
        self._open = threading.Event()
        self._open.set()
        end = datetime.now(ZoneInfo(ZONE)).replace(tzinfo=None, minute=0, second=0, microsecond=0)
        interface, gateway = interface_make(
            self.network, server_url=server.url, name="network", phone=f"{PREFIX}000", region="UG"
        )
        plans = [
            Plan(name, f"{PREFIX}{number}", lang, credit=Decimal(300))
            for number, (name, lang) in enumerate(PEOPLE.items(), start=101)
        ]
        self.village = village_make(
            self.network,
            interface=interface,
            gateway=gateway,
            name="Kitobo",
            phone=f"{PREFIX}100",
            plans=plans,
            start=end - timedelta(hours=36),
            time_zone=ZONE,
            low_credit=Decimal(50),
            battery_capacity=400,
            panel_capacity=1400,
        )
        self._meter_number = self.village.meter.number.lstrip("+")
        self._advance(end - timedelta(hours=HOURS_LEFT))

    def facts(self) -> dict[str, Any]:
        """What the tests have to know."""
        from gridtalk.users.services import user_create

        passwords = {name: secrets.token_urlsafe(9) for name in USERS}
        for name, group in USERS.items():
            user_create(name=name, group=group, password=passwords[name])
        circuits = self.village.row.circuits
        return {
            "url": self.server.url,
            "pid": self.server.pid,
            "passwords": passwords,
            "meter": self.village.row.pk,
            "pins": {person.name: person.pin for person in self.village.people},
            "circuits": {
                person.name: circuits.get(ip_address=person.address).pk
                for person in self.village.people
            },
        }

    def report(self) -> None:
        """An hour passes, the meter reports, and the server has dealt with it."""
        from gridtalk.demo.village import settle

        now = self.village.meter.look(lambda meter: meter.now)
        self._advance(now.replace(minute=0, second=0) + timedelta(hours=1))
        settle(self.network)

    def hold(self) -> None:
        """The network takes its time with what the server sends to the meter."""
        self._open.clear()

    def release(self) -> None:
        """The network takes it now."""
        self._open.set()

    def meter_unreachable(self) -> None:
        """Texts to the meter wait in the network, as where there is no signal."""
        self.network.phone_switch(self.village.meter.number, on=False)

    def meter_reachable(self) -> None:
        """They reach it now."""
        self.network.phone_switch(self.village.meter.number, on=True)

    def happen(self) -> None:
        """A bit of everything, for pages that would be empty: a batch, a credit, a low credit."""
        from gridtalk.demo.village import settle, tokens_make

        person = self.village.people[3]
        tokens = tokens_make(count=2, value=Decimal(25), note="cards")
        person.say(f"add.{person.pin}.{tokens[0]}")
        settle(self.network)
        self.village.circuit_of(person).credit_set(Decimal(40))
        self.report()

    def credit_lost(self) -> None:
        """A credit that the network swallowed, two hours ago: it waits for a person."""
        from django.db import transaction

        from gridtalk.core import clock
        from gridtalk.demo.village import tokens_make
        from gridtalk.grid.models import Circuit
        from gridtalk.jobs.models import Job
        from gridtalk.jobs.services import add_credit_request
        from gridtalk.messaging.models import Message

        ago = clock.now() - timedelta(hours=2)
        person = self.village.people[3]
        token = tokens_make(count=1, value=Decimal(25), note="lost")[0]
        with transaction.atomic():
            circuit = Circuit.objects.get(pin=person.pin)
            job = add_credit_request(circuit=circuit, token_number=token)
            Message.objects.filter(pk__in=job.job_messages.values("pk")).update(
                state="sent", sent_at=ago, next_attempt_at=None
            )
            Job.objects.filter(pk=job.pk).update(
                state="unconfirmed", started_at=ago, sent_at=ago, next_attempt_at=None
            )

    def restore(self) -> None:
        """Everything works as in the beginning."""
        self.release()
        self.meter_reachable()

    def web_kill(self) -> None:
        """The web process is killed; its supervisor starts another."""
        for process in psutil.Process(self.server.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if "web" in process.cmdline()[2:6]:
                    process.kill()
                    return
        raise LookupError("the server has no web process")

    def _advance(self, until: datetime) -> None:
        self.village.meter.advance(until)

    def _gate(self, phase: str, query: str) -> bool:
        to = parse_qs(query).get("to", [""])[0].lstrip("+")
        if phase == "asked" and to == self._meter_number:
            self._open.wait(HOLD_S)
        return True


@contextlib.contextmanager
def _running(folder: Path) -> Iterator[Stage]:
    operators_own_forget()
    phones = PhonesDoor(free_port(), secrets.token_urlsafe(24))
    server = Server(
        folder / "data", port=free_port(), environment={"GRIDTALK_DEMO_PHONES": phones.address}
    )
    try:
        server.start()
        server.wait_ready()
        with environment.database(server.data_dir, role="browser tests"):
            environment.django_start()
            stage = Stage(server, phones)
            with stage.network:
                yield stage
    finally:
        server.stop()


def main() -> None:
    """Play until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    # A test run that is ended takes this process with it, and this process its server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with _running(parser.parse_args().folder) as stage:
        _answer(stage.facts())
        for line in sys.stdin:
            getattr(stage, json.loads(line)["do"])()
            _answer({})


def _answer(found: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(found) + os.linesep)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
