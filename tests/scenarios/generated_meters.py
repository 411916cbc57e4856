"""Generated prepaid meters in processes of their own, bound to meters of a real server.

The Python one runs under an unmodified iottalk-py, the C++ one is built with its own Makefile. Both
are the catalogue's, made faster through their global variables: they report each second, use
a scratch card in some, and say again after two seconds what nobody acknowledged.
"""

import atexit
import functools
import json
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.conftest import Gridtalk, wait_until
from tests.scenarios.lossy import Lossy

from gridtalk.demo.devices import environment_python
from gridtalk.demo.network import Gateway, Network
from gridtalk.demo.people import Person
from gridtalk.demo.plugs import Plug

DEVICES = Path(__file__).parents[2] / "catalogue" / "devices"
MAKER = Path(__file__).with_name("make_village.py")
PYTHON, CPP = "python", "cpp"
LANGUAGES = (PYTHON, CPP)
#: What a scratch card is worth, and what a kWh costs: the third circuit's lamp is too strong.
VALUE, PRICE_PER_KWH = Decimal(15), Decimal(100_000)
CIRCUITS = {"192.168.1.201": 30, "192.168.1.202": 40, "192.168.1.203": 60}
TOO_STRONG = "192.168.1.203"
#: Jobs come again after a second.
SETTINGS = {"GRIDTALK_JOB_RESEND_SECONDS": "1", "GRIDTALK_LOG_LEVEL": "WARNING"}

VARIABLES = {
    PYTHON: f"""import os
from library.sharedsolar.board import SimulatedBoard
from library.sharedsolar.meter import Meter
board = SimulatedBoard({list(CIRCUITS)!r}, solar_peak_w=500)
board.loads_w = {CIRCUITS!r}
meter = Meter(board, price_per_kwh={PRICE_PER_KWH}, low_credit=5, power_max_w=50,
              report_every_s=float(os.environ["REPORT_EVERY_S"]), resend_s=(2, 2, 4)).start()
""",
    CPP: f"""#include <cstdlib>
#include "sharedsolar/meter.hpp"
inline sharedsolar::SimulatedBoard board({{{", ".join(json.dumps(cid) for cid in CIRCUITS)}}},
                                         sharedsolar::system_now, 500);
inline const bool loads_set = (board.loads_w = {{{
        ", ".join(f'{{"{cid}", {load}}}' for cid, load in CIRCUITS.items())
    }}}, true);
inline sharedsolar::Meter meter(
    board, {{{PRICE_PER_KWH}, 5, 50, 0, std::atof(std::getenv("REPORT_EVERY_S")), {{2, 2, 4}}}});
inline const bool meter_started = meter.start();
""",
}


def zone_of_late_morning() -> str:
    """A time zone where it is between 10 and 11 o'clock now: no day turns while a test runs."""
    east = (10 - datetime.now(UTC).hour + 11) % 24 - 11
    # The names' signs are those of POSIX: west is positive.
    return f"Etc/GMT{-east:+d}"


class Workshop:
    """Generates the meters' code, once for each language."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: dict[str, Path] = {}

    def made(self, language: str) -> Path:
        """The folder with the device's code, ready to be run."""
        if language not in self._made:
            place = self.folder / language
            document = json.loads((DEVICES / f"prepaid-meter-{language}.json").read_text())
            document["global_variables"] = {"text": VARIABLES[language]}
            document["da"]["push_interval_s"] = 0.1
            file = self.folder / f"{language}.json"
            file.write_text(json.dumps(document))
            _run([sys.executable, "-m", "gridtalk.cli", "generate", file, "-o", place])
            if language == CPP:
                _run(["make", "-j2", "CXXFLAGS=-O0", "-C", place])
            self._made[language] = place
        return self._made[language]

    def command(self, language: str) -> list[str]:
        """What starts it, in its folder."""
        if language == CPP:
            return ["./device"]
        python = environment_python(self.folder, tell=lambda _text: None)
        return [str(python), "-m", "iottalkpy.dai", "sa.py"]


@functools.cache
def workshop() -> Workshop:
    """The meters' code in all languages, built once in a process."""
    folder = tempfile.mkdtemp(prefix="gridtalk-workshop-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = Workshop(Path(folder))
    for language in LANGUAGES:
        made.made(language)
    return made


def _run(command: Sequence[object]) -> None:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@dataclass
class GeneratedMeter:
    """One meter: its process, its state file, its people and what it has said."""

    folder: Path
    language: str
    address: str
    command: list[str]
    environment: dict[str, str]
    handle: str = ""
    device_id: int = 0
    meter_id: int = 0
    people: list[Person] = field(default_factory=list)
    #: Messages that its state file held when its power went: reference → (feature, values).
    kept: dict[str, tuple[str, list[Any]]] = field(default_factory=dict)
    starts: int = 0
    plug: Plug = field(init=False)

    def __post_init__(self) -> None:
        self.plug = self._plug(report_every_s=1)

    def _plug(self, *, report_every_s: int) -> Plug:
        every = {"REPORT_EVERY_S": str(report_every_s)}
        return Plug(self.folder, self.command, {**self.environment, **every})

    def start(self) -> None:
        """Put its plug in."""
        self.plug.put_in()
        self.starts += 1

    def kill(self) -> None:
        """A power cut, at this very moment: ``kill -9`` of its process group."""
        self.plug.pull()
        if self.state_path.exists():
            self.kept |= self.outbox()

    def start_quiet(self) -> None:
        """Start it such that it makes no reports of its own any more, besides the hourly."""
        self.kill()
        self.plug = self._plug(report_every_s=0)
        self.start()

    @property
    def state_path(self) -> Path:
        """Where it keeps what matters."""
        return self.folder / "meter-state.json"

    def state(self) -> dict[str, Any]:
        """Its state file, which is whole at any moment."""
        found: dict[str, Any] = json.loads(self.state_path.read_text())
        return found

    def outbox(self) -> dict[str, tuple[str, list[Any]]]:
        """What it has not heard an acknowledgement of."""
        waiting = json.loads(self.state_path.read_text(), parse_float=Decimal)["outbox"]
        if self.language == CPP:
            return {reference: (name, values) for reference, name, values in waiting}
        return {reference: (one["df"], one["values"]) for reference, one in waiting}

    def line(self, cid: str) -> tuple[Decimal, bool, Decimal]:
        """Credit, whether it is on, and the watt-hours of the day of a circuit."""
        saved = self.state()["circuits"][cid]
        if self.language == CPP:
            credit = Decimal(saved["credit_micro"]) / 1_000_000
        else:
            credit = Decimal(saved["credit"])
        return credit, saved["is_on"], Decimal(str(saved["watthours"]))

    def log(self) -> str:
        """What it printed."""
        return self.plug.log_path.read_text(errors="replace") if self.starts else ""


class World:
    """A running server, a network of phones, a bad network to the broker, and meters."""

    def __init__(self, gridtalk: Gridtalk, network: Network, lossy: Lossy, zone: str) -> None:
        self.gridtalk, self.network, self.lossy, self.zone = gridtalk, network, lossy, zone
        self.meters: list[GeneratedMeter] = []
        self.tokens: list[str] = []
        self.redeemed: list[str] = []
        self.texts: list[str] = []

    def ask(self, statement: str, *values: Any) -> Any:
        """The first column of the first row."""
        with self.gridtalk.database() as database:
            row = database.execute(statement, values).fetchone()
            assert row is not None
            return row[0]

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows."""
        with self.gridtalk.database() as database:
            return database.execute(statement, values).fetchall()

    def add(self, code: Workshop, languages: Sequence[str], *, tokens: int = 30) -> None:
        """Start a meter in each of these languages; bind them; people with phones on each."""
        url = f"http://127.0.0.1:{self.gridtalk.port}/iottalk/v2"
        for language in languages:
            folder = Path(tempfile.mkdtemp(prefix=f"{language}-", dir=self.gridtalk.folder))
            shutil.copytree(code.made(language), folder, dirs_exist_ok=True)
            address = str(uuid.uuid4())
            environment = {
                "IOTTALK_URL": url, "IOTTALK_DEVICE_ADDRESS": address, "TZ": self.zone,
                "HOME": str(folder),
            }  # fmt: skip
            command = code.command(language)
            self.meters.append(GeneratedMeter(folder, language, address, command, environment))
            self.meters[-1].start()
        self._await_registered()
        self._bind(tokens)

    def _await_registered(self) -> None:
        count = "SELECT count(*) FROM registered_devices WHERE address = ANY(%s)"
        addresses = [meter.address for meter in self.meters]
        wait_until(
            lambda: self.ask(count, addresses) == len(addresses),
            what="all meters to register", seconds=30,
        )  # fmt: skip

    def _bind(self, tokens: int) -> None:
        wanted = [
            {"address": meter.address, "name": f"{meter.language}-{meter.address[:8]}",
             "people": [[f"{meter.language} {k}", f"+2567{number:04d}{k:04d}"]
                        for k in range(len(CIRCUITS))]}
            for number, meter in enumerate(self.meters)
        ]  # fmt: skip
        asked = {
            "server_url": f"http://127.0.0.1:{self.gridtalk.port}", "zone": self.zone,
            "network_port": self.network.port, "tokens": tokens, "value": str(VALUE),
            "devices": wanted,
        }  # fmt: skip
        done = self.gridtalk.command("exec", sys.executable, str(MAKER), stdin=json.dumps(asked))
        assert done.returncode == 0, done.stdout + done.stderr
        made = json.loads(done.stdout)
        self.tokens = made["tokens"]
        gateway = Gateway("+256770000000", made["inbound_url"], "gridtalk", made["password"])
        self.network.gateway_add(gateway)
        for meter, one in zip(self.meters, wanted, strict=True):
            found = made["devices"][meter.address]
            meter.handle, meter.meter_id = found["handle"], found["meter"]
            meter.device_id = found["id"]
            people: Any = zip(one["people"], found["pins"], CIRCUITS, strict=True)
            meter.people = [
                Person(self.network, name=name, number=phone, gateway=gateway.number, pin=pin,
                       address=cid)
                for (name, phone), pin, cid in people
            ]  # fmt: skip

    def say(self, person: Person, words: str) -> None:
        """A person texts a word about their account."""
        verb, _, rest = words.partition(" ")
        self.texts.append(person.say(f"{verb} {person.pin} {rest}".strip()))

    def redeem(self, person: Person) -> None:
        """Text the next scratch card."""
        token = self.tokens[len(self.redeemed)]
        self.redeemed.append(token)
        self.say(person, f"add {token}")

    def open_jobs(self) -> int:
        """How many jobs wait for their confirmation."""
        states = ["queued", "sent", "unconfirmed"]
        return int(self.ask("SELECT count(*) FROM jobs WHERE state = ANY(%s)", states))

    def unhandled(self) -> int:
        """How many stored messages wait to be acted on."""
        return int(self.ask("SELECT count(*) FROM incoming_messages WHERE handled_at IS NULL"))

    def is_online(self, meter: GeneratedMeter) -> bool:
        """What the pages say."""
        return bool(self.ask("SELECT online FROM registered_devices WHERE id=%s", meter.device_id))

    def settle(self, *, seconds: float) -> None:
        """Wait until every text is handled and every job confirmed; everybody switches off.

        The meters lose their power a last time, and say what they still have to say. What a circuit
        used in the second before it went off, its meter counts a moment later: off again tells it.
        """

        def rests() -> bool:
            return (
                self.network.is_idle()
                and all(text in self.network.answered for text in self.texts)
                and not self.unhandled()
                and not self.open_jobs()
            )

        def all_off() -> None:
            for meter in self.meters:
                for person in meter.people:
                    self.say(person, "off")
            wait_until(rests, what="all circuits to be off", seconds=seconds)

        wait_until(rests, what="all texts and jobs to end", seconds=seconds)
        all_off()
        for meter in self.meters:
            meter.start_quiet()
        all_off()
        for meter in self.meters:
            wait_until(
                lambda meter=meter: not meter.outbox(),
                what=f"the {meter.language} meter to have said everything", seconds=seconds,
            )  # fmt: skip
        wait_until(rests, what="the last words to be handled", seconds=seconds)
        for meter in self.meters:
            meter.kill()

    def report(self) -> str:
        """What went on, for a test that fails."""
        logs = [
            f"--- {one.language} {one.starts} starts\n{one.log()[-2500:]}" for one in self.meters
        ]
        return "\n".join([*logs, f"--- server\n{self.gridtalk.said()[-4000:]}"])


@contextmanager
def world_on(gridtalk: Gridtalk, *, seed: int, **settings: str) -> Iterator[World]:
    """A server whose devices reach the broker through a bad network (good, at first)."""
    zone = zone_of_late_morning()
    with Lossy(gridtalk.mqtt_port, seed=seed) as lossy, Network(seed=seed) as network:
        gridtalk.up(GRIDTALK_MQTT_PUBLIC=f"127.0.0.1:{lossy.port}", **SETTINGS, **settings)
        world = World(gridtalk, network, lossy, zone)
        try:
            yield world
        finally:
            for meter in world.meters:
                meter.plug.pull()
            print(world.report())
            gridtalk.end()
