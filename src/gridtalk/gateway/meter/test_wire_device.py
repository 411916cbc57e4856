"""What devices say, as the meters' texts: nothing is lost, and nonsense is named."""
# ruff: noqa: DTZ001  a meter's local time has no zone

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

import gridtalk.messaging.interfaces.iottalk as folder
from gridtalk.gateway.meter import wire
from gridtalk.gateway.meter.wire_device import device_text
from gridtalk.gateway.meter.wire_types import Malformed
from gridtalk.messaging.interfaces.iottalk.wire import SPOKEN

ENTRIES: list[dict[str, Any]] = json.loads(
    (Path(folder.__file__).parent / "fixtures" / "meter.json").read_text(encoding="utf-8"),
    parse_float=Decimal,
)
TEXTS = {
    "credit applied": "(job=delete&jobid=17&status=1&cr=500.0)",
    "no credit": "(job=alert&cid=192.168.1.201&alert=nocw)",
    "an hour of a circuit that is on": (
        "(job=pp&cid=192.168.1.201&wh=61.3&tu=3600&ts=20261123170000&cr=438.7&status=1&ct=CIRCUIT)"
    ),
    "the power unit, as floats are": (
        "(pcu#2026112316#1523.4,311.02,290.5,48.01,0.30000000000000004,"
        "0.00000000000000011102230246251565,5.25,61.0)"
    ),
    "the mains answered a ping": "(job=delete&jobid=19&status=1&cr=0)",
    "switched off, credit with all its digits": (
        "(job=delete&jobid=21&status=0&cr=418.26666666666665)"
    ),
    "the power unit between the hours": (
        "(pcu#20261123171000#1523.4,311.02,290.5,48.01,0.30000000000000004,"
        "0.00000000000000011102230246251565,5.25,61.0)"
    ),
    "the last report of a day": (
        "(job=pp&cid=192.168.1.201&wh=81.7&tu=4800&ts=20261124165959&cr=418.27&status=0&ct=CIRCUIT)"
    ),
    "credit below zero": (
        "(job=pp&cid=192.168.1.202&wh=0.5&tu=89100&ts=20261124180000&cr=-0.02&status=0&ct=CIRCUIT)"
    ),
}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: str(e["label"]))
def test_what_the_catalogues_meter_says(entry: dict[str, Any]) -> None:
    text = device_text(entry["feature"], tuple(entry["values"][:-1]))
    assert text == TEXTS.get(entry["label"], text)
    read = wire.parse(text, wire.Limits(use_time_s=90_000), device=True)
    assert not isinstance(read, wire.MeterError)


def test_each_feature_has_texts() -> None:
    assert {entry["feature"] for entry in ENTRIES} == SPOKEN.keys() - {"Message-I"}
    assert TEXTS.keys() <= {entry["label"] for entry in ENTRIES}


CID, NOON = "192.168.1.201", "20261123120000"
PP = {
    "cid": CID,
    "meter_time": NOON,
    "status": 1,
    "watthours": Decimal("10.5"),
    "use_time_s": 60,
    "credit": Decimal("20.10"),
}


def pp(**changes: Any) -> wire.Reading:
    message = wire.parse(device_text("PrimaryLog-I", tuple((PP | changes).values())))
    assert isinstance(message, wire.PrimaryLogs), message
    (reading,) = message.entries
    return reading


@pytest.mark.parametrize(
    ("given_time", "meant"),
    [
        ("20261123140509", datetime(2026, 11, 23, 14, 5, 9)),
        ("202611231405", datetime(2026, 11, 23, 14, 5)),
        ("2026112314", datetime(2026, 11, 23, 14)),
        ("26112314", datetime(2026, 11, 23, 14)),
        (" 26112314 ", datetime(2026, 11, 23, 14)),
        ("2026-11-23 14:05:09", datetime(2026, 11, 23, 14, 5, 9)),
        ("2026-11-23T14:05:09", datetime(2026, 11, 23, 14, 5, 9)),
        ("2026-11-23 14:05", datetime(2026, 11, 23, 14, 5)),
        ("2026-11-23T14", datetime(2026, 11, 23, 14)),
    ],
)
def test_a_meters_time(given_time: str, meant: datetime) -> None:
    assert pp(meter_time=given_time).meter_time == meant
    values = (given_time, *[Decimal(0)] * 9)
    log = wire.parse(device_text("PcuLog-I", values), device=True)
    assert isinstance(log, wire.PcuLog)
    assert log.meter_time == meant


@pytest.mark.parametrize(
    ("values", "meant"),
    [
        ({"cid": f" {CID} "}, {"cid": CID, "mains": False}),
        ({"cid": "192.168.1.200"}, {"cid": "192.168.1.200", "mains": True}),
        ({"cid": "192.168.1.299"}, {"cid": "192.168.1.299", "mains": False}),
        ({"credit": None}, {"credit": None}),
        ({"credit": Decimal("-0.0")}, {"credit": Decimal(0)}),
        ({"credit": 5}, {"credit": Decimal(5)}),
        ({"credit": Decimal("1E+2")}, {"credit": Decimal(100)}),
        ({"status": Decimal("1.0")}, {"status": 1}),
        ({"use_time_s": Decimal("59.5")}, {"use_time_s": Decimal("59.5")}),
        ({"watthours": Decimal("1e-7")}, {"watthours": Decimal("0.0000001")}),
        ({"watthours": Decimal("0E-999999")}, {"watthours": Decimal(0)}),
    ],
)
def test_a_report(values: dict[str, Any], meant: dict[str, Any]) -> None:
    reading = pp(**values)
    assert {name: getattr(reading, name) for name in meant} == meant


@pytest.mark.parametrize(
    ("feature", "values", "text"),
    [
        ("Alert-I", (CID, "LCW"), f"(job=alert&cid={CID}&alert=lcw)"),
        ("Alert-I", ("", "md"), "(job=alert&alert=md)"),
        ("Alert-I", (None, "sdc"), "(job=alert&alert=sdc)"),
        ("Alert-I", ("192.168.1.200", "md"), "(job=alert&cid=192.168.1.200&alert=md)"),
        ("Alert-I", ("", "online"), "(job=alert&alert=online)"),
        ("JobDone-I", (7, None, None), "(job=delete&jobid=7)"),
        ("JobDone-I", (Decimal("7.0"), 0, Decimal("1.5")), "(job=delete&jobid=7&status=0&cr=1.5)"),
        ("JobDone-I", (2**31 - 1, 1, 0), f"(job=delete&jobid={2**31 - 1}&status=1&cr=0)"),
        ("Message-I", (" ml05 online ",), "ml05 online"),
        ("Message-I", ("(l76ZE0#3C/0,2S,2S,ZZ#)",), "(l76ZE0#3C/0,2S,2S,ZZ#)"),
        ("PcuLog-I", ("26112312", *[1] * 8, 25), "(pcu#2026112312#1,1,1,1,1,1,1,1,25)"),
        ("PcuLog-I", ("26112312", *[1] * 8, None), "(pcu#2026112312#1,1,1,1,1,1,1,1)"),
    ],
)
def test_other_messages(feature: str, values: tuple[Any, ...], text: str) -> None:
    assert device_text(feature, values) == text
    assert not isinstance(wire.parse(text, device=True), wire.MeterError)


@pytest.mark.parametrize(
    ("feature", "values", "reason"),
    [
        ("PrimaryLog-I", PP | {"cid": None}, "cid is null; it must be a text"),
        ("PrimaryLog-I", PP | {"cid": 201}, "cid is “201”; it must be a text"),
        ("PrimaryLog-I", PP | {"cid": "201"}, "an address such as"),
        ("PrimaryLog-I", PP | {"cid": f"{CID}&cr=900"}, "an address such as"),
        ("PrimaryLog-I", PP | {"meter_time": ""}, "must be yymmddHH"),
        ("PrimaryLog-I", PP | {"meter_time": "20261323120000"}, "not a date"),
        ("PrimaryLog-I", PP | {"meter_time": "2026-11-23T12:00:00Z"}, "must be yymmddHH"),
        ("PrimaryLog-I", PP | {"meter_time": 20261123}, "meter_time is"),
        ("PrimaryLog-I", PP | {"meter_time": "٢٦١١٢٣١٢"}, "must be yymmddHH"),
        ("PrimaryLog-I", PP | {"status": 7}, "status is “7”"),
        ("PrimaryLog-I", PP | {"status": True}, "status is “True”; it must be a number"),
        ("PrimaryLog-I", PP | {"status": Decimal("0.5")}, "a whole number"),
        ("PrimaryLog-I", PP | {"watthours": None}, "watthours is null"),
        ("PrimaryLog-I", PP | {"watthours": "10"}, "watthours is “10”; it must be a number"),
        ("PrimaryLog-I", PP | {"watthours": Decimal("NaN")}, "it must be a number"),
        ("PrimaryLog-I", PP | {"watthours": Decimal("Infinity")}, "it must be a number"),
        ("PrimaryLog-I", PP | {"watthours": Decimal("1E+999999")}, "a plain number"),
        ("PrimaryLog-I", PP | {"watthours": Decimal("1E-999999")}, "a plain number"),
        ("PrimaryLog-I", PP | {"watthours": 10**4000}, "a plain number"),
        ("PrimaryLog-I", PP | {"credit": [1]}, "credit is “.1.”; it must be a number"),
        ("PcuLog-I", ["26112312", True, *[1] * 8], "value 1 is"),
        ("PcuLog-I", ["26112312", *[1] * 8, "warm"], "value 9 is “warm”"),
        ("Alert-I", [CID, "hungry"], "code is “hungry”; it must be one of lcw"),
        ("Alert-I", ["", "lcw"], "cid is “”"),
        ("Alert-I", [CID, None], "code is null"),
        ("JobDone-I", [None, 1, 1], "job_id is null"),
        ("JobDone-I", [-1, 1, 1], "jobid is “-1”"),
        ("JobDone-I", [Decimal("1.5"), 1, 1], "a whole number"),
        ("JobDone-I", [10**19, 1, 1], "must be a whole number"),
        ("JobDone-I", [1, 2, 1], "status is “2”"),
        ("Message-I", ["bal 234567"], "not a meter's message"),
        ("Message-I", [""], "not a meter's message"),
        ("Message-I", [{"job": "pp"}], "it must be a text"),
        ("Humidity-I", [1], "says nothing"),
    ],
)
def test_nonsense_is_named(feature: str, values: Any, reason: str) -> None:
    given_values = tuple(values.values()) if isinstance(values, dict) else tuple(values)
    with pytest.raises(Malformed, match=reason):
        device_text(feature, given_values)


doubles = st.floats(-1e15, 1e15, allow_nan=False).map(lambda value: Decimal(repr(value)))
numbers = st.one_of(doubles, st.decimals(-(10**12), 10**12, places=4), st.integers(-(10**9), 10**9))


@given(
    values=st.tuples(*[numbers] * 8, st.none() | numbers),
    at=st.datetimes(datetime(1970, 1, 1), datetime(2099, 12, 31)),
)
def test_any_double_survives_the_text(values: tuple[Any, ...], at: datetime) -> None:
    moment = at.replace(microsecond=0)
    text = device_text("PcuLog-I", (f"{moment:%Y%m%d%H%M%S}", *values))
    log = wire.parse(text, device=True)
    assert log == wire.PcuLog(moment, tuple(v if v is None else Decimal(v) for v in values))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.decimals() | st.sampled_from([CID]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@given(feature=st.sampled_from(sorted(SPOKEN)), data=st.data())
def test_anything_is_said_or_named(feature: str, data: st.DataObject) -> None:
    values = tuple(data.draw(anything) for _ in SPOKEN[feature])
    try:
        text = device_text(feature, values)
    except Malformed:
        return
    assert wire.looks_like_meter(text)


def test_a_value_that_is_not_measured_is_null_from_a_device_and_wrong_in_an_sms() -> None:
    text = device_text("PcuLog-I", ("26112312", None, *[Decimal(1)] * 7, None))
    assert text == "(pcu#2026112312#null,1,1,1,1,1,1,1)"
    said = wire.parse(text, device=True)
    assert isinstance(said, wire.PcuLog)
    assert said.values == (None, *[Decimal(1)] * 7, None)
    assert isinstance(wire.parse(text), wire.MeterError)


def test_no_power_unit_of_an_sms_tells_the_time_to_the_second() -> None:
    text = "(pcu#20261123140509#1,1,1,1,1,1,1,1,25)"
    assert isinstance(wire.parse(text, device=True), wire.PcuLog)
    assert isinstance(wire.parse(text), wire.MeterError)
