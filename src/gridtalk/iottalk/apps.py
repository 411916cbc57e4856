from django.apps import AppConfig


class IottalkConfig(AppConfig):
    name = "gridtalk.iottalk"
    label = "iottalk"
