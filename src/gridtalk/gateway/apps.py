from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "gridtalk.gateway"
    label = "gateway"
