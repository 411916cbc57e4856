"""The netbook interface's table."""

from gridtalk.core.families import parent_link
from gridtalk.messaging.models import CommunicationInterface


class NetbookInterface(CommunicationInterface):
    """A GSM modem beside a small computer in the village: it polls us for what is to be sent."""

    KIND = "netbook"

    interface = parent_link(CommunicationInterface)

    class Meta:
        db_table = "netbook_interfaces"
