"""The Airtel interface's table."""

from django.db import models

from gridtalk.core.families import parent_link
from gridtalk.messaging.models import CommunicationInterface


class AirtelInterface(CommunicationInterface):
    """A configurable HTTP template: Airtel publishes no document of its address."""

    KIND = "airtel"

    interface = parent_link(CommunicationInterface)
    url = models.URLField(max_length=255)
    method = models.CharField(
        max_length=4, choices=[("GET", "GET"), ("POST", "POST")], default="GET"
    )
    sender = models.CharField(max_length=64, blank=True)
    sender_parameter = models.CharField(max_length=64, default="SOURCEADD")
    number_parameter = models.CharField(max_length=64, default="MSISDN")
    message_parameter = models.CharField(max_length=64, default="MESSAGE")
    success_pattern = models.CharField(
        max_length=255, blank=True, help_text="regular expression which a successful answer matches"
    )

    class Meta:
        db_table = "airtel_interfaces"
