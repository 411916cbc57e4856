"""A device of IoTtalk v1, written from the protocol's page (spec/iottalk.md, v1) alone: stdlib.

    python v1_device.py URL MAC                      the usual Dummy_Device
    python v1_device.py URL MAC --meter FOLDER       a prepaid meter, its state in FOLDER

It polls, compares the newest sample's time with that of the last one, and takes that sample only,
as such devices do. What it hears and does it prints.
"""

import argparse
import http.client
import json
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

NOT_REGISTERED = "mac_addr not found:"
Inputs = dict[str, Callable[[], list[Any] | None]]
Outputs = dict[str, Callable[[list[Any]], None]]


class RefusedError(Exception):
    """Not 200; the text is the server's."""


class MustRegisterError(RefusedError):
    """The server does not know the device."""


def say(text: str) -> None:
    print(text, flush=True)


class V1Device:
    """Registers, obeys its control channel, pushes its inputs, pulls its outputs."""

    def __init__(
        self, url: str, mac: str, model: str, *, inputs: Inputs, outputs: Outputs,
        key_file: Path | None = None, interval_s: float = 0.1,
    ) -> None:  # fmt: skip
        self.base, self.mac = urlsplit(url), mac
        self.inputs, self.outputs = inputs, outputs
        self.profile = {
            "dm_name": model, "d_name": f"{model} by HTTP", "u_name": "nobody", "is_sim": True,
            "df_list": [*inputs, *outputs],
        }  # fmt: skip
        self.key_file, self.interval_s = key_file, interval_s
        self.key = key_file.read_text() if key_file and key_file.exists() else ""
        self.state, self.selected = "SUSPEND", set[str]()
        self.times: dict[str, str] = {}

    def asks(self, method: str, path: str, body: Any = None) -> Any:
        """One request; the JSON of its answer, or its text."""
        connection = http.client.HTTPConnection(str(self.base.hostname), self.base.port, timeout=10)
        headers = {"Content-Type": "application/json"} | (
            {"password-key": self.key} if self.key else {}
        )
        try:
            connection.request(
                method, f"{self.base.path}/{path}", json.dumps(body) if body else None, headers
            )
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status != 200:
            raise (MustRegisterError if NOT_REGISTERED in text else RefusedError)(
                f"{answer.status} {text}"
            )
        is_json = answer.headers.get_content_type() == "application/json"
        return json.loads(text) if is_json else text

    def registers(self) -> None:
        answer = self.asks("POST", self.mac, {"profile": self.profile})
        self.key, self.state, self.times = answer["password"], "SUSPEND", {}
        if self.key_file:
            self.key_file.write_text(self.key)
        say(f"registered as {answer['d_name']}")

    def newest(self, name: str) -> Any:
        """The newest sample's value, where its time is not that of the last one."""
        samples = self.asks("GET", f"{self.mac}/{quote(name)}")["samples"]
        if not samples or samples[0][0] == self.times.get(name):
            return None
        self.times[name] = samples[0][0]
        return samples[0][1]

    def control(self) -> None:
        match self.newest("__Ctl_O__"):
            case ["SET_DF_STATUS", {"cmd_params": [flags]}]:
                names = self.profile["df_list"]
                self.selected = {name for name, on in zip(names, flags, strict=True) if on == "1"}
                answer = ["SET_DF_STATUS_RSP", {"cmd_params": [flags]}]
                self.asks("PUT", f"{self.mac}/__Ctl_I__", {"data": answer})
                say(f"selected {flags}")
            case ["RESUME" | "SUSPEND" as state, _]:
                self.state = state
                say(state)

    def round(self) -> None:
        self.control()
        if self.state != "RESUME":
            return
        for name, values_of in self.inputs.items():
            if name in self.selected and (values := values_of()) is not None:
                self.asks("PUT", f"{self.mac}/{quote(name)}", {"data": values})
        for name, take in self.outputs.items():
            if name in self.selected and (values := self.newest(name)) is not None:
                take(values)

    def runs(self) -> None:
        """For ever; registers whenever it must."""
        is_registered = False  # the control channel begins anew with each start
        while True:
            try:
                if not is_registered:
                    self.registers()
                    is_registered = True
                self.round()
                time.sleep(self.interval_s)
            except MustRegisterError as error:
                say(f"must register: {error}")
                is_registered = False
            except (RefusedError, OSError, http.client.HTTPException) as error:
                say(f"failed: {error}")
                time.sleep(0.3)

    def leaves(self) -> None:
        self.asks("DELETE", self.mac)
        say("left")


def dummy() -> tuple[str, Inputs, Outputs]:
    """One sensor, one actuator."""
    return (
        "Dummy_Device",
        {"Dummy_Sensor": lambda: [round(random.uniform(10, 30), 2)]},
        {"Dummy_Control": lambda values: say(f"received: {json.dumps(values)}")},
    )


def meter(folder: Path) -> tuple[str, Inputs, Outputs]:
    """The meter library of our catalogue, on simulated lines that use nothing."""
    library = Path(__file__).parents[3] / "catalogue" / "libraries" / "Python" / "sharedsolar"
    sys.path.insert(0, str(library))
    from sharedsolar.board import SimulatedBoard
    from sharedsolar.meter import Meter

    box = Meter(
        SimulatedBoard(["192.168.1.201", "192.168.1.202"]), path=str(folder / "meter-state.json"),
        price_per_kwh="0", report_every_s=2,
    )  # fmt: skip
    box.start(0.2)

    def job(values: list[Any]) -> None:
        say(f"job: {json.dumps(values)}")
        box.job(*values)

    spoken = ["PrimaryLog-I", "Alert-I", "JobDone-I"]
    return (
        "PrepaidMeter",
        {name: lambda name=name: box.next(name) for name in spoken},
        {"Job-O": job, "Ack-O": lambda values: box.ack(values[0])},
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("mac")
    parser.add_argument("--meter", type=Path)
    given = parser.parse_args()
    model, inputs, outputs = meter(given.meter) if given.meter else dummy()
    device = V1Device(
        given.url, given.mac, model, inputs=inputs, outputs=outputs,
        key_file=given.meter / "key" if given.meter else None,
    )  # fmt: skip

    def leave(*_: object) -> None:
        if not given.meter:
            device.leaves()
        sys.exit(0)

    signal.signal(signal.SIGTERM, leave)
    device.runs()


if __name__ == "__main__":
    main()
