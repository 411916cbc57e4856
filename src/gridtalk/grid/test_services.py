"""Meters, circuits, pins, accounts: made with clear errors; a circuit's state: the newer wins."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import LazySettings

from gridtalk.core import clock
from gridtalk.core.errors import NotFound, UserError
from gridtalk.grid import selectors, services
from gridtalk.grid.models import Account, Circuit, Meter, MeterChangeSet
from gridtalk.messaging.models import IoTtalkInterface, KannelInterface

pytestmark = pytest.mark.django_db


@pytest.fixture
def interface() -> KannelInterface:
    return KannelInterface.objects.create(
        name="kannel", host="127.0.0.1", username="u", password="p", region="ML", lang="fr"
    )


def meter_create(interface: KannelInterface, **wanted: Any) -> Meter:
    facts: dict[str, Any] = {"name": "ml01", "phone": "+22370000001", "circuits": 2, **wanted}
    return services.meter_create(communication_interface=interface, **facts)


def test_a_meter_has_its_mains_its_circuits_and_their_accounts(interface: KannelInterface) -> None:
    meter = meter_create(interface, phone="70000001", time_zone="Africa/Bamako", energy_max=300)
    assert meter.phone == "+22370000001", "written nationally: the interface names the country"
    found = list(meter.circuits.order_by("ip_address"))
    assert [circuit.ip_address for circuit in found] == [f"192.168.1.20{n}" for n in range(3)]
    assert [circuit.is_main for circuit in found] == [True, False, False]
    assert [circuit.account and circuit.account.lang for circuit in found] == [None, "fr", "fr"]
    assert [circuit.energy_max for circuit in found] == [0, 300, 300]
    assert len({circuit.pin for circuit in found}) == 3
    assert MeterChangeSet.objects.get().value == "2"


@pytest.mark.parametrize(
    ("label", "wanted", "says"),
    [
        ("no name", {"name": "  "}, "needs a name"),
        ("a name that is taken", {"phone": "+22370000009"}, "has this name already"),
        ("a phone that is taken", {"name": "ml02"}, "“ml01” has this phone"),
        ("the same phone, nationally", {"name": "ml02", "phone": "70000001"}, "“ml01” has this"),
        ("no phone", {"name": "ml02", "phone": " "}, "give one of them"),
        ("a word as phone", {"name": "ml02", "phone": "ORANGE"}, "not a phone number"),
        ("too many circuits", {"name": "ml02", "circuits": 100}, "at most 99"),
        ("fewer than none", {"name": "ml02", "circuits": -1}, "at most 99"),
        ("no such zone", {"name": "ml02", "time_zone": "Mali"}, "IANA time zone"),
        (
            "a device address that is taken",
            {"name": "ml02", "phone": "", "device_address": "dev-1"},
            "“iot” has this",
        ),
    ],
)
def test_a_meter_that_cannot_be_is_refused_whole(
    interface: KannelInterface, label: str, wanted: dict[str, Any], says: str
) -> None:
    meter_create(interface)
    meter_create(interface, name="iot", phone="", device_address="dev-1", circuits=0)
    before = (Meter.objects.count(), Circuit.objects.count(), Account.objects.count())
    with pytest.raises(UserError, match=says):
        meter_create(interface, **wanted)
    assert (Meter.objects.count(), Circuit.objects.count(), Account.objects.count()) == before


def test_a_phone_alone_is_not_reached_by_an_interface_of_devices() -> None:
    devices = IoTtalkInterface.objects.create(name="devices")
    with pytest.raises(UserError, match="reaches devices, and no phone"):
        services.meter_create(
            name="ml01", phone="+22370000001", communication_interface=devices, circuits=2
        )
    assert not Meter.objects.exists()


def test_a_meter_may_be_full(interface: KannelInterface) -> None:
    meter = meter_create(interface, circuits=99)
    assert meter.circuits.filter(ip_address="192.168.1.299").exists()
    with pytest.raises(UserError, match="all its 99 circuits"):
        services.circuit_create(meter=meter)


class TestCircuits:
    """One more circuit."""

    def test_it_takes_the_lowest_free_address(self, interface: KannelInterface) -> None:
        meter = meter_create(interface)
        services.circuit_create(meter=meter, number=5)
        added = [services.circuit_create(meter=meter).ip_address for _ in range(3)]
        assert added == ["192.168.1.203", "192.168.1.204", "192.168.1.206"]
        assert Circuit.objects.get(ip_address="192.168.1.206").account is not None

    @pytest.mark.parametrize(
        ("label", "wanted", "says"),
        [
            ("a taken address", {"number": 1}, "192.168.1.201 already"),
            ("the mains' address", {"number": 0}, "192.168.1.200 already"),
            ("an address beyond", {"number": 100}, "1 to 99"),
            ("an address before", {"number": -1}, "1 to 99"),
            ("a taken pin, in another case", {"pin": "abCD"}, "belongs to another circuit"),
            ("a pin that no text can hold", {"pin": "ab.cd"}, "letters and digits"),
            ("a pin of two words", {"pin": "ab cd"}, "letters and digits"),
            ("a pin in another script", {"pin": "١٢٣"}, "letters and digits"),
            ("an endless pin", {"pin": "2" * 33}, "at most 32"),
        ],
    )
    def test_what_cannot_be_is_refused(
        self, interface: KannelInterface, label: str, wanted: dict[str, Any], says: str
    ) -> None:
        meter = meter_create(interface)
        services.circuit_create(meter=meter, pin="ABcd")
        with pytest.raises(UserError, match=says):
            services.circuit_create(meter=meter, **wanted)

    def test_an_old_pin_is_kept_and_found_in_any_case(self, interface: KannelInterface) -> None:
        circuit = services.circuit_create(meter=meter_create(interface), pin="abCD12")
        found = selectors.circuit_get_by_pin(pin="ABcd12")
        assert found == circuit
        assert circuit.pin == "abCD12"


class TestPins:
    """Account numbers: unguessable, unused, and longer when there are many."""

    @pytest.mark.parametrize(
        ("circuits", "length"),
        [(1, 4), (40, 4), (41, 5), (327, 5), (328, 6), (2_621, 6), (2_622, 7), (10**9, 13)],
    )
    def test_at_most_one_in_a_hundred_is_used(
        self, settings: LazySettings, circuits: int, length: int
    ) -> None:
        settings.PIN_LENGTH = 4
        assert services.pin_length(circuits=circuits) == length
        assert 8**length >= 100 * circuits

    def test_the_setting_is_the_least(self) -> None:
        assert services.pin_length(circuits=1) == 8

    def test_they_are_digits_that_nobody_misreads(self) -> None:
        pins = services.pins_new(count=200)
        assert len(set(pins)) == 200
        assert set("".join(pins)) <= set("23456789")
        assert {len(pin) for pin in pins} == {8}

    def test_those_in_use_are_not_given_again(
        self, interface: KannelInterface, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        meter = meter_create(interface, circuits=0)
        Circuit.objects.create(meter=meter, pin="2" * 8, ip_address="192.168.1.201")
        drawn = iter("2" * 8 + "3" * 8 + "3" * 8 + "4" * 8)
        monkeypatch.setattr(services.secrets, "choice", lambda _: next(drawn))
        assert services.pins_new(count=2) == ["3" * 8, "4" * 8]


class TestState:
    """What a meter says of one circuit."""

    @pytest.fixture
    def circuit(self, interface: KannelInterface) -> Circuit:
        circuit = meter_create(interface).circuits.get(ip_address="192.168.1.201")
        now = clock.now()
        services.circuit_state_take(circuit=circuit, at=now, status=1, credit=Decimal(100))
        return circuit

    @pytest.mark.parametrize(
        ("minutes", "status", "credit", "expected"),
        [
            (1, 0, "90", (0, 90, False)),
            (0, 0, "90", (0, 90, False)),
            (-1, 0, "90", (1, 100, False)),
            (1, None, "90", (1, 90, False)),
            (1, 0, None, (0, 100, True)),
            (1, None, "0.005", (1, 0, False)),
        ],
    )
    def test_the_newer_wins_and_what_is_absent_changes_nothing(
        self, circuit: Circuit, minutes: int, status: int | None, credit: str | None, expected: Any
    ) -> None:
        assert circuit.credit_as_of is not None
        taken = services.circuit_state_take(
            circuit=circuit,
            at=circuit.credit_as_of + timedelta(minutes=minutes),
            status=status,
            credit=None if credit is None else Decimal(credit),
            credit_expected=True,
        )
        kept = Circuit.objects.get(pk=circuit.pk)
        assert (kept.status, kept.credit, kept.credit_estimated) == expected
        assert (circuit.status, circuit.credit) == (kept.status, kept.credit)
        assert taken == (credit is not None and minutes >= 0)

    def test_being_heard_goes_forward_only(self, circuit: Circuit) -> None:
        now = clock.now()
        for at in (now, now - timedelta(hours=1)):
            services.circuit_heard(circuit=circuit, at=at)
            assert Circuit.objects.get(pk=circuit.pk).last_reported_at == now


class TestAccounts:
    """Phones and languages."""

    def test_a_change_of_phone_drops_the_wish(self) -> None:
        account = Account.objects.create(phone="+22370000002")
        services.account_phone_wish(account=account, phone="+22370000003", asked_by="+22370000004")
        account.refresh_from_db()
        assert account.phone == "+22370000002"
        assert (account.phone_wanted, account.phone_wanted_by) == ("+22370000003", "+22370000004")
        assert account.phone_wanted_at is not None
        assert services.account_phone_set(account=account, phone="+22370000003") == "+22370000002"
        account.refresh_from_db()
        assert (account.phone, account.phone_wanted, account.phone_wanted_at) == (
            "+22370000003", "", None,
        )  # fmt: skip

    def test_the_language_of_a_number_is_its_accounts(self) -> None:
        assert selectors.language_of_number(number="+22370000002") == ""
        Account.objects.create(phone="+22370000002", lang="sw")
        assert selectors.language_of_number(number="+22370000002") == "sw"


class TestFinding:
    """Meters by number, circuits by address."""

    def test_by_phone_or_device_address_but_not_retired(self, interface: KannelInterface) -> None:
        first = meter_create(interface)
        second = meter_create(interface, name="iot", phone="", device_address="dev-1", circuits=0)
        numbers = ["+22370000001", "dev-1", "", "+1"]
        assert selectors.meters_by_number(numbers=numbers) == {
            "+22370000001": first,
            "dev-1": second,
        }
        services.meter_retire(meter=first)
        assert selectors.meters_by_number(numbers=numbers) == {"dev-1": second}
        pin = first.circuits.get(ip_address="192.168.1.201").pin
        assert selectors.circuit_get_by_pin(pin=pin) is None

    @pytest.mark.parametrize(
        ("label", "to_devices", "phone", "device_address", "number"),
        [
            ("by phone", False, "+22370000001", None, "+22370000001"),
            ("by phone, a device before", False, "+22370000001", "dev-1", "+22370000001"),
            ("a device's address alone", False, None, "dev-1", "dev-1"),
            ("a device", True, None, "dev-1", "dev-1"),
            ("a device, by phone before", True, "+22370000001", "dev-1", "dev-1"),
            ("no device yet", True, "+22370000001", None, ""),
        ],
    )
    def test_the_number_is_what_its_interface_knows_it_by(
        self, interface: KannelInterface, label: str, to_devices: bool, phone: str | None,
        device_address: str | None, number: str,
    ) -> None:  # fmt: skip
        own = IoTtalkInterface.objects.create(name="devices") if to_devices else interface
        meter = Meter(communication_interface=own, phone=phone, device_address=device_address)
        assert selectors.meter_number(meter=meter) == number, label

    def test_an_address_that_the_meter_does_not_have(self, interface: KannelInterface) -> None:
        meter = meter_create(interface)
        found = selectors.circuit_get_by_address(meter=meter, address="192.168.1.202")
        assert found.meter is meter
        with pytest.raises(NotFound, match=r"has no circuit 192\.168\.1\.250"):
            selectors.circuit_get_by_address(meter=meter, address="192.168.1.250")
        Circuit.objects.filter(is_main=True).delete()
        with pytest.raises(NotFound, match="no mains"):
            selectors.mains_get(meter=meter)
