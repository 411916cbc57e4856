"""Long texts, alphabets, and everything that no meter and no consumer should send."""

from typing import Any

import pytest

pytestmark = pytest.mark.scenario

LONG = "Power will be off on Sunday from 08:00 to 14:00 for work on the line. " * 6
#: label, text, SMS that it takes
OUTBOUND = [
    ("GSM-7 in three parts", LONG[:400], 3),
    ("the last character of one part", "x" * 160, 1),
    ("one more than one part", "x" * 161, 2),
    ("the extension table", "€[]{}\\^|~ 20€", 1),
    ("accents of GSM-7", "crédit épuisé à Ségou, ça va", 1),
    ("naira", "₦500 added", 1),
    ("Chinese", "您的餘額是 500 元", 1),
    ("Arabic", "تمت إضافة الرصيد: 500", 1),
    ("beyond the basic plane", "done 😀", 1),
    ("UCS-2 in three parts", "₦" + "é中文" * 50, 3),
]


@pytest.fixture(scope="module")
def sent(world: Any) -> dict[str, str]:
    """All those texts on their way, each to a phone of its own: text → number."""
    texts = {text: world.number_new() for _, text, _ in OUTBOUND}
    world.service(
        "send", interface=world.interface, texts=[[to, text] for text, to in texts.items()]
    )
    return texts


@pytest.mark.parametrize(
    ("text", "parts"), [row[1:] for row in OUTBOUND], ids=[row[0] for row in OUTBOUND]
)
def test_a_text_arrives_whole(
    world: Any, sent: dict[str, str], eventually: Any, text: str, parts: int
) -> None:
    number = sent[text]
    assert world.air.await_text(number, text[:1]) == text
    assert world.air.parts[text] == parts
    assert world.one("SELECT segments FROM messages WHERE number = %s", number) == parts
    eventually(lambda: world.messages(number), [("outgoing", "delivered", text)])


def test_a_question_in_three_parts_is_one_question(world: Any, eventually: Any) -> None:
    meter = world.meter_new()
    person, pin = meter.people[0], meter.pins[0]
    report = "(l76ZE0#" + ";".join(
        f"{place},36I,894,3U3Y" for place in ("1", "2", "3", "4", "5", "6", "7", "8")
    ) + "#)"  # fmt: skip
    text = report.replace("#)", "#" + ";".join(["9,96,7N2,1IUL"] * 16) + ")")
    world.air.say_in_parts(person, [text[:150], text[150:300], text[300:]])
    eventually(lambda: [row[0] for row in world.outcomes(person)], [text])
    # A consumer's own long text: the command stands at its beginning, the rest is chatter.
    world.air.say_in_parts(person, [f"bal.{pin}", " ", " "])
    assert world.air.await_text(person, f"Account {pin}: credit 0.00")
    assert [text for text, *_ in world.outcomes(person)][1:] == [f"bal.{pin}  "]


@pytest.mark.parametrize(
    ("text", "ucs2"),
    [
        ("₦500 中文 مرحبا 😀", True),
        ("é à ç ü", True),
        ("€[]{}\\^|~", False),
        ("é à Ä ñ £ ß", False),
        ("a+b & c=d 50% #1", False),
        ("two  spaces   inside", False),
    ],
    ids=["UCS-2", "UCS-2 of latin", "extension table", "GSM-7", "reserved characters", "spaces"],
)
def test_a_phone_s_alphabet_is_read(world: Any, eventually: Any, text: str, ucs2: bool) -> None:
    number = world.number_new()
    world.air.say(number, text, ucs2=ucs2)
    eventually(lambda: world.outcomes(number), [(text, "unknown", "")])
    assert world.air.await_text(number, "Send bal.ACCOUNT")


def test_a_command_in_ucs2_is_understood(world: Any) -> None:
    meter = world.meter_new(lang="fr")
    person, pin = meter.people[0], meter.pins[0]
    world.air.say(person, f"bal.{pin}", ucs2=True)
    answer = world.air.await_text(person, pin)
    assert "crédit" in answer or "solde" in answer.lower()


#: label, the fake SMSC's words after the two numbers, the text as stored, outcome, error, answered
ODD = [
    ("a meter's report from a stranger", b"text (l76ZE0#E,36I,894,3U3Y#)",
     "(l76ZE0#E,36I,894,3U3Y#)", "refused",
     "a meter's message, but no meter has this number: enter the number at the meter", False),
    ("a meter's acknowledgement from a stranger", b"text (job=delete&jobid=1&status=1)",
     "(job=delete&jobid=1&status=1)", "refused",
     "a meter's message, but no meter has this number: enter the number at the meter", False),
    ("an account that nobody has", b"text bal.22222222", "bal.22222222", "wrong pin", "", True),
    ("an empty text", b"text ", "", "unknown", "", True),
    ("octets that are no UTF-8", b"text bal \xff\xfe\xe9", "bal ���", "wrong pin", "", True),
    ("a null character", b"text bal\0 12", "bal\ufffd 12", "unknown", "", True),
    ("UCS-2 with half a character", b"ucs2 %20%A6%00", "₦", "unknown", "", True),
    ("half a surrogate pair", b"ucs2 %D8%3D%00a", "\ufffda", "unknown", "", True),
    ("8-bit data", b"data %00%01%02%ff", "\ufffd\x01\x02\ufffd", "unknown", "", True),
    ("a text that never ends", b"text " + b"x" * 5000, "x" * 4096, "refused",
     "too long: 5000 characters", False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "stored", "outcome", "error", "answered"),
    [row[1:] for row in ODD],
    ids=[row[0] for row in ODD],
)
def test_an_odd_text_is_stored_and_has_a_defined_end(
    world: Any,
    watched: Any,
    eventually: Any,
    words: bytes,
    stored: str,
    outcome: str,
    error: str,
    answered: bool,
) -> None:
    number = world.number_new()
    before = len(watched.answers)
    world.air.line(f"{number} 444 ".encode() + words)
    eventually(lambda: [row[1] is not None for row in world.outcomes(number)], [True])
    ((text, became, why),) = world.outcomes(number)
    assert (text, became, why) == (stored, outcome, error)
    if answered:
        eventually(lambda: len(world.air.inbox(number)), 1)
    # Kannel is rid of it: one question, one answer, empty, or it would be sent to the phone.
    assert list(watched.answers.values())[before:] == [[(200, b"")]]
    assert len(world.outcomes(number)) == 1
    if not answered:
        assert world.air.inbox(number) == []


def test_a_name_as_sender_is_stored_and_not_answered(world: Any, eventually: Any) -> None:
    world.air.say("AIRTEL", "Win a phone!")
    eventually(lambda: world.outcomes("AIRTEL"), [("Win a phone!", "unknown", "")])
    assert [row[0] for row in world.messages("AIRTEL")] == ["incoming"]
    assert world.air.not_understood == []
