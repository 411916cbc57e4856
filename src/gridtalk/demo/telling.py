"""The story as a person reads it: who texted whom, what, and what it means."""

import os
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from typing import TextIO

from gridtalk.core import money
from gridtalk.demo.network import Carried
from gridtalk.gateway.consumer.wire import Command, Hint, parse_command
from gridtalk.gateway.meter import wire, wire_encode

_LONGEST_TEXT = 100
_COLOURS = {"dim": "2", "bold": "1", "green": "32", "yellow": "33", "blue": "34", "magenta": "35",
            "cyan": "36", "red": "31"}  # fmt: skip

_ALERTS = {
    "lcw": "credit of {cid} is low: {credit}",
    "nocw": "credit of {cid} is used up: the meter switched it off",
    "pmax": "{cid} drew too much power: the meter switched it off",
    "emax": "{cid} used its energy of the day: the meter switched it off",
}
_JOBS = {
    "add_credit": "job {id}: add {amount} to {cid}",
    "turn_on": "job {id}: switch {cid} on",
    "turn_off": "job {id}: switch {cid} off",
    "cping": "job {id}: how is {cid}?",
    "mping": "job {id}: are you there?",
}
_COMMANDS = {
    "balance": "asks for the balance",
    "add_credit": "redeems a token",
    "turn_on": "switches the light on",
    "turn_off": "switches the light off",
    "set_contact": "changes the phone",
    "usage": "asks what was used in 30 days",
    "language": "changes the language",
    "help": "asks for help",
}


class Teller:
    """Prints the story line by line; in colour where the output is a terminal.

    ``names`` maps phone numbers to who has them; ``time`` says what time it is in the village.
    """

    def __init__(
        self, *, names: dict[str, str], time: Callable[[], datetime], output: TextIO | None = None
    ) -> None:
        self.names = names
        self._time = time
        self._output = output or sys.stdout
        self._lock = threading.Lock()
        self._colour = self._output.isatty() and not os.environ.get("NO_COLOR")

    def text(self, carried: Carried) -> None:
        """One text that the network was given."""
        sender, receiver = (self._name(number) for number in (carried.sender, carried.receiver))
        colour = "cyan" if carried.way == "up" else "green"
        shown = " ".join(carried.text.split())
        shown = shown if len(shown) <= _LONGEST_TEXT else f"{shown[: _LONGEST_TEXT - 1]}…"
        head = f"{sender:>15} → {receiver:<15}"
        self._print(f"{self._clock()} {self._in(colour, head)} {shown}")
        if told := meaning(carried):
            self._print(f"{'':>44}{self._in('dim', told)}")

    def happened(self, text: str) -> None:
        """Something that nobody texted: a lamp goes on, the power is cut."""
        self._print(f"{self._clock()} {self._in('yellow', f'· {text}')}")

    def chapter(self, text: str) -> None:
        """What comes next."""
        self._print("")
        self._print(self._in("bold", text))

    def plain(self, text: str = "", colour: str = "") -> None:
        """A line outside the story."""
        self._print(self._in(colour, text) if colour else text)

    def _clock(self) -> str:
        return self._in("dim", f"{self._time():%a %H:%M}")

    def _name(self, number: str) -> str:
        return self.names.get(number.lstrip("+"), number)

    def _in(self, colour: str, text: str) -> str:
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self._colour else text

    def _print(self, line: str) -> None:
        with self._lock:
            encoding = self._output.encoding or "utf-8"
            self._output.write(line.encode(encoding, "replace").decode(encoding) + "\n")
            self._output.flush()


def meaning(carried: Carried) -> str:
    """What a text means, in a few words; empty where it speaks for itself."""
    if carried.way == "up":
        if wire.looks_like_meter(carried.text):
            return _meter_meaning(wire.parse(carried.text))
        return _consumer_meaning(carried.text)
    job = wire_encode.parse_job(carried.text)
    if isinstance(job, wire_encode.MeterJob):
        amount = "" if job.amount is None else money.shown(job.amount)
        return _JOBS[job.kind].format(id=job.job_id, cid=_last(job.cid), amount=amount)
    return ""


def _consumer_meaning(text: str) -> str:
    command = parse_command(text)
    if isinstance(command, Command):
        return _COMMANDS[command.action]
    if isinstance(command, Hint):
        return f"{_COMMANDS[command.action]}, but something is missing"
    return ""


def _meter_meaning(message: wire.MeterMessage) -> str:
    match message:
        case wire.PrimaryLogs(entries=entries):
            parts = [
                f"{_last(one.cid)}: {one.watthours} Wh"
                + ("" if one.credit is None else f", {money.shown(one.credit)} left")
                + ("" if one.status else ", off")
                for one in entries
            ]
            return "hourly report · " + " · ".join(parts)
        case wire.JobAck(job_id=job_id, status=status, credit=credit):
            state = "" if status is None else f", {'on' if status else 'off'}"
            left = "" if credit is None else f", credit now {money.shown(credit)}"
            return f"job {job_id} is done{state}{left}"
        case wire.Alert(code=code, cid=cid, credit=credit):
            shown = "" if credit is None else money.shown(credit)
            return "alert · " + _ALERTS.get(code, code).format(cid=_last(cid), credit=shown)
        case wire.PowerOn():
            return "the meter has power again"
        case wire.PcuLog(values=values):
            return f"power unit · {values[0]} kWh from the sun so far, battery at {values[3]} V"
        case wire.GatewayPing():
            return "is the gateway there?"
        case wire.MeterError(reason=reason):
            return f"not understood: {reason}"


def _last(cid: str | None) -> str:
    """The end of an address, by which the story calls a circuit."""
    return "mains" if cid and cid.endswith(".200") else f"circuit {(cid or '')[-3:]}"
