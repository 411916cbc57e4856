"""The IoTtalk interface's table."""

from django.db import models

from gridtalk.core.families import parent_link
from gridtalk.messaging.models import CommunicationInterface


class IoTtalkInterface(CommunicationInterface):
    """Meters which are IoTtalk devices of this server: jobs go to their ``Job-O``.

    A device is no phone: ``sms_interface`` carries the texts to these meters' consumers.
    """

    KIND = "iottalk"

    interface = parent_link(CommunicationInterface)
    sms_interface = models.ForeignKey(
        CommunicationInterface,
        on_delete=models.PROTECT,
        related_name="+",
        null=True,
        blank=True,
        help_text="carries the texts to these meters' consumers",
    )

    class Meta:
        db_table = "iottalk_interfaces"
