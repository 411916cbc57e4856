from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "gridtalk.web"
    label = "web"
