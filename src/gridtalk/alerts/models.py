"""The Alert family."""

from django.db import models
from django.db.models import Q

from gridtalk.core import clock
from gridtalk.core.families import FamilyBase, parent_link
from gridtalk.grid.models import Circuit, Meter
from gridtalk.jobs.models import Job
from gridtalk.messaging.models import IncomingMessage, OutgoingMessage
from gridtalk.users.models import User


class Alert(FamilyBase):
    """Something that a meter or the gateway noticed. Base of the alerts; table ``alerts``.

    Of each kind one is open per circuit (per meter, where no circuit is meant), and per ``topic``
    where a kind has several causes: the fault's code, the job's id. What comes again is counted in
    ``repeats``. ``origin_message`` is what raised it, ``consumer_message`` what the consumer was
    told (the last time).
    """

    id = models.AutoField(primary_key=True)
    raised_at = models.DateTimeField(default=clock.now, editable=False)
    last_raised_at = models.DateTimeField(default=clock.now, editable=False)
    repeats = models.PositiveIntegerField(default=0)
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, related_name="alerts")
    circuit = models.ForeignKey(Circuit, on_delete=models.PROTECT, null=True, related_name="alerts")
    topic = models.CharField(max_length=32, blank=True, default="")
    origin_message = models.ForeignKey(
        IncomingMessage, on_delete=models.SET_NULL, null=True, related_name="alerts"
    )
    consumer_message = models.ForeignKey(
        OutgoingMessage, on_delete=models.SET_NULL, null=True, related_name="alerts"
    )
    consumer_told_at = models.DateTimeField(null=True)
    cleared_at = models.DateTimeField(null=True)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        db_table = "alerts"
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "circuit", "topic"],
                condition=Q(cleared_at__isnull=True, circuit__isnull=False),
                name="alerts_one_open_per_circuit",
            ),
            models.UniqueConstraint(
                fields=["kind", "meter", "topic"],
                condition=Q(cleared_at__isnull=True, circuit__isnull=True),
                name="alerts_one_open_per_meter",
            ),
        ]
        indexes = [
            models.Index(fields=["meter", "-raised_at"], name="alerts_meter"),
            models.Index(fields=["circuit", "-raised_at"], name="alerts_circuit"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class UnresponsiveCircuit(Alert):
    """A circuit that reported before has been silent."""

    KIND = "unresponsive_circuit"

    alert = parent_link(Alert)
    last_heard_from = models.DateTimeField()

    class Meta:
        db_table = "unresponsive_circuit_alerts"


class PowerMax(Alert):
    """A circuit drew more power than its limit and was switched off."""

    KIND = "power_max"

    alert = parent_link(Alert)

    class Meta:
        db_table = "power_max_alerts"


class EnergyMax(Alert):
    """A circuit used its energy of the day and was switched off."""

    KIND = "energy_max"

    alert = parent_link(Alert)

    class Meta:
        db_table = "energy_max_alerts"


class LowCredit(Alert):
    """A circuit's credit is low."""

    KIND = "low_credit"

    alert = parent_link(Alert)

    class Meta:
        db_table = "low_credit_alerts"


class NoCredit(Alert):
    """A circuit's credit is used up."""

    KIND = "no_credit"

    alert = parent_link(Alert)

    class Meta:
        db_table = "no_credit_alerts"


class UnresponsiveJob(Alert):
    """A meter did not acknowledge a job."""

    KIND = "unresponsive_job"

    alert = parent_link(Alert)
    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="alerts")

    class Meta:
        db_table = "unresponsive_job_alerts"


class PowerOn(Alert):
    """A meter came on: an event, closed at once."""

    KIND = "power_on"

    alert = parent_link(Alert)

    class Meta:
        db_table = "power_on_alerts"


class MeterFault(Alert):
    """A meter reported a fault of its own."""

    class Code(models.TextChoices):
        """What failed, as the meter says it."""

        METER_DOWN = "md", "meter down"
        COMPONENT = "ce", "circuit component failed"
        SD_CARD = "sdc", "SD card failed"

    KIND = "meter_fault"

    alert = parent_link(Alert)
    code = models.CharField(max_length=8, choices=Code)

    class Meta:
        db_table = "meter_fault_alerts"
        constraints = [
            models.CheckConstraint(
                name="meter_fault_alerts_code", condition=Q(code__in=["md", "ce", "sdc"])
            ),
        ]
