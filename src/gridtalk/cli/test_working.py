"""The room that a worker has."""

import pytest

from gridtalk.cli.working import _checks


@pytest.mark.parametrize(
    ("label", "queues", "awaited"),
    [
        ("all queues", None, 2),
        ("checks alone", ["checks"], 2),
        ("both", ["drains", "checks"], 2),
        ("no checks", ["drains"], 0),
    ],
)
def test_checks_take_no_room_from_messages(
    label: str, queues: list[str] | None, awaited: int, settings: object
) -> None:
    settings.CHECKS_AT_ONCE = 2  # type: ignore[attr-defined]
    assert _checks(queues) == awaited, label
