"""The generic inbound address: what any small program, and the netbook bridge, can post. Pure.

Source: providers.md, "Generic inbound" and "Netbook". A form or a query ``number`` with ``message``
or ``text`` and perhaps ``uuid``; or JSON ``{number, message}`` or ``{from, text, uuid, time}``.
"""

from gridtalk.core.errors import UserError
from gridtalk.core.texts import decoded
from gridtalk.messaging.wire import (
    InboundRequest,
    InboundSms,
    first_field,
    read_time,
    request_fields,
)


def parse_inbound(request: InboundRequest) -> InboundSms:
    """The text in a request; a missing number is empty (a null one in JSON too).

    A ``+`` of the number which a query turned into a space stays a space in front: the reader of
    phone numbers understands it. Raises :class:`UserError` where a JSON body is none, and where
    there is no text at all, not even an empty one: its sender means something else than we read.
    """
    fields = request_fields(request)
    if not fields.keys() & {"message", "text"}:
        raise UserError("there is no text in it: send the fields number and message")
    return InboundSms(
        number=decoded(first_field(fields, "number", "from")),
        text=decoded(first_field(fields, "message", "text")),
        provider_id=decoded(first_field(fields, "uuid")).strip(),
        sent_at=read_time(decoded(first_field(fields, "time"))),
    )
