"""The IoTtalk interface's table."""

from gridtalk.core.families import parent_link
from gridtalk.messaging.models import CommunicationInterface


class IoTtalkInterface(CommunicationInterface):
    """Meters which are IoTtalk devices of this server: jobs go to their ``Job-O``."""

    KIND = "iottalk"

    interface = parent_link(CommunicationInterface)

    class Meta:
        db_table = "iottalk_interfaces"
