from django.apps import AppConfig


class UsersConfig(AppConfig):
    name = "gridtalk.users"
    label = "users"
