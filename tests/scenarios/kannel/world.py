"""The server, Kannel and the phones, for the tests."""

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

from tests.scenarios.kannel.air import OURS, Air, digits
from tests.scenarios.kannel.boxes import USER, Kannel

from gridtalk.demo.meter import Meter, MeterCircuit

HERE = Path(__file__).parent
#: So that what waits for a report, or for an acknowledgement, is seen to end.
PATIENCE = {"GRIDTALK_REPORT_GRACE_SECONDS": "2", "GRIDTALK_JOB_RESEND_SECONDS": "20"}


@dataclass
class FieldMeter:
    """A simulated meter at its number: obeys what arrives there, and acknowledges it."""

    air: Air
    number: str
    box: Meter
    pins: list[str]
    circuit_ids: list[int]
    people: list[str]
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def hear(self, text: str) -> None:
        """A text has arrived."""
        with self._lock:
            self.box.now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
            answers = self.box.hear(text)
        for answer in answers:
            self.air.say(self.number, answer)

    def credits(self) -> list[Decimal]:
        """All that was added at this meter, ever."""
        return [one.amount for one in self.box.applied]


@dataclass
class World:
    """The server, Kannel and the phones."""

    server: Any
    kannel: Kannel
    air: Air
    interface: int
    _numbers: Iterator[int] = field(default_factory=lambda: count(70_000_000))
    _tokens: list[str] = field(default_factory=list)

    def number_new(self) -> str:
        """A number in Mali that nobody has."""
        return f"+223{next(self._numbers)}"

    def service(self, do: str, **given: Any) -> Any:
        """Have ``village.py`` do something in the server's database."""
        done = self.server.command(
            "exec", "--", sys.executable, str(HERE / "village.py"),
            stdin=json.dumps({"do": do, **given}),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def meter_new(
        self,
        *,
        people: int = 1,
        circuits: int = 0,
        lang: str = "en",
        knows_job_ids: bool = True,
        number: str = "",
        interface: int = 0,
    ) -> FieldMeter:
        """A meter in the database and at its number, with that many people on its circuits."""
        number = number or self.number_new()
        phones = [self.number_new() for _ in range(people)]
        made = self.service(
            "meter", name=f"m{digits(number)}", phone=number, people=phones, lang=lang,
            interface=interface or self.interface, circuits=max(people, circuits),
            knows_job_ids=knows_job_ids,
        )  # fmt: skip
        lines = {address: MeterCircuit(address) for _, _, address in made["circuits"]}
        box = Meter(number, datetime(2026, 1, 1), lines, knows_job_ids=knows_job_ids)  # noqa: DTZ001  its own clock
        meter = FieldMeter(
            self.air, number, box, [pin for _, pin, _ in made["circuits"]],
            [pk for pk, _, _ in made["circuits"]], phones,
        )  # fmt: skip
        self.air.listen(number, meter.hear)
        return meter

    def token(self) -> str:
        """An unused token, worth 500."""
        if not self._tokens:
            self._tokens = self.service("tokens", count=50, value="500.00")
        return self._tokens.pop()

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """What the server's database says."""
        with self.server.database() as connection:
            return list(connection.execute(sql, values or None).fetchall())

    def one(self, sql: str, *values: Any) -> Any:
        """The first column of the only row."""
        rows = self.rows(sql, *values)
        assert len(rows) == 1, f"{len(rows)} rows of {sql} {values}"
        return rows[0][0]

    def restart(self) -> None:
        """Start the server again after it was stopped."""
        self.server.up(**PATIENCE)

    def messages(self, *numbers: str) -> list[Any]:
        """Kind, state and text of all messages of these numbers, in order."""
        return self.rows(
            "SELECT kind, state, text FROM messages WHERE number = ANY(%s) ORDER BY id",
            list(numbers),
        )

    def outcomes(self, *numbers: str) -> list[Any]:
        """What became of each message of these numbers that came in; null: not handled yet."""
        return self.rows(
            """SELECT m.text, CASE WHEN handled_at IS NULL THEN NULL ELSE outcome END, error
            FROM incoming_messages i JOIN messages m USING (id)
            WHERE m.number = ANY(%s) ORDER BY i.id""",
            list(numbers),
        )

    def verify(self) -> None:
        """The books are clean."""
        done = self.server.command("verify")
        assert done.returncode == 0, done.stdout
        assert "The ledger is clean" in done.stdout


def interface_add(server: Any, kannel: Kannel, name: str, password: str) -> tuple[int, str]:
    """Add this Kannel with the command line as an operator does; its id and its ``get-url``."""
    done = server.command(
        "interface", "add", "kannel", name, "host=127.0.0.1", f"port={kannel.ports['sendsms']}",
        f"username={USER}", f"phone={OURS}", "region=ML", "--password-stdin",
        stdin=f"{password}\n", GRIDTALK_PUBLIC_URL=f"http://127.0.0.1:{server.port}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, *_, url = done.stdout.strip().splitlines()
    return int(first.split()[1]), url
