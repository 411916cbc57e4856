from django.apps import AppConfig


class FilesConfig(AppConfig):
    name = "gridtalk.files"
    label = "files"
