"""Devices, the libraries that they become, their features, and what these use."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from gridtalk.core import clock
from gridtalk.devicetalk.models_base import (
    LIBRARY_SUFFIX,
    LONGEST_NAME,
    DeviceFeatureBase,
    DfHasSaFunctionBase,
    LibraryPoolBase,
)
from gridtalk.devicetalk.models_code import Library, SaFunction


class DeviceLibrary(LibraryPoolBase):
    """The library that saving a device makes: its functions and features, for the next device.

    It knows nothing of device models: features of devices saved under one name add up. Libraries
    are its dependencies; the functions of device libraries are joined into its own.
    """

    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=LONGEST_NAME)
    dir_path = models.CharField(max_length=255, blank=True, default="")
    dependency_library: ClassVar[models.ManyToManyField[Library, models.Model]] = (
        models.ManyToManyField(Library, blank=True)
    )
    updated_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        db_table = "devicetalk_device_libraries"
        verbose_name_plural = "device libraries"
        constraints = [
            models.CheckConstraint(name="devicetalk_device_libraries_name", condition=~Q(name="")),
            models.UniqueConstraint(
                fields=["user", "basic_file", "name"], name="devicetalk_device_libraries_unique"
            ),
            # PostgreSQL 14 has no NULLS NOT DISTINCT.
            models.UniqueConstraint(
                fields=["basic_file", "name"],
                condition=Q(user__isnull=True),
                name="devicetalk_device_libraries_global",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Device(LibraryPoolBase):
    """A saved set-up: device model, language, libraries, functions, and how it reaches its server.

    ``revision`` counts its savings: who saves an older one than the present is told.
    """

    id = models.AutoField(primary_key=True)
    # Shorter than 100, so that the name of its library fits.
    name = models.CharField(max_length=LONGEST_NAME - len(LIBRARY_SUFFIX))
    dm_name = models.CharField(max_length=LONGEST_NAME, help_text="the device model")
    server_url = models.CharField(max_length=255)
    device_address = models.CharField(max_length=50)
    push_interval = models.FloatField(default=1.0, help_text="seconds")
    source_server = models.CharField(
        max_length=255, blank=True, default="", help_text="the IoTtalk server of its import"
    )
    source_project = models.CharField(max_length=LONGEST_NAME, blank=True, default="")
    source_device_object = models.CharField(max_length=LONGEST_NAME, blank=True, default="")
    revision = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    updated_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        db_table = "devicetalk_devices"
        constraints = [
            models.CheckConstraint(name="devicetalk_devices_name", condition=~Q(name="")),
            models.CheckConstraint(
                name="devicetalk_devices_push_interval", condition=Q(push_interval__gt=0)
            ),
            models.UniqueConstraint(
                fields=["user", "basic_file", "name"], name="devicetalk_devices_unique"
            ),
            models.UniqueConstraint(
                fields=["basic_file", "name"],
                condition=Q(user__isnull=True),
                name="devicetalk_devices_global",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def library_name(self) -> str:
        """The name of the device library that saving makes."""
        return f"{self.name}{LIBRARY_SUFFIX}"


class DeviceHasLibrary(models.Model):
    """That a device uses a library or a device library; a larger ``order`` was chosen later."""

    id = models.BigAutoField(primary_key=True)
    device = models.ForeignKey(Device, on_delete=models.CASCADE)
    device_library = models.ForeignKey(DeviceLibrary, on_delete=models.PROTECT, null=True)
    library = models.ForeignKey(Library, on_delete=models.PROTECT, null=True)
    order = models.PositiveIntegerField()

    class Meta:
        db_table = "devicetalk_device_has_libraries"
        ordering = ["order"]
        constraints = [
            models.CheckConstraint(
                name="devicetalk_device_has_libraries_one",
                condition=Q(device_library__isnull=True, library__isnull=False)
                | Q(device_library__isnull=False, library__isnull=True),
            ),
            models.UniqueConstraint(
                fields=["device", "order"], name="devicetalk_device_has_libraries_order"
            ),
            models.UniqueConstraint(
                fields=["device", "library"], name="devicetalk_device_has_libraries_library"
            ),
            models.UniqueConstraint(
                fields=["device", "device_library"],
                name="devicetalk_device_has_libraries_device_library",
            ),
        ]

    def __str__(self) -> str:
        return str(self.library or self.device_library)


class DeviceDf(DeviceFeatureBase):
    """A feature of a device. All of its model are there; its project has those ``in_use``."""

    id = models.BigAutoField(primary_key=True)
    device = models.ForeignKey(Device, on_delete=models.CASCADE)
    in_use = models.BooleanField(default=True)
    functions: ClassVar[models.ManyToManyField[SaFunction, "DeviceDfHasSaFunction"]] = (
        models.ManyToManyField(SaFunction, through="DeviceDfHasSaFunction")
    )

    class Meta:
        db_table = "devicetalk_device_dfs"
        constraints = [
            models.UniqueConstraint(
                fields=["device", "name", "df_type"], name="devicetalk_device_dfs_unique"
            ),
        ]


class DeviceLibraryDf(DeviceFeatureBase):
    """A feature that a device library knows, so that the next device finds it set up."""

    id = models.BigAutoField(primary_key=True)
    device_library = models.ForeignKey(DeviceLibrary, on_delete=models.CASCADE)
    functions: ClassVar[models.ManyToManyField[SaFunction, "DeviceLibraryDfHasSaFunction"]] = (
        models.ManyToManyField(SaFunction, through="DeviceLibraryDfHasSaFunction")
    )

    class Meta:
        db_table = "devicetalk_device_library_dfs"
        constraints = [
            models.UniqueConstraint(
                fields=["device_library", "name", "df_type"],
                name="devicetalk_device_library_dfs_unique",
            ),
        ]


class DeviceDfHasSaFunction(DfHasSaFunctionBase):
    """That a device's feature can use a function; at most one is selected."""

    id = models.BigAutoField(primary_key=True)
    device_df = models.ForeignKey(DeviceDf, on_delete=models.CASCADE)

    class Meta:
        db_table = "devicetalk_device_df_has_sa_functions"
        constraints = [
            models.UniqueConstraint(
                fields=["device_df", "function"],
                name="devicetalk_device_df_has_sa_functions_unique",
            ),
            models.UniqueConstraint(
                fields=["device_df"],
                condition=Q(selected=True),
                name="devicetalk_device_df_has_sa_functions_selected",
            ),
        ]


class DeviceLibraryDfHasSaFunction(DfHasSaFunctionBase):
    """That a feature of a device library can use a function; at most one is selected."""

    id = models.BigAutoField(primary_key=True)
    device_library_df = models.ForeignKey(DeviceLibraryDf, on_delete=models.CASCADE)

    class Meta:
        db_table = "devicetalk_device_library_df_has_sa_functions"
        constraints = [
            models.UniqueConstraint(
                fields=["device_library_df", "function"],
                name="devicetalk_device_library_df_has_unique",
            ),
            models.UniqueConstraint(
                fields=["device_library_df"],
                condition=Q(selected=True),
                name="devicetalk_device_library_df_has_selected",
            ),
        ]
