from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "gridtalk.api"
    label = "api"
