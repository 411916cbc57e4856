"""Meters, circuits and the people behind them."""

import uuid

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Upper

from gridtalk.core import clock, money
from gridtalk.core.fields import money_field, money_number
from gridtalk.messaging.models import CommunicationInterface, Language
from gridtalk.users.models import User

MAINS_ADDRESS = "192.168.1.200"


class Meter(models.Model):
    """The box in a village: a mains circuit, circuits for households, often a solar PCU.

    Known by its ``phone`` (E.164) or its ``device_address`` (an IoTtalk device). What it reports is
    in local time: ``time_zone`` says which. ``knows_job_ids`` marks a meter which remembers the ids
    of the jobs that it applied, over a power cut: only to such a meter is a credit sent twice.
    """

    id = models.AutoField(primary_key=True)
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=64, unique=True)
    phone = models.CharField(max_length=64, unique=True, null=True, blank=True)
    device_address = models.CharField(max_length=64, unique=True, null=True, blank=True)
    location = models.CharField(max_length=128, blank=True)
    latitude = models.DecimalField(max_digits=9, decimal_places=6, null=True, blank=True)
    longitude = models.DecimalField(max_digits=9, decimal_places=6, null=True, blank=True)
    active = models.BooleanField(default=True)
    added_at = models.DateTimeField(default=clock.now, editable=False)
    retired_at = models.DateTimeField(null=True, blank=True, editable=False)
    battery_capacity = models.PositiveIntegerField(null=True, blank=True, help_text="Ah")
    panel_capacity = models.PositiveIntegerField(null=True, blank=True, help_text="W")
    time_zone = models.CharField(max_length=64, default="UTC")
    communication_interface = models.ForeignKey(
        CommunicationInterface, on_delete=models.PROTECT, related_name="meters"
    )
    low_credit_threshold = money_field(default=money.ZERO, validators=[MinValueValidator(0)])
    knows_job_ids = models.BooleanField(
        default=False, help_text="remembers applied jobs over a power cut: credit may be re-sent"
    )
    key_hash = models.CharField(max_length=64, blank=True, editable=False)

    class Meta:
        db_table = "meters"
        constraints = [
            models.CheckConstraint(
                name="meters_reachable", condition=Q(phone__gt="") | Q(device_address__gt="")
            ),
            models.CheckConstraint(
                name="meters_low_credit_threshold",
                condition=Q(low_credit_threshold__gte=0) & money_number("low_credit_threshold"),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Account(models.Model):
    """The customer: name, phone and the language of their SMS.

    ``phone_wanted`` is a new number which waits until the present one confirms it.
    """

    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=128, blank=True)
    phone = models.CharField(max_length=64, blank=True)
    secondary_phone = models.CharField(max_length=64, blank=True)
    lang = models.CharField(max_length=8, choices=Language, default=Language.ENGLISH)
    notes = models.TextField(blank=True)
    added_at = models.DateTimeField(default=clock.now, editable=False)
    retired_at = models.DateTimeField(null=True, blank=True, editable=False)
    phone_wanted = models.CharField(max_length=64, blank=True, editable=False)
    phone_wanted_at = models.DateTimeField(null=True, editable=False)
    phone_wanted_by = models.CharField(max_length=64, blank=True, editable=False)

    class Meta:
        db_table = "accounts"
        indexes = [models.Index(fields=["phone"], name="accounts_phone")]

    def __str__(self) -> str:
        return self.name or f"account {self.pk}"


class Circuit(models.Model):
    """One household's line on a meter; ``192.168.1.200`` is the meter's mains.

    ``pin`` is what the consumer calls the account number. ``credit`` mirrors what the meter counts
    down, as of ``credit_as_of``; ``credit_estimated`` says that an acknowledgement came without it.
    """

    class Status(models.IntegerChoices):
        """The relay."""

        OFF = 0, "off"
        ON = 1, "on"

    id = models.AutoField(primary_key=True)
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    added_at = models.DateTimeField(default=clock.now, editable=False)
    retired_at = models.DateTimeField(null=True, blank=True, editable=False)
    pin = models.CharField(max_length=32)
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, related_name="circuits")
    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="circuits", null=True, blank=True
    )
    ip_address = models.CharField(max_length=15)
    is_main = models.BooleanField(default=False)
    energy_max = models.PositiveIntegerField(default=500, help_text="Wh a day")
    power_max = models.PositiveIntegerField(default=100, help_text="W")
    status = models.PositiveSmallIntegerField(choices=Status, default=Status.ON)
    status_as_of = models.DateTimeField(null=True, editable=False)
    credit = money_field(default=money.ZERO)
    credit_as_of = models.DateTimeField(null=True, editable=False)
    credit_estimated = models.BooleanField(default=False, editable=False)
    last_reported_at = models.DateTimeField(null=True, editable=False)
    last_meter_time = models.DateTimeField(null=True, editable=False)

    class Meta:
        db_table = "circuits"
        constraints = [
            models.UniqueConstraint(Upper("pin"), name="circuits_pin"),
            models.UniqueConstraint(fields=["meter", "ip_address"], name="circuits_address"),
            models.UniqueConstraint(
                fields=["meter"], condition=Q(is_main=True), name="circuits_one_main"
            ),
            models.CheckConstraint(
                name="circuits_ip_address",
                condition=Q(ip_address__regex=r"^192\.168\.1\.2[0-9][0-9]$"),
            ),
            models.CheckConstraint(
                name="circuits_main_address",
                condition=Q(is_main=True, ip_address=MAINS_ADDRESS)
                | (Q(is_main=False) & ~Q(ip_address=MAINS_ADDRESS)),
            ),
            models.CheckConstraint(name="circuits_status", condition=Q(status__in=[0, 1])),
            models.CheckConstraint(name="circuits_credit", condition=money_number("credit")),
            models.CheckConstraint(name="circuits_pin_given", condition=Q(pin__gt="")),
        ]

    def __str__(self) -> str:
        return f"{self.meter_id} {self.ip_address}"


class MeterConfigKey(models.Model):
    """A setting that a meter knows, by name."""

    id = models.AutoField(primary_key=True)
    key = models.CharField(max_length=64, unique=True)

    class Meta:
        db_table = "meter_config_keys"

    def __str__(self) -> str:
        return self.key


class MeterChangeSet(models.Model):
    """What was set on a meter, by whom, when."""

    id = models.AutoField(primary_key=True)
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, related_name="change_sets")
    key = models.ForeignKey(MeterConfigKey, on_delete=models.PROTECT, related_name="change_sets")
    value = models.TextField(blank=True)
    changed_at = models.DateTimeField(default=clock.now, editable=False)
    changed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        db_table = "meter_change_sets"
        indexes = [models.Index(fields=["meter", "-changed_at"], name="meter_change_sets_meter")]

    def __str__(self) -> str:
        return f"{self.meter_id} {self.key_id} = {self.value[:40]}"
