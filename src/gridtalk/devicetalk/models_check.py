"""What checking a device's code found."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from gridtalk.core import clock
from gridtalk.devicetalk.models_device import Device


class DeviceCheck(models.Model):
    """A check of one version of a device's code; the same version is not checked twice.

    ``version`` is the content hash which the generated code carries. ``messages`` are those of
    :class:`gridtalk.devicetalk.check.messages.Message`, as objects with its fields.
    """

    class State(models.TextChoices):
        """Where it is."""

        QUEUED = "queued", "waits for a worker"
        RUNNING = "running", "is being checked"
        PASSED = "passed", "compiles"
        FAILED = "failed", "has errors"
        SKIPPED = "skipped", "could not be checked here"
        BROKEN = "broken", "the check itself failed"

    id = models.BigAutoField(primary_key=True)
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="checks")
    version = models.CharField(max_length=16)
    state = models.CharField(max_length=7, choices=State, default=State.QUEUED)
    summary = models.TextField(blank=True, default="", help_text="one sentence for the user")
    messages = models.JSONField(default=list, blank=True)
    tool = models.CharField(max_length=100, blank=True, default="", help_text="with its version")
    isolation = models.CharField(
        max_length=30, blank=True, default="", help_text="how the tool was shut in"
    )
    attempts = models.PositiveSmallIntegerField(
        default=0, help_text="how often a worker began it; one that was killed begins it again"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="who asked for it",
    )
    created_at = models.DateTimeField(default=clock.now, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        db_table = "devicetalk_device_checks"
        constraints = [
            models.UniqueConstraint(
                fields=["device", "version"], name="devicetalk_device_checks_unique"
            ),
            models.CheckConstraint(
                name="devicetalk_device_checks_state",
                condition=Q(
                    state__in=["queued", "running", "passed", "failed", "skipped", "broken"]
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.device_id} {self.version}: {self.state}"

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing to wait for."""
        return self.state not in {self.State.QUEUED, self.State.RUNNING}
