"""Finding meters, circuits and accounts."""

from collections.abc import Iterable

from gridtalk.core.errors import NotFound
from gridtalk.grid.models import Account, Circuit, Meter
from gridtalk.messaging.interfaces.base import Way
from gridtalk.messaging.interfaces.catalogue import provider


def meters_by_number(*, numbers: Iterable[str]) -> dict[str, Meter]:
    """The active meters with these phones (or device addresses), with their interfaces."""
    wanted = {number for number in numbers if number}
    found = Meter.objects.filter(retired_at__isnull=True).select_related("communication_interface")
    meters = {str(meter.phone): meter for meter in found.filter(phone__in=wanted)}
    for meter in found.filter(device_address__in=wanted - meters.keys()):
        meters[str(meter.device_address)] = meter
    return meters


def meter_number(*, meter: Meter) -> str:
    """What the meter's interface knows it by: its device address where it reaches devices, else its
    phone; empty where it has none.
    """
    if provider(meter.communication_interface.kind).way is Way.DEVICES:
        return meter.device_address or ""
    return meter.phone or meter.device_address or ""


def circuit_get_by_pin(*, pin: str) -> Circuit | None:
    """The circuit with that account number, in any case of letters; None where there is none."""
    return (
        Circuit.objects.filter(pin__iexact=pin, retired_at__isnull=True)
        .select_related("meter", "account")
        .first()
    )


def circuit_get_by_address(*, meter: Meter, address: str) -> Circuit:
    """The meter's circuit at that address; :class:`NotFound` where it has none."""
    circuit = meter.circuits.filter(ip_address=address).select_related("account").first()
    if circuit is None:
        raise NotFound(
            "meter “%(meter)s” has no circuit %(address)s", meter=meter.name, address=address
        )
    circuit.meter = meter
    return circuit


def mains_get(*, meter: Meter) -> Circuit:
    """The meter's mains circuit; :class:`NotFound` where it was never made."""
    circuit = meter.circuits.filter(is_main=True).first()
    if circuit is None:
        raise NotFound("meter “%(meter)s” has no mains circuit", meter=meter.name)
    circuit.meter = meter
    return circuit


def language_of_number(*, number: str) -> str:
    """The language of the account with that phone; empty where there is none."""
    found = Account.objects.filter(phone=number, retired_at__isnull=True).order_by("pk")
    return found.values_list("lang", flat=True).first() or ""
