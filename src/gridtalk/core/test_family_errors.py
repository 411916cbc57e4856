"""A family says clearly what is wrong with its list."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from gridtalk.core.families import Family


@pytest.mark.parametrize(
    ("label", "members", "says"),
    [
        ("two of one kind", ["jobs.TurnOn", "jobs.TurnOn"], "both of kind turn_on"),
        ("a base", ["jobs.Job"], "has no KIND"),
        ("a model of no family", ["grid.Meter"], "has no KIND"),
    ],
)
def test_a_wrong_list_is_an_error(label: str, members: list[str], says: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=says):
        Family("jobs.Job", members).kinds  # noqa: B018  it is read at first use


def test_a_member_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(LookupError):
        Family("jobs.Job", ["jobs.Fly"]).by_kind  # noqa: B018


def test_an_unknown_kind_names_those_that_there_are() -> None:
    family = Family("jobs.Job", ["jobs.TurnOff", "jobs.TurnOn"])
    with pytest.raises(ImproperlyConfigured, match=r"no jobs.Job of kind “fly”.*turn_on"):
        family.model("fly")
    assert family.model("turn_on").KIND == "turn_on"
