"""What an interface with a right key brings and nobody can read: each text has its line."""

import pytest
from django.test import Client

from gridtalk.core.models import SystemLog
from gridtalk.gateway import callers
from gridtalk.messaging.models import CommunicationInterface, IncomingMessage
from gridtalk.messaging.testing import KEY, kannel

pytestmark = pytest.mark.django_db
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def interface() -> CommunicationInterface:
    return kannel()


def bring(interface: CommunicationInterface, body: str, content_type: str = JSON) -> int:
    path = f"/interface/send/{interface.pk}?key={KEY}"
    return int(Client().post(path, body, content_type=content_type).status_code)


def lines() -> list[str]:
    return list(SystemLog.objects.order_by("id").values_list("text", flat=True))


def test_each_text_has_its_line(interface: CommunicationInterface) -> None:
    bodies = ['{"number": ', "[1, 2]", '{"number": "2"}', '{"number": "1"}']
    assert [bring(interface, body) for body in bodies] == [400] * 4
    for number in ("+22371111120", "+22371111121"):
        assert bring(interface, f"number=%2B{number[1:]}&message={'x' * 300_000}", FORM) == 413
    found = lines()
    assert len(found) == 6
    assert all(body in line for body, line in zip(bodies, found[:4], strict=True))
    assert "from +22371111120" in found[4]
    assert "from +22371111121" in found[5]
    assert IncomingMessage.objects.count() == 0


def test_the_same_again_has_no_second_line(interface: CommunicationInterface) -> None:
    for _ in range(3):
        assert bring(interface, "[1]") == 400
    assert len(lines()) == 1


def test_a_flood_is_cut_and_that_is_said(
    interface: CommunicationInterface, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callers, "MOST_NOTES", 3)
    for number in range(6):
        assert bring(interface, f"[{number}]") == 400
    found = lines()
    assert len(found) == 4
    assert "more than 3 in a minute" in found[3]
