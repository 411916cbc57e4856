"""The judge itself: a good story passes, and each thing that may go wrong is named."""

import copy
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from judge import wrongs

GOOD: dict[str, Any] = {
    "number": 0,
    "found": {
        "story_s": 1.0,
        "applied_at_meter": ["500.0"],
        "jobs": [[7, "done", "500.00"]],
        "delivered_rows": 1,
        "token": "used",
        "status": [1, 1],
        "credit": ["999.50", "999.50"],
        "readings": [4, 4],
        "readings_awaited": 4,
        "person_heard": [
            "Account 2: credit 1.00. Last report 23 Nov 2026 09:00.",
            "Account 2: power is now off. Credit 1.00.",
            "Account 2: power is now on. Credit 1.00.",
        ],
        "neighbour_heard": ["Account 2: your token was added. Power is on, credit 999.50."],
        "texts": [{"accepted": True, "rows": [[True, "add credit", ""]]}],
        "verify": [],
        "value": "500",
    },
}


def test_a_good_story() -> None:
    assert wrongs(GOOD) == []


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"story_error": "off was never done"}, "not played to its end"),
        ({"applied_at_meter": []}, "the meter did not add"),
        ({"applied_at_meter": ["500.0", "500.0"]}, "the meter did not add"),
        ({"jobs": [[7, "unconfirmed", "500.00"]]}, "exactly one credit job"),
        ({"jobs": [[7, "done", "500.00"], [8, "done", "500.00"]]}, "exactly one credit job"),
        ({"delivered_rows": 2}, "deliver the credit exactly once"),
        ({"token": "pending"}, "the token is not used"),
        ({"status": [0, 1]}, "not on"),
        ({"credit": ["499.50", "999.50"]}, "do not agree on the credit"),
        ({"readings": [3, 3]}, "every reading"),
        ({"readings": [5, 4]}, "every reading"),
        ({"verify": ["a token and its job agree: token 3"]}, "not clean"),
        ({"texts": [{"accepted": False, "rows": []}]}, "never accepted"),
        ({"texts": [{"accepted": True, "rows": []}]}, "stored 0 times"),
        ({"texts": [{"accepted": True, "rows": [[False, "", ""]]}]}, "was not handled"),
        ({"texts": [{"accepted": True, "rows": [[True, "failed", ""]]}]}, "was not handled"),
        ({"neighbour_heard": []}, "nobody heard"),
        ({"person_heard": []}, "did not hear the balance"),
    ],
)
def test_a_bad_story(changed: dict[str, Any], named: str) -> None:
    story = copy.deepcopy(GOOD)
    story["found"] |= changed
    assert named in " · ".join(wrongs(story))
