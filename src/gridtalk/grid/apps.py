from django.apps import AppConfig


class GridConfig(AppConfig):
    name = "gridtalk.grid"
    label = "grid"
