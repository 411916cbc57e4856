"""What a provider of ours can do: the contract that every member of the catalogue keeps."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from gridtalk.core.errors import UserError
from gridtalk.messaging.wire import (
    DeliveryReport,
    HandOver,
    HttpRequest,
    HttpResponse,
    InboundRequest,
    InboundSms,
    OutboundSms,
)


class Way(StrEnum):
    """How texts leave through an interface."""

    PUSHED = "pushed"  # we call the provider
    POLLED = "polled"  # the other side asks us
    DEVICES = "devices"  # the device server hands over jobs; there are no texts to people
    NOT_YET = "not_yet"  # its table is there, its sending is not


class SetUpLine(NamedTuple):
    """Something that the operator enters at the provider: what it is for, and the text."""

    label: str
    text: str


class Provider:
    """One kind of communication interface. A member is one object without state.

    A provider translates; it never calls anybody, waits, retries, logs or writes to the database.
    Its methods are thin: what they translate stands in the folder's pure ``wire.py``. ``interface``
    is always the child row of its kind (``KannelInterface``, …), read outside any transaction.
    """

    #: The kind of its interfaces, as in :data:`gridtalk.messaging.families.INTERFACES`.
    kind: ClassVar[str]
    #: What people call it, in errors and pages.
    label: ClassVar[str]
    way: ClassVar[Way] = Way.NOT_YET
    #: Whether the generic inbound address answers its requests with the message's uuid, whatever
    #: the setting says.
    answers_uuid: ClassVar[bool] = False

    def send_request(self, interface: Any, sms: OutboundSms) -> HttpRequest:  # noqa: ARG002
        """The request that hands a text over. Called for ``PUSHED`` providers, once an attempt.

        Raises :class:`UserError` where this text can never be sent through this interface: that is
        a permanent refusal. The default refuses every text, saying that this kind cannot send.
        """
        raise UserError(
            f"interfaces of kind {self.label} cannot send yet; give the meter another interface"
        )

    def read_response(self, response: HttpResponse) -> HandOver:
        """Class the answer to :meth:`send_request`; it must never raise, whatever the body.

        Accepted only where the provider's own document says so; refused only where the answer
        proves that the provider has not kept the text; else unknown. Only ``PUSHED`` providers.
        """
        raise NotImplementedError(f"{self.label} is not {Way.PUSHED}")

    def parse_inbound(self, request: InboundRequest) -> InboundSms:
        """The text that the provider brings to its own inbound address.

        Raises :class:`UserError` where the request is none of the provider's, and where it has no
        text, not even an empty one: to take that for an empty text would lose what was meant.
        Other missing parts are no error. Only providers with an address of their own.
        """
        raise NotImplementedError(f"{self.label} has no inbound address of its own")

    def parse_report(self, message_uuid: UUID, request: InboundRequest) -> DeliveryReport:
        """The delivery report in a request to the ``report_url`` that the text carried.

        Raises :class:`UserError` where it is none. Only providers that report.
        """
        raise NotImplementedError(f"{self.label} does not report")

    def set_up(self, *, base_url: str, interface_id: int, key: str) -> Sequence[SetUpLine]:
        """What the operator enters at the provider so that texts reach us, with the clear key.

        The default is the generic inbound address, which every interface has but those of
        ``DEVICES``: these have no key, and a line for each address that a device is given.
        """
        return [
            SetUpLine(
                "Inbound address (GET or POST: number, message, uuid)",
                f"{base_url}/interface/send/{interface_id}?key={key}",
            )
        ]
