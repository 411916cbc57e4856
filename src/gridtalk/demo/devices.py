"""The demo's devices: written by the workshop, run by nobody but themselves, bound to meters.

The workshop saves each as a person would save it, for this demo's server; the code that it makes
is unpacked and started in a process group of its own. It registers, the demo (as the operator) says
which meter it is, and from then on it is a meter like any other: credit bought by SMS reaches it.
Everything here may take its time: it never delays the villages. Needs Django set up.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.db import close_old_connections, connection

from gridtalk.core.errors import GridtalkError, PeerError, SetupError
from gridtalk.demo.network import Gateway, Network
from gridtalk.demo.people import Person
from gridtalk.demo.plugs import Plug
from gridtalk.demo.village import name_free
from gridtalk.devicetalk import engine
from gridtalk.devicetalk.device_file import catalogue_folder
from gridtalk.devicetalk.device_file_schema import DaPart, GlobalVariablesPart
from gridtalk.devicetalk.models import Device
from gridtalk.devicetalk.services.catalogue_install import catalogue_install
from gridtalk.devicetalk.services.documents import device_document_save
from gridtalk.devicetalk.services.documents_read import device_document
from gridtalk.devicetalk.ziptree import files_write
from gridtalk.grid.models import Account
from gridtalk.iottalk.models import RegisteredDevice
from gridtalk.iottalk.services.binding import meter_for_device_create
from gridtalk.messaging.models import CommunicationInterface, IoTtalkInterface
from gridtalk.messaging.services import interface_create
from gridtalk.users.models import User

#: Where `make setup` puts iottalk-py, which brings an MQTT client of its own, below our own
#: environment; and what is put there, below the catalogue's folder: all that the shipped basic
#: file needs.
ENVIRONMENT = "devices"
REQUIREMENTS = "basic-files/Python/iottalk-py/requirements.txt"
INTERFACE = "demo-devices"
#: How long a started device may take to register.
REGISTERS_WITHIN_S = 90.0
SHIPPED = "Prepaid meter 1"


@dataclass(frozen=True)
class Wanted:
    """A device that the demo shall have: its names, and who lives on its meter."""

    name: str
    meter: str
    language: str
    people: tuple[tuple[str, str], ...]  # name, language
    #: Changes to the shipped device's global variables: what stands there, what shall.
    variables: tuple[tuple[str, str], ...] = ()


PYTHON = Wanted(
    "Workshop meter",
    "Workshop",
    "Python",
    (("Fatuma", "en"), ("Okello", "sw")),
    (("energy_max_wh=2000)", "energy_max_wh=2000, report_every_s=10)"),),
)
CPP = Wanted(
    "Workshop meter in C++",
    "Workshop C++",
    "C++",
    (("Wanjiru", "en"), ("Didier", "fr")),
    (("500, 2000})", "500, 2000, 10})"),),
)


@dataclass
class Workshop:
    """Makes the demo's devices and starts them, in a thread of its own (:meth:`begin`)."""

    network: Network
    gateway: Gateway
    interface: CommunicationInterface
    server_url: str
    folder: Path
    zone: str
    prefix: str
    operator: User
    tell: Callable[[str], None]

    def begin(self) -> None:
        """Go to work; what fails is told in one line and stops nothing."""
        threading.Thread(target=self._work, name="workshop", daemon=True).start()

    def _work(self) -> None:
        close_old_connections()
        self.folder.mkdir(mode=0o700, exist_ok=True)
        try:
            catalogue_install(folder=catalogue_folder())
            number = 1
            for wanted in (PYTHON, CPP):
                try:
                    self._make(wanted, number)
                except (GridtalkError, OSError, subprocess.SubprocessError) as error:
                    self.tell(f"{wanted.name}: {error}")
                number += len(wanted.people)
        finally:
            connection.close()

    def _make(self, wanted: Wanted, number: int) -> None:
        command = self._command(wanted)
        if command is None:
            self.tell(f"{wanted.name} is left out: it needs g++ and make on this machine")
            return
        device = self._saved(wanted)
        folder = self.folder / f"device-{device.pk}"
        # What the device keeps of itself there (its state) stays.
        files_write(engine.device_render(device).files, folder)
        if wanted.language == "C++":
            _built(folder)
        plug = Plug(folder, command, {"TZ": self.zone, "HOME": str(folder)})
        self.network.plugs.add(device.device_address, plug)
        plug.put_in()
        registered = _registered(device, plug)
        self._bound(wanted, registered, number)
        self.tell(
            f"{wanted.name} is online, written by the workshop: "
            f"{self.server_url}/devices/{registered.pk} (there its plug can be pulled)"
        )

    def _command(self, wanted: Wanted) -> list[str] | None:
        if wanted.language == "Python":
            python = environment_python(self.folder, tell=self.tell)
            return [str(python), "-m", "iottalkpy.dai", "sa.py"]
        if shutil.which("g++") and shutil.which("make"):
            return ["./device"]
        return None

    def _saved(self, wanted: Wanted) -> Device:
        """The workshop's device, saved anew where it is not as it shall be: the port changes."""
        url = f"{self.server_url}/iottalk/v2"
        mine = Device.objects.filter(user=self.operator, name=wanted.name).first()
        if mine is not None:
            if mine.server_url == url:
                return mine
            document = device_document(device=mine)
        else:
            shipped = Device.objects.get(
                user=None, name=SHIPPED, basic_file__language__name=wanted.language
            )
            document = device_document(device=shipped)
            document = document.model_copy(
                update={"name": wanted.name, "global_variables": _variables(shipped, wanted)}
            )
        part = DaPart(
            server_url=url,
            device_address=mine.device_address if mine else "",
            push_interval_s=document.da.push_interval_s,
        )
        document = document.model_copy(update={"da": part})
        saved = device_document_save(user=self.operator, document=document, device=mine)
        return saved.device

    def _bound(self, wanted: Wanted, registered: RegisteredDevice, number: int) -> None:
        """The meter that the device is, with people whose phones are in the network."""
        interface = self._interface()
        meter = registered.meter
        if meter is None or meter.retired_at is not None:
            meter = meter_for_device_create(
                device=registered,
                user=self.operator,
                name=name_free(wanted.meter),
                circuits=len(wanted.people),
                interface=interface,
                time_zone=self.zone,
                location="on the workbench",
            )
        circuits = meter.circuits.filter(is_main=False).order_by("ip_address")
        for index, (circuit, (name, lang)) in enumerate(zip(circuits, wanted.people, strict=True)):
            phone = f"{self.prefix}09{number + index:02d}"
            Account.objects.filter(circuits=circuit).update(name=name, phone=phone, lang=lang)
            Person(
                self.network,
                name=name,
                number=phone,
                gateway=self.gateway.number,
                lang=lang,
                pin=circuit.pin,
                address=circuit.ip_address,
            )

    def _interface(self) -> CommunicationInterface:
        """The interface of the devices; its consumers text through this demo's network."""
        found = IoTtalkInterface.objects.filter(name=INTERFACE).first()
        if found is None:
            made, _key = interface_create(
                kind=IoTtalkInterface.KIND,
                name=INTERFACE,
                provider="this server",
                sms_interface=self.interface,
            )
            return made
        IoTtalkInterface.objects.filter(pk=found.pk).update(sms_interface=self.interface)
        CommunicationInterface.objects.filter(pk=found.pk).update(active=True)
        return found


def _variables(shipped: Device, wanted: Wanted) -> GlobalVariablesPart:
    text = shipped.global_var_setup
    for old, new in wanted.variables:
        if old not in text:
            raise SetupError(f"the shipped meter's variables have no “{old}”")
        text = text.replace(old, new)
    return GlobalVariablesPart(text=text, readonly_lines=shipped.gvs_readonly_lines)


def _registered(device: Device, plug: Plug) -> RegisteredDevice:
    """The device as the server knows it, once it has registered."""
    deadline = time.monotonic() + REGISTERS_WITHIN_S
    while time.monotonic() < deadline:
        found = (
            RegisteredDevice.objects.select_related("meter")
            .filter(protocol="v2", address=device.device_address, deregistered_at__isnull=True)
            .first()
        )
        if found is not None:
            return found
        if not plug.is_in:
            raise PeerError(f"it ended; what it said is in {plug.log_path}")
        time.sleep(0.2)
    raise PeerError(f"it did not register; what it said is in {plug.log_path}")


def environment_python(folder: Path, *, tell: Callable[[str], None]) -> Path:
    """The interpreter that has iottalk-py: that of `make setup`, or one made here, once.

    Raises :class:`PeerError` where it cannot be had (no network on the first start).
    """
    shipped = Path(sys.prefix) / ENVIRONMENT / "bin" / "python"
    if shipped.exists():
        return shipped
    place = folder / "environment"
    python = place / "bin" / "python"
    if (place / "complete").exists():
        return python
    tell("Fetching iottalk-py for the workshop's meter (once) …")
    try:
        venv.create(place, with_pip=True, clear=True)
        wanted = str(catalogue_folder() / REQUIREMENTS)
        _quiet([str(python), "-m", "pip", "install", "--quiet", "-r", wanted], cwd=folder)
    except subprocess.CalledProcessError as error:
        raise PeerError(f"iottalk-py could not be installed: {_last_line(error)}") from error
    (place / "complete").touch()
    return python


def _built(folder: Path) -> None:
    """Compile a C++ device; :class:`PeerError` with what is missing."""
    try:
        _quiet(["nice", "make", "device"], cwd=folder)
    except subprocess.CalledProcessError as error:
        raise PeerError(f"it could not be built: {_last_line(error)}") from error


def _quiet(command: list[str], *, cwd: Path) -> None:
    subprocess.run(  # noqa: S603  our own commands
        command,
        cwd=cwd,
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )


def _last_line(error: subprocess.CalledProcessError) -> str:
    lines = [line for line in (error.stderr or "").splitlines() if line.strip()]
    wrong = next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "")
    return wrong.strip()[:300] or f"exit code {error.returncode}"
