"""Takes a board to its IoTtalk server: serial line on one side, HTTP and MQTT on the other.

Usage: ./run.sh [PORT]; without one, the first board that is connected by USB. Ctrl+C ends it. The
environment (IOTTALK_URL, IOTTALK_DEVICE_ADDRESS) goes before what was set in the workshop.
"""

import datetime as dt
import glob
import json
import os
import signal
import sys
import time
import uuid
from decimal import Decimal

import settings
from bridge_iottalk import Session
from bridge_serial import Link

TELL_S = 10.0
WAIT_S = 0.05
FIRST_PAUSE_S = 1
LONGEST_PAUSE_S = 30
EPOCH = dt.datetime(2000, 1, 1)


def say(text):
    """Print at once."""
    print(text, flush=True)


def plain(value):
    """A JSON value as the board reads it: no exponents, no control characters, no lists in lists.

    Raises ValueError for what the board cannot take.
    """
    if isinstance(value, str):
        text = "".join(c if c.isprintable() else " " for c in value)
        return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, (int, Decimal)) and abs(value) < 10**15:
        return format(value, "f") if isinstance(value, Decimal) else str(value)
    raise ValueError(f"the board cannot take {str(value)[:40]}")


def board_list(payload):
    """The list for the board from a message's payload; raises ValueError."""
    try:
        values = json.loads(payload, parse_float=Decimal, parse_constant=str)
    except RecursionError as error:
        raise ValueError("lists too deep in each other") from error
    if not isinstance(values, list):
        values = [values]
    return "[%s]" % ",".join(map(plain, values))


class Bridge:
    """One board on its line, registered while it answers."""

    def __init__(self, link, url, address):
        self.link = link
        self.url = url
        self.address = address  # who knows it can speak as this device: it is never printed
        self.version = None  # of the program on the board; None until it has told it
        self.session = None
        self.told = None
        self.told_at = 0.0
        self.try_at = 0.0
        self.pause_s = FIRST_PAUSE_S

    def step(self):
        """One round; raises OSError where the port is gone."""
        for text in self.link.pump(WAIT_S):
            self._heard(text)
        if self.link.silent and self.version is not None:
            say("board: it is silent")
            self.version = None
            self.link.forget()
        if self.session is not None and (self.version is None or self.session.lost):
            self.leave()
        if self.session is None and self.version is not None and time.monotonic() >= self.try_at:
            self._register()
        if self.session is not None:
            for name, payload in self.session.events():
                self._forward(name, payload)
        if self.version is not None:
            self._tell()
        elif self.link.idle:
            self.link.send("?")

    def leave(self, deregister=False):
        """Take the device offline; what fails then is only said."""
        session, self.session = self.session, None
        if session is not None:
            try:
                session.close(deregister)
            except OSError as error:
                say(f"leaving: {error}")

    def _heard(self, text):
        if text.startswith("#"):
            say(f"board: {text[1:]}")
        elif text.startswith("?"):
            self._hello(text[1:])
        elif self.session is not None:
            name, _, values = text.partition(" ")
            try:
                json.loads(values)
            except ValueError:
                say(f"board: no JSON from {name}")
                return
            # The board's own text goes on, so that no number changes on its way.
            self.session.push(name, values)

    def _hello(self, version):
        self.link.forget()
        self.told = None
        if version == self.version:
            return
        say(f"board: it runs version {version}")
        if version != settings.version:
            say(f"board: this folder holds version {settings.version}; make upload puts it there")
        # The server is told what runs, not what should.
        self.leave()
        self.version = version
        self.try_at = 0.0

    def _register(self):
        registration = {
            "name": settings.device_name,
            "idf_list": settings.idf_list,
            "odf_list": settings.odf_list,
            "accept_protos": ["mqtt"],
            "profile": {"model": settings.device_model, "version": self.version},
        }
        try:
            self.session = Session(f"{self.url}/{self.address}", registration)
        except OSError as error:
            say(f"Waiting {self.pause_s} s for the server {self.url}: {error}")
            self.try_at = time.monotonic() + self.pause_s
            self.pause_s = min(2 * self.pause_s, LONGEST_PAUSE_S)
            return
        say(f"registered as {self.session.name}")
        self.pause_s = FIRST_PAUSE_S

    def _forward(self, name, payload):
        try:
            self.link.send(f"{name} {board_list(payload)}")
        except ValueError as error:
            say(f"{name}: {error}")

    def _tell(self):
        """Tell the board which features are wanted, and the time: a change at once."""
        mask = sum(
            1 << number
            for number, (name, _) in enumerate(settings.idf_list)
            if self.session is not None and self.session.wanted(name)
        )
        due = time.monotonic() - self.told_at >= TELL_S
        if (due or mask != self.told) and self.link.idle:
            seconds = int((dt.datetime.now() - EPOCH).total_seconds())
            self.link.send(f"! {mask:x} {seconds}")
            self.told, self.told_at = mask, time.monotonic()


def port_find():
    """The first board that is connected by USB; raises OSError where there is none."""
    ports = sorted(glob.glob("/dev/ttyACM*") + glob.glob("/dev/ttyUSB*"))
    if not ports:
        raise OSError("no board is connected by USB")
    return ports[0]


def main(arguments):
    """Serve the board until a signal; gives the exit code."""
    url = (os.environ.get("IOTTALK_URL") or settings.server_url).rstrip("/")
    address = os.environ.get("IOTTALK_DEVICE_ADDRESS") or settings.device_addr
    if not url.startswith(("http://", "https://")):
        say(f"The server's address {url!r} cannot be used: set it in the workshop, or IOTTALK_URL.")
        return 2
    # A device with an address of its own stays registered while it is off.
    lasting = bool(address)
    address = address or str(uuid.uuid4())
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    pause_s = FIRST_PAUSE_S
    while True:
        bridge = None
        try:
            port = arguments[0] if arguments else port_find()
            with Link(port) as link:
                say(f"the board is awaited on {port}")
                bridge = Bridge(link, url, address)
                pause_s = FIRST_PAUSE_S
                while True:
                    bridge.step()
        except KeyboardInterrupt:
            if bridge is not None:
                bridge.leave(deregister=not lasting)
            return 0
        except OSError as error:
            if bridge is not None:
                bridge.leave()
            say(f"Waiting {pause_s} s for the board: {error}")
        try:
            time.sleep(pause_s)
        except KeyboardInterrupt:
            return 0
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
