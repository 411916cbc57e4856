"""The devices' wire. ``fixtures/`` were said by the meter of the catalogue's Python library."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridtalk.core.errors import UserError
from gridtalk.messaging.interfaces.iottalk import wire
from gridtalk.messaging.models import IoTtalkInterface
from gridtalk.messaging.services import (
    interface_create,
    interface_key_set,
    interface_set_up,
    message_queue,
    texts_interface,
)
from gridtalk.messaging.testing import kannel

ENTRIES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "fixtures" / "meter.json").read_text(encoding="utf-8"),
    parse_float=Decimal,
)
PP = ("192.168.1.201", "20261123140000", 1, Decimal("0.5"), 60, None)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: str(e["label"]))
def test_what_a_meter_says_splits_into_values_and_reference(entry: dict[str, Any]) -> None:
    *values, reference = entry["values"]
    own = (tuple(values), "")
    assert wire.reference_split(feature=entry["feature"], values=entry["values"]) == (
        own[0],
        reference,
    )
    assert wire.reference_split(feature=entry["feature"], values=values) == own
    assert wire.reference_found(entry["values"]) == reference


@pytest.mark.parametrize(
    ("feature", "values", "reason"),
    [
        ("Humidity-I", (1,), "says nothing to the gateway"),
        ("Job-O", (1,), "says nothing to the gateway"),
        ("Alert-I", ("192.168.1.201",), "has 1 values; it has 2"),
        ("Alert-I", ("192.168.1.201", "lcw", "r1", "r2"), "has 4 values"),
        ("Alert-I", (), "has 0 values"),
        ("Alert-I", ("192.168.1.201", "lcw", 7), "reference of Alert-I is no text"),
        ("PrimaryLog-I", (*PP, ["r1"]), "reference of PrimaryLog-I is no text"),
    ],
)
def test_misshapen_values_are_named(feature: str, values: tuple[Any, ...], reason: str) -> None:
    with pytest.raises(wire.Misshapen, match=reason):
        wire.reference_split(feature=feature, values=values)


@pytest.mark.parametrize(
    ("rest", "reference"), [((), ""), ((None,), ""), (("",), ""), (("a-1",), "a-1")]
)
def test_a_reference_may_be_missing(rest: tuple[Any, ...], reference: str) -> None:
    split = wire.reference_split(feature="PrimaryLog-I", values=(*PP, *rest))
    assert split == (PP, reference)


@pytest.mark.parametrize(
    ("values", "reference"), [(("a",), ""), ((1, 2), ""), ((), ""), ((1, 2, "r"), "r")]
)
def test_of_nonsense_a_text_at_the_end_is_the_reference(
    values: tuple[Any, ...], reference: str
) -> None:
    assert wire.reference_found(values) == reference


@pytest.mark.parametrize(
    ("word", "amount", "shown"),
    [("cr", "500", "500.00"), ("cr", "0.1", "0.10"), ("con", "", "0.00")],
)
def test_a_job_has_four_values(word: str, amount: str, shown: str) -> None:
    given = Decimal(amount) if amount else None
    values = wire.job_values(word=word, job_id=7, cid="192.168.1.201", amount=given)
    assert values[:3] == [word, 7, "192.168.1.201"]
    assert str(values[3]) == shown


@pytest.mark.django_db
class TestInterface:
    def test_it_has_no_key_and_names_an_interface_for_sms(self) -> None:
        sms = kannel("Orange")
        made, key = interface_create(kind="iottalk", name="Devices", sms_interface="Orange")
        assert (key, made.inbound_key_hash) == ("", "")
        carrier = texts_interface(interface=made)
        assert carrier is not None
        assert carrier.pk == sms.pk
        with pytest.raises(UserError, match="has no key"):
            interface_key_set(interface=made)

    def test_its_set_up_says_where_devices_register(self) -> None:
        made, key = interface_create(kind="iottalk", name="Devices")
        texts = [line.text for line in interface_set_up(interface=made, key=key)]
        assert [text.rpartition("/")[2] for text in texts] == ["v2", "v1"]

    @pytest.mark.parametrize(
        ("sms", "reason"), [("Devices", "must be an interface for SMS"), ("Lost", "no interface")]
    )
    def test_texts_go_to_phones(self, sms: str, reason: str) -> None:
        interface_create(kind="iottalk", name="Devices")
        with pytest.raises(UserError, match=reason):
            interface_create(kind="iottalk", name="More", sms_interface=sms)

    def test_it_takes_no_text_to_a_person(self) -> None:
        made = IoTtalkInterface.objects.create(name="Devices")
        assert texts_interface(interface=made) is None
        with pytest.raises(UserError, match="not phones"):
            message_queue(interface=made, number="+22370000002", text="hello")

    def test_another_interface_carries_its_own_texts(self) -> None:
        sms = kannel("Orange")
        assert texts_interface(interface=sms) is sms
