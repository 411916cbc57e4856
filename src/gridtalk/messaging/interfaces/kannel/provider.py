"""Kannel in the catalogue."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from gridtalk.messaging.interfaces.base import Provider, SetUpLine, Way
from gridtalk.messaging.interfaces.kannel import wire
from gridtalk.messaging.wire import (
    DeliveryReport,
    HandOver,
    HttpRequest,
    HttpResponse,
    InboundRequest,
    InboundSms,
    OutboundSms,
)


class Kannel(Provider):
    """A Kannel smsbox: pushed by GET, reports by GET, inbound by GET or as it posts."""

    kind = "kannel"
    label = "Kannel"
    way = Way.PUSHED

    def send_request(self, interface: Any, sms: OutboundSms) -> HttpRequest:
        """The ``sendsms`` request."""
        return wire.send_request(
            sms,
            host=interface.host,
            port=interface.port,
            username=interface.username,
            password=interface.password,
        )

    def read_response(self, response: HttpResponse) -> HandOver:
        """What ``sendsms`` answered."""
        return wire.read_response(response)

    def parse_inbound(self, request: InboundRequest) -> InboundSms:
        """A request of the ``sms-service``."""
        return wire.parse_inbound(request)

    def parse_report(self, message_uuid: UUID, request: InboundRequest) -> DeliveryReport:
        """A request to the ``dlr-url``."""
        return wire.parse_report(message_uuid, request)

    def set_up(self, *, base_url: str, interface_id: int, key: str) -> Sequence[SetUpLine]:
        """The ``get-url`` of the ``sms-service`` group."""
        return [
            SetUpLine(
                "get-url of the group sms-service in kannel.conf",
                f"{base_url}/sms/kannel/{interface_id}/in?key={key}"
                "&id=%I&ts=%T&from=%p&to=%P&smsc=%i&coding=%c&charset=%C&text=%b",
            )
        ]
