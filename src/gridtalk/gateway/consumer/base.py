"""What a consumer's command must say of itself."""

from dataclasses import dataclass
from typing import Any, ClassVar

from gridtalk.gateway.consumer.wire import Command
from gridtalk.gateway.replies import reply
from gridtalk.grid.models import Account, Circuit
from gridtalk.messaging.models import IncomingMessage


@dataclass(frozen=True)
class Request:
    """A command with the circuit that its pin names, in the transaction that marks it handled."""

    incoming: IncomingMessage
    command: Command
    circuit: Circuit
    lang: str

    @property
    def argument(self) -> str:
        """The second argument; the grammar has seen to it that there is one where one is needed."""
        return self.command.argument or ""

    def account(self) -> Account:
        """The circuit's account; one is made for a circuit that never had any."""
        if self.circuit.account is None:
            # Two first texts at once make one account.
            locked = Circuit.objects.select_for_update(of=("self",), no_key=True).select_related(
                "account"
            )
            circuit = locked.get(pk=self.circuit.pk)
            if circuit.account is None:
                circuit.account = Account.objects.create(lang=self.lang)
                circuit.save(update_fields=["account"])
            self.circuit.account = circuit.account
        return self.circuit.account

    def answer(self, key: str, *, number: str = "", lang: str = "", **values: Any) -> None:
        """Queue a text to who asked (or to ``number``), about this circuit."""
        reply(
            incoming=self.incoming,
            lang=lang or self.lang,
            key=key,
            number=number,
            account=self.circuit.pin,
            **values,
        )


class ConsumerCommand:
    """One command. A new one is a file beside this one, a line in ``catalogue.py``, its words in
    ``wire.py`` and its texts in ``messaging/texts``.

    Stateless. :meth:`run` is called once for each message, inside the transaction that marks it
    handled: what it writes and what it answers stand or fall together. It never talks to a network.
    """

    #: The action's name in ``wire.WORDS``.
    action: ClassVar[str]
    #: Whether it only answers. Many of these share a transaction, so they must lock no row.
    only_asks: ClassVar[bool] = False

    def run(self, request: Request) -> str:
        """Do it, queue what is to be answered; returns the outcome that the message log shows.

        May raise a :class:`~gridtalk.core.errors.UserError` only where no text of ours says it
        better: its words then go to the operator's log, and nobody is answered.
        """
        raise NotImplementedError
