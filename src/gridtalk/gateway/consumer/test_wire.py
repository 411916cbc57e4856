"""The consumers' command table and its parsing."""

# Foreign letters and digits are what is tested.
# ruff: noqa: RUF001

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gridtalk.gateway.consumer import wire
from gridtalk.gateway.consumer.wire import Command, Hint, Unknown, parse_command
from gridtalk.gateway.meter.wire import GatewayPing


@pytest.mark.parametrize("action", wire.ACTIONS)
def test_every_word_of_every_action(action: str) -> None:
    languages = wire.WORDS[action]
    assert languages[""], "every action has a digit, a sign, or a word common to the languages"
    for lang, words in languages.items():
        for word in words:
            for typed in (word, word.upper(), word.title()):
                if action == "help":
                    assert parse_command(typed) == Command("help", lang=lang)
                    continue
                assert parse_command(typed) == Hint(action, lang)
                message = parse_command(f"{typed}.234567.x")
                assert isinstance(message, Command)
                assert (message.action, message.pin, message.lang) == (action, "234567", lang)
                assert message.argument == ("x" if action in wire.SECOND_ARGUMENT else None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bal.234567", Command("balance", "234567", lang="en")),
        (" bal.234567 ", Command("balance", "234567", lang="en")),
        ("*2*234567#", Command("balance", "234567")),
        ("solde 234567 merci", Command("balance", "234567", lang="fr")),
        ("BAL;;AbCdEf", Command("balance", "AbCdEf", lang="en")),
        ("bal\n234567\r\n", Command("balance", "234567", lang="en")),
        ("bal\u00a0234567", Command("balance", "234567", lang="en")),
        ("9.234567.12345678901", Command("add_credit", "234567", "12345678901")),
        (
            " add.234567 1234 5678 901",
            Command("add_credit", "234567", "12345678901", "en"),
        ),
        ("recharge-234567-1234-5678-901", Command("add_credit", "234567", "12345678901", "fr")),
        ("ongeza,234567", Hint("add_credit", "sw")),
        (
            "prim 234567 +223 70 00 88 88",
            Command("set_contact", "234567", "+22370008888", "en"),
        ),
        ("tel.234567.70-00-88-88", Command("set_contact", "234567", "70008888", "fr")),
        ("4.234567", Hint("set_contact")),
        ("lang.234567", Hint("language", "en")),
        ("lugha.234567.sw tafadhali", Command("language", "234567", "sw", "sw")),
        ("on", Hint("turn_on")),
        ("1", Hint("turn_on")),
        ("0 234567", Command("turn_off", "234567")),
        ("zima 234567", Command("turn_off", "234567", lang="sw")),
        ("use.234567", Command("usage", "234567", lang="en")),
        ("?", Command("help")),
        ("msaada please", Command("help", lang="sw")),
        (
            "(job=gateway-ping&meter-time=2011-09-07 12:34:56)",
            GatewayPing("2011-09-07 12:34:56"),
        ),
        ("(job=gateway-ping)", Unknown()),
        ("(job=pp&cid=192.168.1.201)", Unknown()),
        ("what is a gateway-ping", Unknown()),
        ("", Unknown()),
        ("...", Unknown()),
        ("office", Unknown()),
        ("online 234567", Unknown()),
        ("balance 234567", Unknown()),
        ("2234567", Unknown()),
        ("bal234567", Unknown()),
        ("234567.bal", Unknown()),
        ("(hello", Unknown()),
        ("hello", Unknown()),
        ("😀", Unknown()),
        ("😀 bal 234567", Unknown()),
        ("٢.234567", Unknown()),
        ("２.234567", Unknown()),
        ("ｂａｌ.234567", Unknown()),
        ("\u212aal", Unknown()),
        ("\x00bal.234567", Unknown()),
        ("bal.234\x00567", Command("balance", "234\x00567", lang="en")),
        ("bal.٢٣٤٥٦٧", Command("balance", "٢٣٤٥٦٧", lang="en")),
        ("bal.😀", Command("balance", "😀", lang="en")),
    ],
)
def test_parse_command(text: str, message: wire.ConsumerMessage) -> None:
    assert parse_command(text) == message


def test_a_megabyte() -> None:
    assert parse_command("x" * 1_000_000) == Unknown()
    assert parse_command("." * 1_000_000) == Unknown()
    joined = parse_command("add 234567" + " 1" * 500_000)
    assert isinstance(joined, Command)
    assert joined.argument == "1" * 500_000


@given(st.text() | st.text(".,;#*- \n\x00балaddon0123459?٢"))
@example("\ud800")
def test_arbitrary_text_never_raises(text: str) -> None:
    message = parse_command(text)
    assert isinstance(message, Command | Hint | GatewayPing | Unknown)


words = st.sampled_from([w for a in wire.WORDS.values() for ws in a.values() for w in ws])
separators = st.text(".,;#*- \n", min_size=1, max_size=4)
parts = st.text("23456789abcXYZ+", min_size=1, max_size=12)


@given(words, st.lists(parts, max_size=4), st.lists(separators, min_size=6, max_size=6))
def test_any_run_of_separators_does(word: str, arguments: list[str], runs: list[str]) -> None:
    typed = runs[5] + "".join(p + r for p, r in zip([word, *arguments], runs, strict=False))
    assert parse_command(typed) == parse_command(" ".join([word, *arguments]))
