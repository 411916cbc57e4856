"""What becomes of a meter's message that is not quite right, and of one that nobody can answer."""

from decimal import Decimal

import pytest

from gridtalk.alerts.models import Alert, MeterFault
from gridtalk.gateway.conftest import METER_PHONE, Village
from gridtalk.messaging.models import OutgoingMessage

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("value", ["5x0", "nan", "1e9", "5_0"])
def test_an_acknowledgement_with_a_bad_credit_is_one_and_the_credit_is_an_estimate(
    village: Village, value: str
) -> None:
    village.consumer(f"add.{village.pin}.{village.token()}")
    village.hand_over()
    said = village.meter_says(f"(job=delete&jobid={village.job().pk}&status=1&cr={value})")
    assert said.outcome == "acknowledged"
    assert said.error == f"cr is “{value}”; it must be a plain number such as 20.10"
    assert village.job().state == "done"
    assert (village.circuit.credit, village.circuit.credit_estimated) == (Decimal(100), True)
    again = village.meter_says(f"(job=delete&jobid={village.job().pk}&cr={value})")
    assert (again.outcome, again.error) == ("acknowledged again", said.error)


def test_an_acknowledgement_with_a_bad_status_is_one_and_its_credit_counts(
    village: Village,
) -> None:
    village.consumer(f"add.{village.pin}.{village.token()}")
    village.hand_over()
    before = village.circuit.status
    said = village.meter_says(f"(job=delete&jobid={village.job().pk}&status=on&cr=600)")
    assert (said.outcome, said.error[:14]) == ("acknowledged", "status is “on”")
    circuit = village.circuit
    assert (circuit.status, circuit.credit, circuit.credit_estimated) == (before, 600, False)


def test_an_acknowledgement_of_no_job_says_all_that_is_wrong(village: Village) -> None:
    said = village.meter_says("(job=delete&jobid=7&cr=x)")
    assert said.outcome == "error"
    assert said.error.startswith("job 7 is not one of meter “ml01”; cr is “x”")


def test_an_alert_with_a_bad_number_is_raised(village: Village) -> None:
    said = village.meter_says("(job=alert&alert=nocw&cid=192.168.1.201&cr=x&wh=y)")
    assert said.outcome == "alert"
    assert said.error.startswith("cr is “x”; ")
    assert "; wh is “y”; " in said.error
    assert Alert.objects.get().kind == "no_credit"


@pytest.mark.parametrize("code", ["md", "sdc"])
@pytest.mark.parametrize(
    ("cid", "error"),
    [
        ("192.168.1.250", "has no circuit 192.168.1.250"),
        ("x", "cid is “x”"),
        ("", ""),
        ("192.168.1.201", ""),
    ],
)
def test_a_fault_of_the_whole_meter_is_raised_whatever_its_cid(
    village: Village, code: str, cid: str, error: str
) -> None:
    said = village.meter_says(f"(job=alert&cid={cid}&alert={code})")
    assert said.outcome == "alert"
    assert error in said.error
    assert bool(said.error) == bool(error)
    fault = MeterFault.objects.get()
    assert (fault.code, fault.meter, fault.circuit) == (code, village.meter, None)


@pytest.mark.parametrize("cid", ["192.168.1.250", "x", ""])
def test_a_component_that_no_circuit_has_is_an_error(village: Village, cid: str) -> None:
    assert village.meter_says(f"(job=alert&cid={cid}&alert=ce)").outcome == "error"
    assert not Alert.objects.exists()


@pytest.mark.parametrize("sender", ["AIRTEL", "444x", "M-Pesa"])
def test_a_ping_from_a_name_is_not_answered(village: Village, sender: str) -> None:
    ping = "(job=gateway-ping&meter-time=2011-09-07 12:34:56)"
    said = village.says(sender, ping)
    assert said.outcome == "ping"
    assert "nobody can be answered" in said.error
    assert not OutgoingMessage.objects.exists()
    assert village.says(METER_PHONE, ping).error == ""
    assert OutgoingMessage.objects.get().number == METER_PHONE
