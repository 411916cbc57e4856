"""What the gateway noticed."""

import uuid

from django.db import models

from gridtalk.core import clock


class SystemLog(models.Model):
    """Something the gateway noticed that no person or meter said.

    A wrong key at an inbound address, a body too large to keep, a provider's error, a task that
    failed: what the operator should find later.
    """

    class Level(models.TextChoices):
        """How much it matters."""

        INFO = "info"
        WARNING = "warning"
        ERROR = "error"

    id = models.BigAutoField(primary_key=True)
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    level = models.CharField(max_length=8, choices=Level, default=Level.INFO)
    source = models.CharField(
        max_length=64, help_text="the part that noticed it, for example kannel"
    )
    text = models.TextField()

    class Meta:
        db_table = "system_logs"
        indexes = [models.Index(fields=["-created_at"], name="system_logs_created")]

    def __str__(self) -> str:
        return f"{self.created_at:%Y-%m-%d %H:%M} {self.source}: {self.text[:60]}"
