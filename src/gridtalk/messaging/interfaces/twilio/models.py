"""The Twilio interface's table."""

from django.db import models

from gridtalk.core.families import parent_link
from gridtalk.core.fields import EncryptedTextField
from gridtalk.messaging.models import CommunicationInterface


class TwilioInterface(CommunicationInterface):
    """An account at Twilio."""

    KIND = "twilio"

    interface = parent_link(CommunicationInterface)
    account_id = models.CharField(max_length=64)
    token = EncryptedTextField()
    api_version = models.CharField(max_length=16, default="2010-04-01")
    host = models.CharField(max_length=255, default="api.twilio.com")

    class Meta:
        db_table = "twilio_interfaces"
