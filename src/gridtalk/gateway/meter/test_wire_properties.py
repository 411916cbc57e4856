"""Properties of the meters' parser: it never raises, and loses no entry."""

from string import ascii_letters, digits

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gridtalk.gateway.meter import wire
from gridtalk.gateway.meter.wire import MeterError, PrimaryLogs

# Foreign digits are what is tested.
# ruff: noqa: RUF001


def messages_in_grammar() -> st.SearchStrategy[str]:
    """Texts near the grammar, where a parser is most likely to stumble."""
    alphabet = digits + ascii_letters + "#;,()+-=&_ .\n\x00١é😀"
    anything = st.text(alphabet, max_size=60)
    return st.one_of(
        st.text(),
        anything,
        st.builds("(l{}#{}#{})".format, anything, anything, anything),
        st.builds("(l76ZE0#{}#{})".format, anything, anything),
        st.builds("(pcu#11062200#{})".format, anything),
        st.builds(
            "(job={}&{}={}&cid=192.168.1.201&ts=11010719&wh=1&tu=1&status=1&alert=lcw)".format,
            st.sampled_from(["pp", "delete", "alert", "alerts", "gateway-ping", "x"]),
            st.sampled_from(["jobid", "cr", "ts", "wh", "tu", "alert", "cid", "meter-time"]),
            anything,
        ),
    )


@given(messages_in_grammar())
@example("\ud800")
@example("(" * 1000)
@example("(l76ZE0#" + ";" * 1000 + "#)")
def test_arbitrary_text_never_raises(text: str) -> None:
    message = wire.parse(text)
    assert isinstance(wire.looks_like_meter(text), bool)
    if not isinstance(message, MeterError):
        assert wire.looks_like_meter(text)


@given(
    on=st.lists(st.text(digits + "ABZ,;- ", max_size=12), max_size=6),
    off=st.lists(st.text(digits + "ABZ,- ", max_size=12), max_size=6),
)
def test_every_entry_is_kept_or_reported(on: list[str], off: list[str]) -> None:
    sections = [";".join(on), ";".join(off)]
    message = wire.parse(f"(l76ZE0#{sections[0]}#{sections[1]})")
    assert isinstance(message, PrimaryLogs)
    count = sum(section.count(";") + 1 for section in sections if section.strip())
    assert len(message.entries) + len(message.errors) == count
    assert [error.entry for error in message.errors] == sorted(
        {error.entry for error in message.errors}
    )


@pytest.mark.parametrize(
    "text",
    [
        "(l76ZE0#" + "1" * 1_000_000,
        "a" * 1_000_000,
        " " * 1_000_000,
        "(" + "&" * 1_000_000 + "=",
        "x " * 500_000,
        "(l76ZE0#" + " " * 1_000_000 + "1,#)",
    ],
)
def test_a_megabyte_is_refused(text: str) -> None:
    message = wire.parse(text)
    assert isinstance(message, MeterError) or not getattr(message, "entries", ())
