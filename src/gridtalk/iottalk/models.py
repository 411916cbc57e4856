"""Devices that have registered with this server, what they say, and what is sent to them."""

import secrets
import uuid

from django.db import models
from django.db.models import Q

from gridtalk.core import clock
from gridtalk.grid.models import Meter
from gridtalk.users.models import User

#: Devices are split into so many shards; one leased process reads the control topics of a shard.
SHARDS = 16
LONGEST_NAME = 100


def new_handle() -> str:
    """A public name for a device: its MQTT user name, and its meter's device address."""
    return f"d{secrets.token_hex(10)}"


class RegisteredDevice(models.Model):
    """A device that registered with this server, by IoTtalk v2 (HTTP and MQTT) or v1 (HTTP).

    ``address`` is what the device calls itself: a uuid (v2), which is a secret once the device is
    bound to a meter, or a MAC in small letters (v1). ``handle`` is our public name for it. ``rev``
    changes with every registration; what is said under an older one is ignored. ``version`` is the
    content hash that generated code carries in its profile. ``key_hash`` is the v1 password key's;
    ``key_epoch`` goes into the MQTT password, so that a larger one ends the old password.
    ``online`` is what MQTT and the last data say. Until ``barred_until`` it may not register: it
    was thrown out. A meter's that asks to register without its key waits since
    ``approval_wanted_at``; until ``approved_until`` that may be done, once, from the address that
    asked (``approval_source``). ``owner`` is somebody to ask: who saved it in the workshop, or
    bound it.
    """

    class Protocol(models.TextChoices):
        """Which IoTtalk it speaks."""

        V2 = "v2", "IoTtalk v2"
        V1 = "v1", "IoTtalk v1"

    id = models.AutoField(primary_key=True)
    protocol = models.CharField(max_length=2, choices=Protocol)
    address = models.CharField(max_length=64)
    handle = models.CharField(max_length=32, unique=True, default=new_handle, editable=False)
    shard = models.PositiveSmallIntegerField(editable=False)
    name = models.CharField(max_length=LONGEST_NAME)
    dm_name = models.CharField(max_length=LONGEST_NAME, blank=True, help_text="the device model")
    owner = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True)
    meter = models.OneToOneField(
        Meter, on_delete=models.SET_NULL, null=True, blank=True, related_name="registered_device"
    )
    profile = models.JSONField(default=dict)
    version = models.CharField(max_length=64, blank=True)
    rev = models.UUIDField(default=uuid.uuid4, editable=False)
    key_hash = models.CharField(max_length=64, blank=True, editable=False)
    key_epoch = models.PositiveIntegerField(default=0, editable=False)
    online = models.BooleanField(default=False, editable=False)
    state_at = models.DateTimeField(null=True, editable=False)
    last_seen_at = models.DateTimeField(null=True, editable=False)
    last_data_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    registered_at = models.DateTimeField(default=clock.now, editable=False)
    deregistered_at = models.DateTimeField(null=True, editable=False)
    barred_until = models.DateTimeField(null=True, editable=False)
    approval_wanted_at = models.DateTimeField(null=True, editable=False)
    approved_until = models.DateTimeField(null=True, editable=False)
    approval_source = models.CharField(max_length=64, blank=True, editable=False)

    #: What an approval is made of, for whoever ends one.
    APPROVAL_NONE = {"approval_wanted_at": None, "approved_until": None, "approval_source": ""}

    class Meta:
        db_table = "registered_devices"
        constraints = [
            models.UniqueConstraint(
                fields=["protocol", "address"], name="registered_devices_address"
            ),
            models.CheckConstraint(
                name="registered_devices_protocol", condition=Q(protocol__in=["v2", "v1"])
            ),
            models.CheckConstraint(name="registered_devices_shard", condition=Q(shard__lt=SHARDS)),
        ]
        indexes = [
            models.Index(fields=["shard"], name="registered_devices_shard"),
            models.Index(fields=["-last_seen_at"], name="registered_devices_seen"),
        ]

    def __str__(self) -> str:
        return self.name


class RegisteredFeature(models.Model):
    """A device feature (DF) of a registered device, with the last value that it said or got.

    ``number`` stands in its topic, since a name may hold what a topic may not. ``state`` follows
    CONNECT (v2) or SET_DF_STATUS (v1). One that a later registration leaves out stays, not
    ``present``, for the sake of its samples.
    """

    class Kind(models.TextChoices):
        """Whose data they are."""

        IDF = "idf", "input (from the device)"
        ODF = "odf", "output (to the device)"

    class State(models.TextChoices):
        """Whether the device has taken the feature's topic."""

        NEW = "new", "not connected"
        ASKED = "asked", "waiting for the device"
        OK = "ok", "connected"
        ERROR = "error", "refused by the device"

    id = models.AutoField(primary_key=True)
    device = models.ForeignKey(RegisteredDevice, on_delete=models.CASCADE, related_name="features")
    name = models.CharField(max_length=LONGEST_NAME)
    kind = models.CharField(max_length=3, choices=Kind)
    params = models.JSONField(default=list, help_text="the types of its parameters")
    number = models.PositiveSmallIntegerField()
    present = models.BooleanField(default=True)
    state = models.CharField(max_length=5, choices=State, default=State.NEW)
    reason = models.CharField(max_length=200, blank=True)
    last_value = models.JSONField(null=True)
    last_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "registered_features"
        constraints = [
            models.UniqueConstraint(
                fields=["device", "kind", "name"], name="registered_features_name"
            ),
            models.UniqueConstraint(fields=["device", "number"], name="registered_features_number"),
            models.CheckConstraint(
                name="registered_features_kind", condition=Q(kind__in=["idf", "odf"])
            ),
            models.CheckConstraint(
                name="registered_features_state",
                condition=Q(state__in=["new", "asked", "ok", "error"]),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class DfSample(models.Model):
    """One value list of a feature: what the device said (IDF) or was sent (ODF).

    Kept for ``DF_SAMPLE_RETENTION``. Without a foreign key in the database, which would halve the
    speed of COPY; samples of a deleted device go with the retention.
    """

    id = models.BigAutoField(primary_key=True)
    feature = models.ForeignKey(
        RegisteredFeature, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False
    )
    at = models.DateTimeField(default=clock.now)
    value = models.JSONField()

    class Meta:
        db_table = "df_samples"
        indexes = [
            models.Index(fields=["feature", "-at"], name="df_samples_feature"),
            models.Index(fields=["at"], name="df_samples_at"),
        ]

    def __str__(self) -> str:
        return f"{self.feature_id} {self.at:%Y-%m-%d %H:%M:%S}: {self.value}"


class FeatureSend(models.Model):
    """A value for an ODF that waits for its device; the row is the work.

    Those of meters' jobs do not come here: a job's message is their row.
    """

    class State(models.TextChoices):
        """Where it is."""

        QUEUED = "queued", "waiting for the device"
        SENT = "sent", "sent"
        FAILED = "failed", "given up"

    id = models.BigAutoField(primary_key=True)
    feature = models.ForeignKey(RegisteredFeature, on_delete=models.CASCADE, related_name="sends")
    value = models.JSONField(help_text="a list")
    state = models.CharField(max_length=6, choices=State, default=State.QUEUED)
    error = models.CharField(max_length=200, blank=True)
    requested_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "feature_sends"
        constraints = [
            models.CheckConstraint(
                name="feature_sends_state", condition=Q(state__in=["queued", "sent", "failed"])
            ),
        ]
        indexes = [
            models.Index(fields=["feature"], name="feature_sends_due", condition=Q(state="queued")),
        ]

    def __str__(self) -> str:
        return f"{self.feature_id} {self.state}: {self.value}"


class DeviceEvent(models.Model):
    """A line of the log of registrations and errors; ``device`` is null where none is known."""

    class Kind(models.TextChoices):
        """What happened."""

        REGISTERED = "registered", "registered"
        REREGISTERED = "reregistered", "registered again"
        DEREGISTERED = "deregistered", "deregistered"
        REFUSED = "refused", "refused"
        ONLINE = "online", "online"
        OFFLINE = "offline", "offline"
        BOUND = "bound", "bound to a meter"
        UNBOUND = "unbound", "no longer a meter's"
        APPROVED = "approved", "approved"
        ERROR = "error", "error"

    id = models.BigAutoField(primary_key=True)
    device = models.ForeignKey(
        RegisteredDevice, on_delete=models.CASCADE, null=True, related_name="events"
    )
    at = models.DateTimeField(default=clock.now)
    kind = models.CharField(max_length=12, choices=Kind)
    text = models.CharField(max_length=500, blank=True)
    source = models.CharField(max_length=64, blank=True, help_text="the caller's IP address")

    class Meta:
        db_table = "device_events"
        indexes = [
            models.Index(fields=["device", "-id"], name="device_events_device"),
            models.Index(fields=["at"], name="device_events_at"),
        ]

    def __str__(self) -> str:
        return f"{self.device_id} {self.kind}: {self.text}"


class DeviceShard(models.Model):
    """Who reads the control topics of a shard, and until when unless it says so again."""

    number = models.PositiveSmallIntegerField(primary_key=True)
    holder = models.CharField(max_length=64, blank=True)
    lease_until = models.DateTimeField(null=True)

    class Meta:
        db_table = "device_shards"

    def __str__(self) -> str:
        return f"shard {self.number}: {self.holder or 'nobody'}"
