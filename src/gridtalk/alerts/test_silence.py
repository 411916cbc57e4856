"""Circuits that fall silent, and the mail about them."""

import smtplib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from pytest_django.fixtures import Settings

from gridtalk.alerts import silence, tasks
from gridtalk.alerts.conftest import Village, texts, village_make
from gridtalk.alerts.models import UnresponsiveCircuit
from gridtalk.alerts.silence import unresponsive_circuits_check
from gridtalk.core import clock
from gridtalk.core.models import SystemLog
from gridtalk.grid.models import Circuit, Meter
from gridtalk.grid.services import meter_retire
from gridtalk.users.models import Group, User

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=3)


def user_make(name: str, **facts: Any) -> User:
    group = facts.pop("group", None) or Group.objects.get(name="view")
    return User.objects.create_user(
        name, None, **{"email": f"{name}@example.org", "notify": True, "group": group, **facts}
    )


def heard(circuit: Circuit, at: datetime | None) -> None:
    Circuit.objects.filter(pk=circuit.pk).update(last_reported_at=at)


@pytest.mark.parametrize(
    ("label", "last", "circuit_facts", "meter_facts", "raised"),
    [
        ("silent for three hours", LONG_AGO, {}, {}, True),
        ("silent for a second too long", NOW - timedelta(hours=2, seconds=1), {}, {}, True),
        ("silent for just two hours", NOW - timedelta(hours=2), {}, {}, False),
        ("never reported", None, {}, {}, False),
        ("a retired circuit", LONG_AGO, {"retired_at": NOW}, {}, False),
        ("a meter that is not active", LONG_AGO, {}, {"active": False}, False),
        ("a retired meter", LONG_AGO, {}, {"retired_at": NOW}, False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_raised(
    village: Village,
    label: str,
    last: datetime | None,
    circuit_facts: dict[str, Any],
    meter_facts: dict[str, Any],
    raised: bool,
) -> None:
    circuit = village.circuit_add(last_reported_at=last, **circuit_facts)
    Meter.objects.filter(pk=village.meter.pk).update(**meter_facts or {"active": True})
    found = unresponsive_circuits_check(now=NOW)
    assert [alert.circuit for alert in found] == ([circuit] if raised else [])
    if raised:
        assert found[0].last_heard_from == last
        assert found[0].raised_at == NOW
    assert texts() == []


def test_the_silence_is_a_setting(village: Village, settings: Settings) -> None:
    settings.CIRCUIT_SILENCE = timedelta(hours=4)
    heard(village.mains, LONG_AGO)
    assert unresponsive_circuits_check(now=NOW) == []


def test_a_silent_circuit_is_raised_and_mailed_once(village: Village) -> None:
    user_make("awa")
    heard(village.mains, LONG_AGO)
    assert len(unresponsive_circuits_check(now=NOW)) == 1
    assert unresponsive_circuits_check(now=NOW + timedelta(minutes=5)) == []
    assert len(mail.outbox) == 1
    assert UnresponsiveCircuit.objects.get().repeats == 0


def test_the_digest_is_one_mail_to_those_who_want_it_and_may_see_it(village: Village) -> None:
    nobody = Group.objects.create(name="nothing", permissions=[])
    user_make("awa")
    user_make("bo", group=Group.objects.get(name="admin"))
    user_make("quiet", notify=False)
    user_make("gone", is_active=False)
    user_make("homeless", email="")
    user_make("blind", group=nobody)
    Meter.objects.filter(pk=village.meter.pk).update(
        time_zone="Africa/Nairobi", location="Lake\nShore"
    )
    heard(village.mains, LONG_AGO)
    heard(village.circuits[0], LONG_AGO)
    other = village_make("ml02", phone="+22370000002")
    for _ in range(silence.NAMED_PER_METER + 2):
        other.circuit_add(last_reported_at=LONG_AGO)

    unresponsive_circuits_check(now=NOW)

    (message,) = mail.outbox
    assert message.to == ["awa@example.org", "bo@example.org"]
    assert message.subject == "Gridtalk: 16 circuits are silent"
    body = message.body
    assert body.startswith("Nothing has been heard for 120 minutes or longer:")
    assert "ml01 (Lake Shore): 2 silent" in body
    assert "192.168.1.200  mains  last heard 2026-03-01 12:00 Africa/Nairobi" in body
    assert f"account {village.circuits[0].pin}" in body
    assert "ml02: 14 silent" in body
    assert "and 2 more" in body
    assert body.count("192.168.1.") == 2 + silence.NAMED_PER_METER


def test_nobody_to_tell_is_no_mail(village: Village) -> None:
    heard(village.mains, LONG_AGO)
    assert len(unresponsive_circuits_check(now=NOW)) == 1
    assert mail.outbox == []


@pytest.mark.parametrize(
    "error",
    [ConnectionRefusedError("refused"), smtplib.SMTPServerDisconnected("gone"), TimeoutError()],
    ids=lambda error: type(error).__name__,
)
def test_a_mail_that_fails_becomes_a_system_log_and_loses_no_alert(
    village: Village, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(self: Any, fail_silently: bool = False) -> int:
        raise error

    user_make("awa")
    monkeypatch.setattr(silence.EmailMessage, "send", broken)
    heard(village.mains, LONG_AGO)
    assert len(unresponsive_circuits_check(now=NOW)) == 1
    assert UnresponsiveCircuit.objects.filter(cleared_at=None).count() == 1
    line = SystemLog.objects.get()
    assert (line.source, line.level) == ("alerts", "error")
    assert type(error).__name__ in line.text
    assert "GRIDTALK_EMAIL_HOST" in line.text


@pytest.mark.parametrize("way", ["heard from since", "circuit retired", "meter retired", "paused"])
def test_what_is_over_is_closed_by_the_check(village: Village, way: str) -> None:
    circuit = village.circuits[0]
    heard(circuit, LONG_AGO)
    (alert,) = unresponsive_circuits_check(now=NOW)
    if way == "heard from since":
        heard(circuit, NOW + timedelta(minutes=1))
    elif way == "circuit retired":
        Circuit.objects.filter(pk=circuit.pk).update(retired_at=NOW)
    elif way == "meter retired":
        meter_retire(meter=village.meter)
    else:
        Meter.objects.filter(pk=village.meter.pk).update(active=False)
    assert unresponsive_circuits_check(now=NOW + timedelta(minutes=5)) == []
    alert.refresh_from_db()
    assert alert.cleared_at == NOW + timedelta(minutes=5)


def test_it_is_raised_again_after_the_next_silence(village: Village) -> None:
    circuit = village.circuits[0]
    heard(circuit, LONG_AGO)
    unresponsive_circuits_check(now=NOW)
    heard(circuit, NOW)
    (second,) = unresponsive_circuits_check(now=NOW + timedelta(hours=3))
    assert second.last_heard_from == NOW
    assert UnresponsiveCircuit.objects.filter(cleared_at=None).get() == second


def test_the_task_checks(village: Village) -> None:
    heard(village.mains, clock.now() - timedelta(days=1))
    tasks.check(timestamp=0)
    assert UnresponsiveCircuit.objects.get().circuit == village.mains
