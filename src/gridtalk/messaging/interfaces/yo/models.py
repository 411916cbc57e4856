"""The Yo! Uganda interface's table."""

from django.db import models

from gridtalk.core.families import parent_link
from gridtalk.core.fields import EncryptedTextField
from gridtalk.messaging.models import CommunicationInterface


class YoInterface(CommunicationInterface):
    """An account at Yo! Uganda."""

    KIND = "yo"

    interface = parent_link(CommunicationInterface)
    host = models.CharField(max_length=255)
    port = models.PositiveIntegerField(default=9100)
    account = models.CharField(max_length=64)
    username = models.CharField(max_length=64, blank=True)
    password = EncryptedTextField()

    class Meta:
        db_table = "yo_interfaces"
