"""The power unit: no energy from nowhere, none lost but in the battery."""

from datetime import datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from gridtalk.demo.power_unit import PowerUnit
from gridtalk.gateway.meter import wire

loads = st.lists(st.integers(0, 4000), min_size=1, max_size=96)


@given(loads)
def test_what_the_sun_gave_is_in_the_houses_or_in_the_battery(loads: list[int]) -> None:
    unit = PowerUnit()
    begun = unit.stored_wh
    for number, load in enumerate(loads):
        sun, into, out = unit.solar_wh, unit.charged_wh, unit.discharged_wh
        unit.hour((number + 1) % 24, load)
        direct = unit.solar_wh - sun - (unit.charged_wh - into)
        assert direct >= 0
        assert direct + unit.discharged_wh - out <= load
        assert 0 <= unit.stored_wh <= unit.capacity_wh
    assert unit.stored_wh <= begun + unit.charged_wh - unit.discharged_wh


def test_a_day_fills_the_battery_and_an_evening_takes_from_it() -> None:
    unit = PowerUnit()
    volts = {}
    for hour in range(24):
        unit.hour(hour, 600 if hour >= 18 else 60)
        volts[hour] = unit.values()[3]
    assert volts[5] < volts[15] > volts[23]


@given(loads, st.integers(0, 23))
def test_a_report_is_what_the_gateway_reads(loads: list[int], hour: int) -> None:
    unit = PowerUnit()
    for load in loads:
        unit.hour(hour, load)
    read = wire.parse(unit.report(datetime(2026, 11, 23, hour)))  # noqa: DTZ001  a meter's clock
    assert isinstance(read, wire.PcuLog)
    assert [value for value in read.values if value is not None] == unit.values()
    assert all(value >= Decimal(0) for value in unit.values())
