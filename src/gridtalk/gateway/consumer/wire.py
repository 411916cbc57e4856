"""The consumers' language: a table of words, looked up exactly. Pure.

Source: ``spec/gateway.md`` 2. :func:`parse_command` says what was asked, never whether it may be
done: pins, tokens and numbers come out as they were typed.
"""

from dataclasses import dataclass

from gridtalk.gateway.meter import wire as meter_wire
from gridtalk.gateway.meter.wire_types import GatewayPing

#: For each action its word in each language, and its digit.
WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "balance": {"en": ("bal",), "fr": ("solde",), "sw": ("salio",), "": ("2",)},
    "add_credit": {"en": ("add",), "fr": ("recharge",), "sw": ("ongeza",), "": ("9",)},
    "turn_on": {"": ("on", "1"), "sw": ("washa",)},
    "turn_off": {"": ("off", "0"), "sw": ("zima",)},
    "set_contact": {"en": ("prim",), "fr": ("tel",), "sw": ("simu",), "": ("4",)},
    "usage": {"en": ("use",), "fr": ("conso",), "sw": ("matumizi",), "": ("3",)},
    "language": {"en": ("lang",), "fr": ("langue",), "sw": ("lugha",), "": ("5",)},
    "help": {"en": ("help",), "fr": ("aide",), "sw": ("msaada",), "": ("?",)},
}
ACTIONS = tuple(WORDS)

#: The name of the second argument, where an action has one.
SECOND_ARGUMENT = {"add_credit": "token", "set_contact": "phone", "language": "code"}
#: Whose parts after the pin are one: numbers and tokens are often typed in groups.
_JOINED = frozenset({"add_credit", "set_contact"})
_SEPARATORS = str.maketrans(dict.fromkeys(".,;#*-", " "))


def _lookup_table() -> dict[str, tuple[str, str]]:
    table: dict[str, tuple[str, str]] = {}
    for action, languages in WORDS.items():
        for lang, words in languages.items():
            for word in words:
                if word in table:
                    raise ValueError(f"the word {word} means {table[word][0]} and {action}")
                table[word] = (action, lang)
    return table


_ACTION_OF = _lookup_table()


@dataclass(frozen=True, slots=True)
class Command:
    """Something to do. ``argument`` is what :data:`SECOND_ARGUMENT` names: token, phone or code.

    ``lang`` is the language that the word belongs to, empty where it is a digit or common to
    several; answers go by the account's language, not by this.
    """

    action: str
    pin: str | None = None
    argument: str | None = None
    lang: str = ""


@dataclass(frozen=True, slots=True)
class Hint:
    """A known word without all its arguments."""

    action: str
    lang: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """No command at all."""


ConsumerMessage = Command | Hint | GatewayPing | Unknown


def parse_command(text: str) -> ConsumerMessage:
    """What a consumer's text asks for. Never raises, whatever the text.

    The parts stand between runs of ``. , ; # * -`` and white space; the first is looked up exactly,
    without regard to case. A ping in the meters' manner is answered to everybody, so it is known
    here too.
    """
    if "gateway-ping" in text.lower():
        message = meter_wire.parse(text)
        if isinstance(message, GatewayPing):
            return message
    parts = text.translate(_SEPARATORS).split()
    # ASCII alone: lower() would make a K of the Kelvin sign.
    word = parts[0].lower() if parts and parts[0].isascii() else ""
    if word not in _ACTION_OF:
        return Unknown()
    action, lang = _ACTION_OF[word]
    if action == "help":
        return Command(action, lang=lang)
    arguments = parts[1:]
    if len(arguments) < (2 if action in SECOND_ARGUMENT else 1):
        return Hint(action, lang)
    if action in _JOINED:
        return Command(action, arguments[0], "".join(arguments[1:]), lang)
    return Command(action, arguments[0], arguments[1] if action in SECOND_ARGUMENT else None, lang)
