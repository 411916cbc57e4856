from django.apps import AppConfig
from django.core import checks


class DevicetalkConfig(AppConfig):
    name = "gridtalk.devicetalk"
    label = "devicetalk"

    def ready(self) -> None:
        """Have the settings checked against the models."""
        from gridtalk.devicetalk.checks import check_libraryfunction_fields  # noqa: PLC0415  needs the models

        checks.register(check_libraryfunction_fields)
