"""Making and changing meters, circuits and accounts."""

import secrets
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from gridtalk.core import clock, money, phones
from gridtalk.core.errors import UserError
from gridtalk.core.secrets import key_hash, key_new
from gridtalk.grid.models import (
    MAINS_ADDRESS,
    Account,
    Circuit,
    Meter,
    MeterChangeSet,
    MeterConfigKey,
)
from gridtalk.messaging.interfaces.base import Way
from gridtalk.messaging.interfaces.catalogue import provider
from gridtalk.messaging.models import CommunicationInterface
from gridtalk.users.models import User

PIN_DIGITS = "23456789"
#: A guess hits at most one pin in a hundred.
PIN_SHARE = 100
LONGEST_PIN = 32
#: ``192.168.1.201`` … ``.299``.
MOST_CIRCUITS = 99


def pin_length(*, circuits: int) -> int:
    """How long a pin must be, so that at most 1 % of the space is used by that many circuits."""
    length = int(settings.PIN_LENGTH)
    while len(PIN_DIGITS) ** length < circuits * PIN_SHARE:
        length += 1
    return length


def pins_new(*, count: int) -> list[str]:
    """That many new pins: digits 2 to 9 (0 and 1 are misread), unguessable, unused."""
    length = pin_length(circuits=Circuit.objects.count() + count)
    pins: dict[str, None] = {}
    while len(pins) < count:
        fresh = {
            "".join(secrets.choice(PIN_DIGITS) for _ in range(length))
            for _ in range(count - len(pins))
        }
        taken = set(Circuit.objects.filter(pin__in=fresh).values_list("pin", flat=True))
        pins.update(dict.fromkeys(sorted(fresh - taken)))
    return list(pins)


def address(number: int) -> str:
    """The address of a meter's circuit 0 (the mains) to 99."""
    if not 0 <= number <= MOST_CIRCUITS:
        raise UserError(
            "a meter has circuits 1 to %(most)s, not %(number)s", most=MOST_CIRCUITS, number=number
        )
    return f"192.168.1.2{number:02d}"


@transaction.atomic
def meter_create(
    *,
    name: str,
    communication_interface: CommunicationInterface,
    circuits: int,
    phone: str = "",
    device_address: str = "",
    time_zone: str = "UTC",
    lang: str = "",
    energy_max: int = 500,
    power_max: int = 100,
    user: User | None = None,
    **facts: Any,
) -> Meter:
    """A meter with its mains and its consumers' circuits, an account and a pin for each.

    ``phone`` may be written nationally where the interface names its country. ``facts`` are other
    columns of the meter. Raises :class:`UserError` for a name, phone or address that another meter
    has, an unknown time zone, a number of circuits outside 0…99, or an interface that does not
    reach such a meter.
    """
    name = name.strip()
    if not name:
        raise UserError("the meter needs a name")
    if not 0 <= circuits <= MOST_CIRCUITS:
        raise UserError(
            "a meter has at most %(most)s circuits, not %(number)s",
            most=MOST_CIRCUITS,
            number=circuits,
        )
    clock.zone(time_zone)
    number = phones.parse(phone, region=communication_interface.region) if phone.strip() else None
    device_address = device_address.strip()
    if not (number or device_address):
        raise UserError("a meter is known by its phone or its device address: give one of them")
    if provider(communication_interface.kind).way is Way.DEVICES and not device_address:
        raise UserError(
            "the interface “%(name)s” reaches devices, and no phone: make the meter "
            "with an interface for SMS and bind it to a registered device (gridtalk meter bind), "
            "or make it from the page of the device",
            name=communication_interface.name,
        )
    others = Meter.objects.filter(
        Q(name=name)
        | (Q(phone=number) if number else Q(pk__in=[]))
        | (Q(device_address=device_address) if device_address else Q(pk__in=[]))
    )
    if (other := others.first()) is not None:
        if other.name == name:
            raise UserError("meter “%(meter)s” has this name already", meter=other.name)
        raise UserError(
            "meter “%(meter)s” has this phone or device address already", meter=other.name
        )
    meter = Meter.objects.create(
        name=name,
        phone=number,
        device_address=device_address or None,
        communication_interface=communication_interface,
        time_zone=time_zone,
        **facts,
    )
    pins = pins_new(count=circuits + 1)
    Circuit.objects.create(
        meter=meter, pin=pins[0], ip_address=MAINS_ADDRESS, is_main=True, energy_max=0, power_max=0
    )
    lang = lang or communication_interface.lang
    accounts = Account.objects.bulk_create(
        [Account(name=f"{name} {index}", lang=lang) for index in range(1, circuits + 1)]
    )
    Circuit.objects.bulk_create(
        [
            Circuit(
                meter=meter,
                pin=pins[index],
                ip_address=address(index),
                account=account,
                energy_max=energy_max,
                power_max=power_max,
            )
            for index, account in enumerate(accounts, 1)
        ]
    )
    meter_change_note(meter=meter, key="circuits", value=str(circuits), user=user)
    return meter


@transaction.atomic
def circuit_create(
    *,
    meter: Meter,
    number: int | None = None,
    account: Account | None = None,
    pin: str = "",
    energy_max: int = 500,
    power_max: int = 100,
    user: User | None = None,
) -> Circuit:
    """One more circuit on a meter, at the next free address unless ``number`` (1…99) names one.

    An old pin may be kept by giving it. Raises :class:`UserError` where the address or the pin is
    taken, the pin could not be texted, or the meter is full.
    """
    Meter.objects.select_for_update(no_key=True).get(pk=meter.pk)
    taken = set(meter.circuits.values_list("ip_address", flat=True))
    if number is None:
        free = (n for n in range(1, MOST_CIRCUITS + 1) if address(n) not in taken)
        number = next(free, None)
        if number is None:
            raise UserError(
                "meter “%(meter)s” has all its %(most)s circuits",
                meter=meter.name,
                most=MOST_CIRCUITS,
            )
    wanted = address(number)
    if wanted in taken or number == 0:
        raise UserError(
            "meter “%(meter)s” has a circuit at %(address)s already",
            meter=meter.name,
            address=wanted,
        )
    if pin and not (pin.isascii() and pin.isalnum() and len(pin) <= LONGEST_PIN):
        raise UserError(
            "an account number is letters and digits, at most %(most)s of them", most=LONGEST_PIN
        )
    if pin and Circuit.objects.filter(pin__iexact=pin).exists():
        raise UserError("account number %(pin)s belongs to another circuit", pin=pin)
    if account is None:
        account = Account.objects.create(
            name=f"{meter.name} {number}", lang=meter.communication_interface.lang
        )
    circuit = Circuit.objects.create(
        meter=meter,
        pin=pin or pins_new(count=1)[0],
        ip_address=wanted,
        account=account,
        energy_max=energy_max,
        power_max=power_max,
    )
    meter_change_note(meter=meter, key="circuit added", value=wanted, user=user)
    return circuit


def meter_change_note(*, meter: Meter, key: str, value: str, user: User | None) -> MeterChangeSet:
    """Write down what was set on a meter, by whom, now."""
    config_key, _ = MeterConfigKey.objects.get_or_create(key=key)
    return MeterChangeSet.objects.create(meter=meter, key=config_key, value=value, changed_by=user)


def circuit_state_take(
    *,
    circuit: Circuit,
    at: datetime,
    status: int | None,
    credit: Decimal | None,
    credit_expected: bool = False,
) -> bool:
    """Take what a meter said of one circuit at ``at``; the newer wins. Assumes a transaction.

    Absent values leave theirs alone; where a credit was expected (an acknowledged credit job) its
    absence marks the present one as estimated. Returns whether the credit was taken. The circuit
    instance is brought up to date.
    """
    present = Circuit.objects.select_for_update(no_key=True).get(pk=circuit.pk)
    taken = False
    if status is not None and (present.status_as_of is None or present.status_as_of <= at):
        present.status, present.status_as_of = status, at
    if credit is not None and (present.credit_as_of is None or present.credit_as_of <= at):
        present.credit, present.credit_as_of = money.rounded(credit), at
        present.credit_estimated = False
        taken = True
    elif credit is None and credit_expected:
        present.credit_estimated = True
    present.save(
        update_fields=["status", "status_as_of", "credit", "credit_as_of", "credit_estimated"]
    )
    for name in ("status", "status_as_of", "credit", "credit_as_of", "credit_estimated"):
        setattr(circuit, name, getattr(present, name))
    return taken


def circuit_heard(*, circuit: Circuit, at: datetime) -> None:
    """Note that the circuit was heard from (gateway time)."""
    Circuit.objects.filter(
        Q(pk=circuit.pk), Q(last_reported_at__isnull=True) | Q(last_reported_at__lt=at)
    ).update(last_reported_at=at)


def meter_key_set(*, meter: Meter, user: User | None = None) -> str:
    """Give a meter that polls by HTTP a new key and return it, clear, once; the old one ends."""
    key = key_new()
    meter.key_hash = key_hash(key)
    meter.save(update_fields=["key_hash"])
    meter_change_note(meter=meter, key="key", value="renewed", user=user)
    return key


def account_language_set(*, account: Account, lang: str) -> None:
    """Change the language of an account's SMS."""
    account.lang = lang
    account.save(update_fields=["lang"])


def account_phone_set(*, account: Account, phone: str) -> str:
    """Change an account's phone (E.164); returns the old one and drops a waiting wish."""
    old, account.phone = account.phone, phone
    account.phone_wanted, account.phone_wanted_at, account.phone_wanted_by = "", None, ""
    account.save(update_fields=["phone", "phone_wanted", "phone_wanted_at", "phone_wanted_by"])
    return old


def account_phone_wish(*, account: Account, phone: str, asked_by: str) -> None:
    """Keep a new number that waits until the account's present phone confirms it."""
    account.phone_wanted, account.phone_wanted_by = phone, asked_by
    account.phone_wanted_at = clock.now()
    account.save(update_fields=["phone_wanted", "phone_wanted_at", "phone_wanted_by"])


def account_phone_wished(*, account: Account, phone: str, within: timedelta) -> bool:
    """Whether this new number waits already, and since when it has not been asked too long ago."""
    asked_at = account.phone_wanted_at
    return (
        account.phone_wanted == phone and asked_at is not None and clock.now() - asked_at < within
    )


def meter_retire(*, meter: Meter) -> None:
    """Retire a meter with all its circuits: nothing is deleted, nothing works any more."""
    now = clock.now()
    meter.circuits.filter(retired_at__isnull=True).update(retired_at=now)
    Meter.objects.filter(pk=meter.pk).update(active=False, retired_at=now)
