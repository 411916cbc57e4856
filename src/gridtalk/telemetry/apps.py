from django.apps import AppConfig


class TelemetryConfig(AppConfig):
    name = "gridtalk.telemetry"
    label = "telemetry"
