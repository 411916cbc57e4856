"""A Kannel that is told to post, and one whose address does not say the text."""

from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.scenario

#: label, text, whether the phone writes UCS-2
TEXTS = [
    ("a report", "(l76ZE0#E,36I,894,3U3Y;F,96,7N2,1IUL#)", False),
    ("UCS-2", "₦500 中文 مرحبا 😀", True),
    ("reserved characters", "a+b & c=d 50% #1", False),
    ("what looks like a form", "from=1&text=2", False),
    ("what looks like JSON", '{"number": "1", "message": "2"}', False),
    ("nothing", "", False),
]


@pytest.fixture(scope="module")
def posting(world: Any) -> Iterator[None]:
    """Kannel posts texts, its id of each in the address, as long as the module's tests run."""
    address, _, _ = world.kannel.get_url.partition("&")
    world.kannel.stop()
    world.kannel.start(post_url=f"{address}&id=%I")
    yield
    world.kannel.stop()
    world.kannel.start()


@pytest.mark.usefixtures("posting")
@pytest.mark.parametrize(
    ("text", "ucs2"), [row[1:] for row in TEXTS], ids=[row[0] for row in TEXTS]
)
def test_a_posted_text_is_stored_once_as_it_was_said(
    world: Any, eventually: Any, text: str, ucs2: bool
) -> None:
    number = world.number_new()
    world.air.say(number, text, ucs2=ucs2)
    eventually(lambda: [row[0] for row in world.outcomes(number)], [text])
    # An answer to it has the same number: the help text comes beside it at any moment.
    stored = "SELECT provider_id FROM messages WHERE number = %s AND kind = 'incoming'"
    assert len(world.one(stored, number)) == 36


@pytest.mark.usefixtures("posting")
def test_a_posted_question_is_answered(world: Any) -> None:
    meter = world.meter_new()
    world.air.say(meter.people[0], f"bal.{meter.pins[0]}")
    assert world.air.await_text(meter.people[0], f"Account {meter.pins[0]}")


def test_a_text_that_the_address_does_not_say_is_shown_and_not_taken_for_an_empty_one(
    world: Any, eventually: Any
) -> None:
    number = world.number_new()
    noted = "SELECT text FROM system_logs WHERE text LIKE '%there is no text%'"
    world.kannel.stop()
    world.kannel.start(get_url=world.kannel.get_url.replace("&text=", "&txt="))
    try:
        world.air.say(number, "hello")
        eventually(lambda: len(world.rows(noted)), 1)
    finally:
        world.kannel.stop()
        world.kannel.start()
    line = world.one(noted)
    assert "txt=hello" in line
    assert "key=" not in line
    assert world.outcomes(number) == []
