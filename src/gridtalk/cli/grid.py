"""``meter add`` and ``meter key``: meters without the pages."""

import click

from gridtalk.cli.options import data_dir_option
from gridtalk.cli.people import with_django
from gridtalk.core.errors import UserError


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
        from gridtalk.messaging.models import CommunicationInterface

        interface = CommunicationInterface.objects.filter(name=interface_name).first()
        if interface is None:
            raise UserError(f"there is no interface “{interface_name}”; add it: interface add")
        made = meter_create(
            name=name,
            phone=phone,
            device_address=device_address,
            communication_interface=interface,
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

        from gridtalk.grid.models import Meter
        from gridtalk.grid.services import meter_key_set

        found = Meter.objects.filter(name=name).first()
        if found is None:
            raise UserError(f"there is no meter “{name}”")
        key = meter_key_set(meter=found)
        click.echo("enter at the meter (shown once; the key it had works no more):")
        click.echo(f"{settings.PUBLIC_URL}/jobs/meter/{found.pk}/?key={key}")
