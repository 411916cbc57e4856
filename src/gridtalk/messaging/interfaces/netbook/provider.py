"""The netbook bridge in the catalogue."""

from collections.abc import Sequence

from gridtalk.messaging.interfaces.base import Provider, SetUpLine, Way
from gridtalk.messaging.interfaces.netbook import wire
from gridtalk.messaging.wire import InboundRequest, InboundSms


class Netbook(Provider):
    """A modem bridge that polls ``/sms/received`` and posts what it hears."""

    kind = "netbook"
    label = "netbook"
    way = Way.POLLED
    answers_uuid = True

    def parse_inbound(self, request: InboundRequest) -> InboundSms:
        """What the bridge posts to ``/sms/send``."""
        return wire.parse_inbound(request)

    def set_up(self, *, base_url: str, interface_id: int, key: str) -> Sequence[SetUpLine]:
        """The addresses that the bridge calls; it may give the key as a basic-auth password too."""
        return [
            SetUpLine("Texts to send (GET)", f"{base_url}/sms/received?key={key}"),
            SetUpLine("Sent (POST)", f"{base_url}/message/remove/<uuid>?key={key}"),
            SetUpLine("Texts heard (POST)", f"{base_url}/interface/send/{interface_id}?key={key}"),
            SetUpLine("Are you there (GET)", f"{base_url}/sms/ping?key={key}"),
        ]
