"""What functions and devices were at each saving. Rows are only ever added."""

from django.conf import settings
from django.db import models

from gridtalk.core import clock
from gridtalk.devicetalk.models_code import SaFunction
from gridtalk.devicetalk.models_device import Device


class VersionBase(models.Model):
    """A snapshot: the whole thing as JSON, who saved it, and when. The database refuses changes."""

    number = models.PositiveIntegerField(help_text="1, 2, … of its function or device")
    snapshot = models.JSONField()
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"version {self.number}"


class SaFunctionVersion(VersionBase):
    """A version of an SA function."""

    id = models.BigAutoField(primary_key=True)
    function = models.ForeignKey(SaFunction, on_delete=models.CASCADE, related_name="versions")

    class Meta:
        db_table = "devicetalk_sa_function_versions"
        constraints = [
            models.UniqueConstraint(
                fields=["function", "number"], name="devicetalk_sa_function_versions_number"
            ),
        ]


class DeviceVersion(VersionBase):
    """A version of a device, with the functions that it had, which are kept for it."""

    id = models.BigAutoField(primary_key=True)
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="versions")
    functions = models.ManyToManyField(
        SaFunction, db_table="devicetalk_device_version_functions", related_name="device_versions"
    )

    class Meta:
        db_table = "devicetalk_device_versions"
        constraints = [
            models.UniqueConstraint(
                fields=["device", "number"], name="devicetalk_device_versions_number"
            ),
        ]
