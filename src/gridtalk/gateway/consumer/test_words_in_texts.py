"""What our texts tell people to send is what the command table understands."""

import re

import pytest

from gridtalk.gateway.consumer import wire
from gridtalk.gateway.consumer.wire import Command, Hint, parse_command
from gridtalk.messaging.texts import KEYS, LANGUAGES, render

PIN = "23456789"
VALUES: dict[str, object] = {
    "account": PIN,
    "phone": "+22370008888",
    "old": "-",
    "new": "+22370008888",
    "credit": "5.00",
    "status": 1,
    "wh": 3,
    "time": "now",
}
WITH_ARGUMENTS = tuple(action for action in wire.ACTIONS if action != "help")


def commands(text: str) -> list[str]:
    """What stands in a text as ``word.something``."""
    return [found.rstrip(".,") for found in re.findall(r"[a-z]+\.[A-Z0-9]\S*", text)]


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("action", WITH_ARGUMENTS)
def test_hint(lang: str, action: str) -> None:
    pattern, example = commands(render(lang, f"hint_{action}"))
    assert isinstance(parse_command(pattern), Command)
    message = parse_command(example)
    assert isinstance(message, Command)
    assert (message.action, message.pin) == (action, PIN)
    assert message.lang in {lang, ""}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_help_names_every_command_once(lang: str) -> None:
    *patterns, example = commands(render(lang, "help"))
    messages = [parse_command(pattern) for pattern in patterns]
    assert not any(isinstance(message, Hint) for message in messages)
    actions = [message.action for message in messages if isinstance(message, Command)]
    assert sorted(actions) == sorted(WITH_ARGUMENTS)
    assert isinstance(parse_command(example), Command)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("key", KEYS)
def test_every_command_in_a_text_is_understood(lang: str, key: str) -> None:
    for typed in commands(render(lang, key, **VALUES)):
        message = parse_command(typed)
        assert isinstance(message, Command), typed
        assert message.lang in {lang, ""}, typed


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_present_phone_confirms_with_what_it_is_told_to_send(lang: str) -> None:
    (typed,) = commands(render(lang, "contact_ask", **VALUES))
    message = parse_command(typed)
    assert isinstance(message, Command)
    assert (message.action, message.pin, message.argument) == (
        "set_contact",
        PIN,
        VALUES["phone"],
    )
