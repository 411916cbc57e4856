from django.apps import AppConfig


class PrepaidConfig(AppConfig):
    name = "gridtalk.prepaid"
    label = "prepaid"
