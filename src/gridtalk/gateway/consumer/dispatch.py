"""A consumer's text: understood, allowed, run, answered."""

from gridtalk.gateway import limits
from gridtalk.gateway.consumer.base import Request
from gridtalk.gateway.consumer.catalogue import BY_ACTION
from gridtalk.gateway.consumer.wire import Command, Hint, parse_command
from gridtalk.gateway.replies import language, reply
from gridtalk.grid.selectors import circuit_get_by_pin, language_of_number
from gridtalk.messaging.models import IncomingMessage


def consumer_message_handle(*, incoming: IncomingMessage) -> str:
    """Do what the text asks for and queue the answers; returns the outcome. Assumes a transaction.

    Source: gateway.md 2. Wrong pins and tokens are limited per number: beyond, nothing is looked up
    and the number is told once an hour to wait.
    """
    interface = incoming.communication_interface
    number = incoming.number
    lang = language_of_number(number=number) or interface.lang
    parsed = parse_command(incoming.text)
    if isinstance(parsed, Hint):
        reply(incoming=incoming, lang=lang, key=f"hint_{parsed.action}")
        return "hint"
    if not isinstance(parsed, Command):
        return _help(incoming, lang)
    if parsed.action == "help":
        reply(incoming=incoming, lang=lang, key="help")
        return "help"
    if limits.guesses_used_up(number=number):
        if not limits.told_lately(number=number, outcome="locked out"):
            reply(incoming=incoming, lang=lang, key="locked_out")
            return "locked out"
        return "locked out, silent"
    circuit = circuit_get_by_pin(pin=parsed.pin or "")
    if circuit is None or circuit.is_main:
        reply(incoming=incoming, lang=lang, key="account_unknown")
        return "wrong pin"
    request = Request(
        incoming=incoming, command=parsed, circuit=circuit, lang=language(circuit, interface)
    )
    return BY_ACTION[parsed.action].run(request)


def _help(incoming: IncomingMessage, lang: str) -> str:
    """The help text, at most once an hour per number: two machines must not talk for ever."""
    if limits.told_lately(number=incoming.number, outcome="unknown"):
        return "unknown, silent"
    reply(incoming=incoming, lang=lang, key="help")
    return "unknown"
