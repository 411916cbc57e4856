"""The IoTtalk interface's table."""

from django.core.exceptions import ValidationError
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

    def clean(self) -> None:
        """Texts to consumers go to phones."""
        super().clean()
        if self.sms_interface is not None and self.sms_interface.kind == self.KIND:
            raise ValidationError({"sms_interface": ["it must be an interface for SMS"]})
