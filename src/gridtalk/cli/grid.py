"""``meter add``, ``key``, ``bind`` and ``unbind``: meters without the pages."""

from typing import TYPE_CHECKING

import click

from gridtalk.cli.options import data_dir_option
from gridtalk.cli.people import with_django
from gridtalk.core.errors import UserError

if TYPE_CHECKING:
    from gridtalk.grid.models import Meter
    from gridtalk.messaging.models import CommunicationInterface


@click.group()
def meter() -> None:
    """The boxes in the villages."""


@meter.command("add")
@click.argument("name")
@click.option("--phone", default="", help="Its SIM's number, for example +22370000001.")
@click.option("--device-address", default="", help="Of an IoTtalk meter, instead of a phone.")
@click.option("--interface", "interface_name", required=True, help="Name of its interface.")
@click.option("--circuits", type=click.IntRange(0, 99), default=10, show_default=True)
@click.option("--time-zone", default="UTC", show_default=True, help="For example Africa/Bamako.")
@click.option("--knows-job-ids", is_flag=True, help="It remembers applied jobs over a power cut.")
@data_dir_option
def meter_add(
    *,
    name: str,
    phone: str,
    device_address: str,
    interface_name: str,
    circuits: int,
    time_zone: str,
    knows_job_ids: bool,
) -> None:
    """Add a meter with its circuits, and print their account numbers."""
    with with_django("meter add"):
        from gridtalk.grid.services import meter_create

        made = meter_create(
            name=name,
            phone=phone,
            device_address=device_address,
            communication_interface=_interface(interface_name),
            circuits=circuits,
            time_zone=time_zone,
            knows_job_ids=knows_job_ids,
        )
        click.echo(f"meter {made.pk} “{made.name}” added; circuits and account numbers:")
        for circuit in made.circuits.filter(is_main=False).order_by("ip_address"):
            click.echo(f"{circuit.ip_address}  {circuit.pin}")


@meter.command("key")
@click.argument("name")
@data_dir_option
def meter_key(*, name: str) -> None:
    """Give a meter that polls by HTTP a new key, and print once what to enter at the meter."""
    with with_django("meter key"):
        from django.conf import settings

        from gridtalk.grid.services import meter_key_set

        found = _meter(name)
        key = meter_key_set(meter=found)
        click.echo("enter at the meter (shown once; the key it had works no more):")
        click.echo(f"{settings.PUBLIC_URL}/jobs/meter/{found.pk}/?key={key}")


@meter.command("bind")
@click.argument("name")
@click.argument("device")
@click.option("--interface", "interface_name", default="", help="Of kind iottalk, where several.")
@click.option(
    "--knows-job-ids/--forgets-job-ids",
    default=None,
    help="It remembers applied jobs over a power cut [default: where it takes Ack-O].",
)
@data_dir_option
def meter_bind(*, name: str, device: str, interface_name: str, knows_job_ids: bool | None) -> None:
    """Make a registered device (its name or handle) the box of a meter."""
    with with_django("meter bind"):
        from gridtalk.iottalk.services.binding import device_bind, device_find

        found = device_find(name=device)
        made = device_bind(
            device=found,
            meter=_meter(name),
            user=None,
            interface=_interface(interface_name) if interface_name else None,
            knows_job_ids=knows_job_ids,
        )
        again = "may" if made.knows_job_ids else "may not"
        click.echo(f"meter {made.name} is device {found.name} ({found.handle})")
        click.echo(f"unconfirmed credit {again} be sent to it again")


@meter.command("unbind")
@click.argument("name")
@click.option(
    "--interface", "interface_name", default="", help="For SMS, to its phone from now on."
)
@data_dir_option
def meter_unbind(*, name: str, interface_name: str) -> None:
    """Take the device away from a meter; its jobs wait for the next one."""
    with with_django("meter unbind"):
        from gridtalk.iottalk.models import RegisteredDevice
        from gridtalk.iottalk.services.binding import device_unbind

        found = RegisteredDevice.objects.filter(meter=_meter(name)).first()
        if found is None:
            raise UserError(f"meter “{name}” is no device")
        interface = _interface(interface_name) if interface_name else None
        device_unbind(device=found, user=None, interface=interface)
        click.echo(f"meter {name} is no longer device {found.name}; its open jobs wait")


def _meter(name: str) -> "Meter":
    from gridtalk.grid.models import Meter

    found = Meter.objects.filter(name=name).first()
    if found is None:
        raise UserError(f"there is no meter “{name}”")
    return found


def _interface(name: str) -> "CommunicationInterface":
    from gridtalk.messaging.models import CommunicationInterface

    found = CommunicationInterface.objects.filter(name=name).first()
    if found is None:
        raise UserError(f"there is no interface “{name}”; add it: interface add")
    return found
