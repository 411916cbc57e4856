"""The control channel of a v1 device (spec/iottalk.md, v1, "Control"): pure, and without memory.

The device polls, and acts on the newest command when its time is not that of the last one. An
answer of ours can get lost on the way, so as long as the device has not answered SET_DF_STATUS, it
and RESUME take turns, with a new time each; then RESUME stays. A device that never answers is left
at RESUME after a minute.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

#: A turn outlasts two polls of the usual client.
TURN = timedelta(seconds=5)
#: An odd one: RESUME.
LAST_TURN = 11
#: States of a feature of which the device has said something.
ANSWERED = frozenset({"ok", "error"})
SWITCHED_OFF = "switched off by the device"

Command = list[Any]
Sample = tuple[datetime, Command]


def control_samples(
    *, df_count: int, states: Collection[str], registered_at: datetime, now: datetime
) -> list[Sample]:
    """What ``GET /<mac>/__Ctl_O__`` gives, newest first.

    ``df_count`` is the length of the device's ``df_list``; ``states`` are its features'.
    """
    select = _command("SET_DF_STATUS", "1" * df_count)
    resume = _command("RESUME")
    first = [(registered_at, select)]
    if all(state in ANSWERED for state in states):
        return [(registered_at + timedelta(microseconds=1), resume), *first]
    turn = min(max(now - registered_at, timedelta()) // TURN, LAST_TURN)
    return [(registered_at + turn * TURN, resume if turn % 2 else select)]


def control_answer(*, df_list: Sequence[str], values: Sequence[Any]) -> Mapping[str, bool] | None:
    """Which features the device has selected, by what it put to ``__Ctl_I__``.

    None where that is no ``SET_DF_STATUS_RSP``. Without flags (some clients give none), or with
    fewer than it has features, the others count as selected.
    """
    if not values or values[0] != "SET_DF_STATUS_RSP":
        return None
    flags = _flags(values[1] if len(values) > 1 else None)
    return {name: flags[n : n + 1] != "0" for n, name in enumerate(df_list)}


def _command(name: str, *params: str) -> Command:
    return [name, {"cmd_params": list(params)}]


def _flags(given: Any) -> str:
    """The flags of ``{"cmd_params": ["10"]}``; clients also send ``["10"]``, or nothing."""
    params = given.get("cmd_params") if isinstance(given, dict) else given
    if isinstance(params, list) and params:
        params = params[0]
    return params if isinstance(params, str) else ""
