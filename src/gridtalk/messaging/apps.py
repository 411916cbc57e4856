from django.apps import AppConfig


class MessagingConfig(AppConfig):
    name = "gridtalk.messaging"
    label = "messaging"
