from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "gridtalk.jobs"
    label = "jobs"
