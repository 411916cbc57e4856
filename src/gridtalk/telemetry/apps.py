from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class TelemetryConfig(AppConfig):
    name = "gridtalk.telemetry"
    label = "telemetry"

    def ready(self) -> None:
        """Each ``migrate`` also makes the partitions of the coming months.

        The one signal of ours: Django offers no other way to run something after every migrate,
        and a server that was off for months must not write into the DEFAULT partition.
        """
        post_migrate.connect(_partitions_ensure, sender=self)


def _partitions_ensure(**_: Any) -> None:
    from django.db import connection  # noqa: PLC0415  apps are not loaded when this file is

    from gridtalk.telemetry.partitions import partitions_ensure  # noqa: PLC0415

    # Absent after `migrate telemetry zero`.
    if "primary_logs" in connection.introspection.table_names():
        partitions_ensure()
