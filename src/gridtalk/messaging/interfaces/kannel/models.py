"""The Kannel interface's table."""

from django.db import models

from gridtalk.core.families import parent_link
from gridtalk.core.fields import EncryptedTextField
from gridtalk.messaging.models import CommunicationInterface


class KannelInterface(CommunicationInterface):
    """A Kannel SMS gateway: its smsbox's ``sendsms`` address and user."""

    KIND = "kannel"

    interface = parent_link(CommunicationInterface)
    host = models.CharField(max_length=255)
    port = models.PositiveIntegerField(default=13013)
    username = models.CharField(max_length=64)
    password = EncryptedTextField()

    class Meta:
        db_table = "kannel_interfaces"
