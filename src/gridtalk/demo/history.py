"""The days before the story: what the meter reported then, as if it had come in on time.

Written through the same service that stores live reports, so that charts, uptime and the usage of
the last 30 days have something to show from the first minute. Needs Django set up.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction

from gridtalk.core import clock
from gridtalk.demo.meter import Meter
from gridtalk.demo.people import MeterPhone
from gridtalk.gateway.meter.wire import Reading
from gridtalk.grid import models as grid
from gridtalk.telemetry.services import NewReading, pcu_log_insert, primary_logs_insert

#: A report of the power unit: its hour, its values, its text.
_Unit = tuple[datetime, list[Decimal], str]
#: Enough for any number of days; what is left over is taken off again, see below.
_PLENTY = Decimal(1_000_000)
#: How long a report is on its way.
_LATENCY = timedelta(seconds=20)


def history_write(*, phone: MeterPhone, row: grid.Meter, until: datetime) -> int:
    """Run the meter to ``until`` (its local time) without the network; how many reports that made.

    Its power unit reported every hour, whatever ``pcu_hours`` says of the time to come.
    The meter's clock must stand where the history is to begin. Each circuit ends with the credit
    that it has now: its earlier reports show as much more as it used since.
    """
    readings, units = phone.look(lambda meter: _run(meter, until))
    ids = dict(row.circuits.values_list("ip_address", "pk"))
    rows = [
        NewReading(
            circuit_id=ids[reading.cid],
            meter_time=(at := clock.from_meter(reading.meter_time, row.time_zone)),
            watthours=reading.watthours,
            use_time_s=reading.use_time_s,
            status=reading.status,
            credit=reading.credit,
            received_at=at + _LATENCY,
            message_id=None,
        )
        for reading in readings
    ]
    with transaction.atomic():
        primary_logs_insert(readings=rows)
        for hour, values, text in units:
            at = clock.from_meter(hour, row.time_zone)
            pcu_log_insert(
                meter_id=row.pk, meter_time=at, values=values, raw=text, received_at=at + _LATENCY
            )
    return len(rows)


def _run(meter: Meter, until: datetime) -> tuple[list[Reading], list[_Unit]]:
    """The reports of the circuits, and those of the power unit."""
    wanted = {address: line.credit for address, line in meter.circuits.items()}
    for line in meter.circuits.values():
        line.credit_set(_PLENTY)
    found: list[Reading] = []
    units: list[_Unit] = []
    while meter.now < until:
        hour = meter.now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        meter.advance(min(hour, until))
        if meter.now == hour:
            found.extend(meter.readings())
            if meter.pcu_hours:
                units.append((hour, meter.power_unit.values(), meter.pcu()))
    surplus = {address: line.credit - wanted[address] for address, line in meter.circuits.items()}
    for address, line in meter.circuits.items():
        line.credit_set(wanted[address])
    return [
        reading
        if reading.credit is None
        else replace(reading, credit=reading.credit - surplus[reading.cid])
        for reading in found
    ], units
