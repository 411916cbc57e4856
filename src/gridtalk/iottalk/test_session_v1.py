"""The control channel of v1, with a device that polls and a network that loses."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridtalk.iottalk.session_v1 import LAST_TURN, TURN, control_answer, control_samples

BEGAN = datetime(2026, 3, 4, tzinfo=UTC)
NAMES = ["Dummy_Sensor", "Dummy_Control"]
SELECT: Any = ["SET_DF_STATUS", {"cmd_params": ["11"]}]
RESUME: Any = ["RESUME", {"cmd_params": []}]


class Device:
    """What the usual client does: obey the newest sample where its time is not the last one."""

    def __init__(self, *, answers: bool = True) -> None:
        self.answers = answers
        self.last_time: datetime | None = None
        self.state = "SUSPEND"
        self.states = ["new", "new"]

    def polls(self, now: datetime, *, arrives: bool = True, heard: bool = True) -> None:
        [(time, command), *_] = control_samples(
            df_count=2, states=self.states, registered_at=BEGAN, now=now
        )
        if not arrives or time == self.last_time:
            return
        self.last_time = time
        if command[0] == "RESUME":
            self.state = "RESUME"
        elif self.answers and heard:
            response = ["SET_DF_STATUS_RSP", {"cmd_params": command[1]["cmd_params"]}]
            chosen = control_answer(df_list=NAMES, values=response)
            assert chosen == dict.fromkeys(NAMES, True)
            self.states = ["ok", "ok"]


def polls(device: Device, *, seconds: int, losses: list[bool] | None = None) -> None:
    for number, second in enumerate(range(2, seconds, 2)):
        lost = losses is not None and number < len(losses) and losses[number]
        device.polls(BEGAN + timedelta(seconds=second), arrives=not lost)


def test_the_usual_way_is_short() -> None:
    device = Device()
    polls(device, seconds=5)
    assert (device.state, device.states) == ("RESUME", ["ok", "ok"])


def test_one_that_never_answers_is_left_running() -> None:
    device = Device(answers=False)
    polls(device, seconds=300)
    assert device.state == "RESUME"


@given(st.lists(st.booleans(), max_size=25))
def test_whatever_is_lost_it_runs_in_the_end(losses: list[bool]) -> None:
    device = Device()
    polls(device, seconds=80, losses=losses)
    assert device.state == "RESUME"


def test_commands_and_their_turns() -> None:
    def at(seconds: float) -> tuple[datetime, Any]:
        now = BEGAN + timedelta(seconds=seconds)
        [sample] = control_samples(df_count=2, states=["new", "ok"], registered_at=BEGAN, now=now)
        return sample

    assert at(0) == at(4.9) == (BEGAN, SELECT)
    assert at(-3) == (BEGAN, SELECT)
    assert at(5) == (BEGAN + TURN, RESUME)
    assert at(10) == (BEGAN + 2 * TURN, SELECT)
    assert at(3600) == (BEGAN + LAST_TURN * TURN, RESUME)


def test_after_the_answer_resume_stays_the_newest() -> None:
    samples = control_samples(df_count=2, states=["ok", "error"], registered_at=BEGAN, now=BEGAN)
    assert [command for _, command in samples] == [RESUME, SELECT]
    assert samples[0][0] > samples[1][0]


@pytest.mark.parametrize(
    ("label", "values", "selected"),
    [
        ("flags", ["SET_DF_STATUS_RSP", {"cmd_params": ["10"]}], [True, False]),
        ("none, as older clients", ["SET_DF_STATUS_RSP", {"cmd_params": []}], [True, True]),
        ("flags alone", ["SET_DF_STATUS_RSP", ["01"]], [False, True]),
        ("flags as text", ["SET_DF_STATUS_RSP", {"cmd_params": "01"}], [False, True]),
        ("too few", ["SET_DF_STATUS_RSP", {"cmd_params": ["0"]}], [False, True]),
        ("too many", ["SET_DF_STATUS_RSP", {"cmd_params": ["00000"]}], [False, False]),
        ("nonsense", ["SET_DF_STATUS_RSP", 7], [True, True]),
        ("alone", ["SET_DF_STATUS_RSP"], [True, True]),
        ("another answer", ["RESUME_RSP", ["OK"]], None),
        ("nothing", [], None),
    ],
)
def test_answers(label: str, values: list[Any], selected: list[bool] | None) -> None:
    found = control_answer(df_list=NAMES, values=values)
    assert (None if found is None else [found[name] for name in NAMES]) == selected
