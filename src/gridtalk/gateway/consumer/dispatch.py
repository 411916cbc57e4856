"""A consumer's text: understood, allowed, run, answered."""

from gridtalk.gateway import limits
from gridtalk.gateway.consumer.base import Request
from gridtalk.gateway.consumer.catalogue import BY_ACTION
from gridtalk.gateway.consumer.wire import Command, Hint, parse_command
from gridtalk.gateway.replies import language, reply
from gridtalk.grid.selectors import circuit_get_by_pin, language_of_number
from gridtalk.messaging.models import IncomingMessage


def only_asks(text: str) -> bool:
    """Whether a consumer's text changes nothing and locks nothing, whatever its answer will be."""
    parsed = parse_command(text)
    if not isinstance(parsed, Command) or parsed.action == "help":
        return True
    return BY_ACTION[parsed.action].only_asks


def consumer_message_handle(*, incoming: IncomingMessage) -> str:
    """Do what the text asks for and queue the answers; returns the outcome. Assumes a transaction.

    Source: gateway.md 2. Wrong pins and tokens are limited per number: beyond, nothing is looked up
    and the number is told once an hour to wait.
    """
    interface = incoming.communication_interface
    number = incoming.number
    parsed = parse_command(incoming.text)
    if isinstance(parsed, Hint):
        _reply_to_number(incoming, f"hint_{parsed.action}")
        return "hint"
    if not isinstance(parsed, Command):
        return _help(incoming)
    if parsed.action == "help":
        _reply_to_number(incoming, "help")
        return "help"
    if limits.guesses_used_up(number=number):
        if not limits.told_lately(number=number, outcome="locked out"):
            _reply_to_number(incoming, "locked_out")
            return "locked out"
        return "locked out, silent"
    circuit = circuit_get_by_pin(pin=parsed.pin or "")
    if circuit is None or circuit.is_main:
        _reply_to_number(incoming, "account_unknown")
        return "wrong pin"
    request = Request(
        incoming=incoming, command=parsed, circuit=circuit, lang=language(circuit, interface)
    )
    return BY_ACTION[parsed.action].run(request)


def _reply_to_number(incoming: IncomingMessage, key: str) -> None:
    """Answer where no account was named: in the language of the account with that phone."""
    lang = language_of_number(number=incoming.number) or incoming.communication_interface.lang
    reply(incoming=incoming, lang=lang, key=key)


def _help(incoming: IncomingMessage) -> str:
    """The help text, at most once an hour per number: two machines must not talk for ever."""
    if limits.told_lately(number=incoming.number, outcome="unknown"):
        return "unknown, silent"
    _reply_to_number(incoming, "help")
    return "unknown"
