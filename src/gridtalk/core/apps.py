from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "gridtalk.core"
    label = "core"
