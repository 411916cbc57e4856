"""What a text means, as the story tells it."""

import io
from datetime import datetime

import pytest

from gridtalk.demo.network import Carried
from gridtalk.demo.telling import Teller, meaning


def up(text: str) -> Carried:
    return Carried("up", "+256771", "+256770", text, "1")


def down(text: str) -> Carried:
    return Carried("down", "+256770", "+256771", text, "")


@pytest.mark.parametrize(
    ("carried", "told"),
    [
        (up("bal 234567"), "asks for the balance"),
        (up("ongeza 234567"), "redeems a token, but something is missing"),
        (up("hello"), ""),
        (up("Kitobo online"), "the meter has power again"),
        (
            up("(l76ZE0#E,36I,894,3U3Y#F,96,7N2,1IUL)"),
            (
                "hourly report · circuit 214: 1069.6 Wh, 1789.90 left · "
                "circuit 215: 990.2 Wh, 710.85 left, off"
            ),
        ),
        (
            up("(job=delete&jobid=7&status=1&cr=20.5&ts=20261122100000)"),
            "job 7 is done, on, credit now 20.50",
        ),
        (
            up("(job=alert&cid=192.168.1.201&alert=nocw)"),
            "alert · credit of circuit 201 is used up: the meter switched it off",
        ),
        (up("(job=alert&alert=md)"), "alert · md"),
        (
            up("(pcu#2026112206#1.5,2,3,48.01,5,6,7,8)"),
            "power unit · 1.5 kWh from the sun so far, battery at 48.01 V",
        ),
        (up("(job=nonsense)"), "not understood: job is “nonsense”"),
        (down("(job=cr&jobid=3&cid=192.168.1.202&amt=500.0)"), "job 3: add 500.00 to circuit 202"),
        (down("(job=mping&jobid=4)"), "job 4: are you there?"),
        (down("account 234567: credit 20.00"), ""),
    ],
    ids=lambda value: value.text if isinstance(value, Carried) else "",
)
def test_meaning(carried: Carried, told: str) -> None:
    assert meaning(carried).startswith(told)
    assert bool(meaning(carried)) is bool(told)


def test_lines_are_plain_where_the_output_is_no_terminal() -> None:
    output = io.StringIO()
    teller = Teller(
        names={"256771": "Amina", "256770": "Gridtalk"},
        time=lambda: datetime(2026, 11, 23, 18, 5),  # noqa: DTZ001  village time
        output=output,
    )
    teller.text(up("bal\n 234567"))
    teller.happened("the light goes out")
    teller.text(up("x" * 300))
    lines = output.getvalue().splitlines()
    assert lines[0] == "Mon 18:05           Amina → Gridtalk        bal 234567"
    assert lines[1].strip() == "asks for the balance"
    assert lines[2] == "Mon 18:05 · the light goes out"
    assert len(lines[3]) < 155
    assert "\x1b" not in output.getvalue()
