"""The Log family: what circuits and power units reported.

These tables are partitioned by PostgreSQL, which Django cannot say: the migration makes them, and
``telemetry/services.py`` is the only place that writes them (in bulk).
"""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models

from gridtalk.core import clock
from gridtalk.core.families import FamilyBase
from gridtalk.core.fields import money_field, time_ordered_id
from gridtalk.grid.models import Circuit, Meter
from gridtalk.messaging.models import IncomingMessage


class Log(FamilyBase):
    """A report as the gateway received it. Base of the logs; table ``logs``, in partitions by id.

    Ids are ordered by time. ``received_at`` is the gateway's time.
    """

    id = time_ordered_id()
    received_at = models.DateTimeField(default=clock.now, editable=False)
    message = models.ForeignKey(
        IncomingMessage,
        on_delete=models.DO_NOTHING,
        null=True,
        db_constraint=False,
        related_name="logs",
    )

    class Meta:
        db_table = "logs"
        indexes = [BrinIndex(fields=["received_at"], name="logs_received_at")]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class PrimaryLog(Log):
    """A circuit's hourly report; table ``primary_logs``, in monthly partitions by ``meter_time``.

    ``watthours`` counts up since local midnight; ``use_time_s`` are the seconds in use; ``credit``
    is null for a mains. ``clock_ahead`` flags a report whose meter clock was over an hour ahead of
    its receipt: it is kept, and never touches the circuit. ``latency_s`` is the receipt minus the
    meter's time: kept here too, so that no question about clocks needs a join with ``logs``. No
    foreign key guards the link to ``logs``: it would halve the speed and block the detaching of
    partitions.
    """

    KIND = "primary"

    log = models.OneToOneField(
        Log,
        on_delete=models.CASCADE,
        parent_link=True,
        primary_key=True,
        db_column="id",
        db_constraint=False,
    )
    circuit = models.ForeignKey(
        Circuit, on_delete=models.PROTECT, related_name="primary_logs", db_constraint=False
    )
    latency_s = models.IntegerField(default=0, db_default=0, editable=False)
    meter_time = models.DateTimeField()
    watthours = models.DecimalField(max_digits=10, decimal_places=2)
    use_time_s = models.DecimalField(max_digits=8, decimal_places=2)
    status = models.PositiveSmallIntegerField()
    credit = money_field(null=True)
    clock_ahead = models.BooleanField(default=False)

    class Meta:
        db_table = "primary_logs"
        constraints = [
            models.UniqueConstraint(
                fields=["circuit", "meter_time"], name="primary_logs_circuit_meter_time"
            ),
        ]


class PCULog(Log):
    """The power conditioning unit's report; table ``pcu_logs``.

    Energy in kWh, counted up; ``battery_volts`` in V; ``battery_temp`` in °C. Field units of
    ``battery_charge`` and ``battery_discharge`` vary between sites, so the raw text is kept. What
    is not measured is null: of meters with a SIM only the temperature, of devices any.
    """

    KIND = "pcu"

    log = models.OneToOneField(
        Log,
        on_delete=models.CASCADE,
        parent_link=True,
        primary_key=True,
        db_column="id",
        db_constraint=False,
    )
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, related_name="pcu_logs")
    meter_time = models.DateTimeField()
    cumulative_kwh_solar = models.FloatField(null=True)
    cumulative_kwh_battery_charge = models.FloatField(null=True)
    cumulative_kwh_discharge = models.FloatField(null=True)
    battery_volts = models.FloatField(null=True)
    battery_charge = models.FloatField(null=True)
    battery_discharge = models.FloatField(null=True)
    solar_amps = models.FloatField(null=True)
    solar_volts = models.FloatField(null=True)
    battery_temp = models.FloatField(null=True)
    raw = models.TextField()

    class Meta:
        db_table = "pcu_logs"
        constraints = [
            models.UniqueConstraint(
                fields=["meter", "meter_time"], name="pcu_logs_meter_meter_time"
            ),
        ]
