"""Change the language of the account's texts."""

from gridtalk.gateway.consumer.base import ConsumerCommand, Request
from gridtalk.grid.services import account_language_set
from gridtalk.messaging.models import Language as Languages


class Language(ConsumerCommand):
    """``lang.<pin>.<code>``; confirmed in the new language."""

    action = "language"

    def run(self, request: Request) -> str:
        """Change it, or list the languages that there are."""
        code = request.argument.lower()
        if code not in Languages.values:
            request.answer("language_unknown")
            return "unknown language"
        account_language_set(account=request.account(), lang=code)
        request.answer("language_changed", lang=code)
        return "language changed"
