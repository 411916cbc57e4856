"""What checking a device's code found."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import gridtalk.core.clock


class Migration(migrations.Migration):
    dependencies = [
        ("devicetalk", "0002_versions"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="DeviceCheck",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("version", models.CharField(max_length=16)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("queued", "waits for a worker"),
                            ("running", "is being checked"),
                            ("passed", "compiles"),
                            ("failed", "has errors"),
                            ("skipped", "could not be checked here"),
                            ("broken", "the check itself failed"),
                        ],
                        default="queued",
                        max_length=7,
                    ),
                ),
                (
                    "summary",
                    models.TextField(blank=True, default="", help_text="one sentence for the user"),
                ),
                ("messages", models.JSONField(blank=True, default=list)),
                (
                    "tool",
                    models.CharField(
                        blank=True, default="", help_text="with its version", max_length=100
                    ),
                ),
                (
                    "isolation",
                    models.CharField(
                        blank=True, default="", help_text="how the tool was shut in", max_length=30
                    ),
                ),
                (
                    "attempts",
                    models.PositiveSmallIntegerField(
                        default=0,
                        help_text="how often a worker began it; one that was killed begins it again",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=gridtalk.core.clock.now, editable=False),
                ),
                ("started_at", models.DateTimeField(editable=False, null=True)),
                ("finished_at", models.DateTimeField(editable=False, null=True)),
                (
                    "device",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="checks",
                        to="devicetalk.device",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        help_text="who asked for it",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "devicetalk_device_checks",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("device", "version"), name="devicetalk_device_checks_unique"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "state__in",
                                ["queued", "running", "passed", "failed", "skipped", "broken"],
                            )
                        ),
                        name="devicetalk_device_checks_state",
                    ),
                ],
            },
        ),
    ]
