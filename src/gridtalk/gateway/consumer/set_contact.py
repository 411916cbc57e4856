"""Change the account's phone number."""

from datetime import timedelta

from gridtalk.core import phones
from gridtalk.core.errors import UserError
from gridtalk.gateway.consumer.base import ConsumerCommand, Request
from gridtalk.grid.services import account_phone_set, account_phone_wish, account_phone_wished

ASKED_EVERY = timedelta(hours=1)


class SetContact(ConsumerCommand):
    """A pin alone must not steal an account: a stranger's wish waits for the present phone.

    The present phone confirms by sending the same text, which from there is a plain change.
    """

    action = "set_contact"

    def run(self, request: Request) -> str:
        """Change it, or ask the present phone."""
        region = request.incoming.communication_interface.region
        try:
            phone = phones.parse(request.argument, region=region)
        except UserError:
            request.answer("contact_invalid")
            return "bad number"
        account = request.account()
        sender = request.incoming.number
        if phone == account.phone:
            request.answer("contact_same", phone=phone)
            return "contact unchanged"
        if account.phone and sender != account.phone:
            # Each question is a text that somebody pays: the same wish is asked once an hour.
            if not account_phone_wished(account=account, phone=phone, within=ASKED_EVERY):
                account_phone_wish(account=account, phone=phone, asked_by=sender)
                request.answer("contact_ask", number=account.phone, phone=phone)
            request.answer("contact_waits")
            return "contact asked"
        old = account_phone_set(account=account, phone=phone)
        request.answer("contact_changed", old=old or "-", new=phone)
        if phone != sender:
            request.answer("contact_changed", number=phone, old=old or "-", new=phone)
        return "contact changed"
