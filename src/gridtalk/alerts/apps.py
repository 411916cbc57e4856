from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "gridtalk.alerts"
    label = "alerts"
